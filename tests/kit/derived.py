"""Facts about what was found in a file and made from it, for the tests that need some."""

from domain.rendition import rendition_key
from domain.rendition_events import (
    MediaInspected,
    PosterStored,
    RenditionRequested,
    RenditionStored,
)
from tests.kit.scenario import KEY

INSPECTED = MediaInspected(
    sha256="ab" * 32, width=640, height=480, duration_ms=None, page_count=None, frame_count=1,
    dominant_color="#0077ff", placeholder="HwgOBZpwh3dwh4iIeHiIiICIB/iH", transparent=False,
    container=None, video_codec=None, audio_codec=None,
)  # fmt: skip
ASKED = RenditionRequested(preset="og", recipe=1, format="image/jpeg")
POSTER_STORED = PosterStored(
    recipe=1, format="image/webp", key=rendition_key(KEY, "poster", 1, "webp"), bytes=900,
    width=640, height=480, at_ms=0,
)  # fmt: skip


def made(
    preset: str = "thumb_200", recipe: int = 1, *, key: str = KEY, replaces: str | None = None
) -> RenditionStored:
    return RenditionStored(
        preset=preset, recipe=recipe, format="image/webp",
        key=rendition_key(key, preset, recipe, "webp"), bytes=700, width=200, height=150,
        replaces=replaces,
    )  # fmt: skip

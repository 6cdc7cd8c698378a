"""Which variant of which format, and under which key."""

import pytest

from adapters.settings_presets import preset_trouble
from domain import derivation
from domain.media_file import MediaFile
from domain.media_file_events import FileDeleted
from domain.rendition import (
    DEFAULT_PRESETS,
    Format,
    Preset,
    formats_of,
    has_renditions,
    is_pictured,
    negotiate,
    rendition_key,
)
from domain.rendition_events import RenditionFailed, RenditionRequested
from tests.kit.derived import INSPECTED, made
from tests.kit.scenario import COMPLETED, KEY, REQUESTED, START, deleted, history

OG = DEFAULT_PRESETS["og_1200x630"]
AVATAR = DEFAULT_PRESETS["avatar_96"]
THUMB = DEFAULT_PRESETS["thumb_200"]
CHROME = "image/avif,image/webp,image/apng,image/*,*/*;q=0.8"


def file_of(*events: object) -> MediaFile:
    given = [(START, event) for event in (REQUESTED, COMPLETED, *events)]
    file = MediaFile.from_history(history(*given))  # type: ignore[arg-type]
    assert file is not None
    return file


@pytest.mark.parametrize(
    ("accept", "formats", "chosen"),
    [
        (None, ("jpeg", "webp"), "jpeg"),
        ("*/*", ("jpeg", "webp"), "jpeg"),
        ("image/*", ("webp", "avif", "jpeg"), "webp"),
        (CHROME, ("webp", "avif", "jpeg"), "avif"),
        (CHROME, ("jpeg", "webp"), "webp"),
        ("image/webp;q=0.2, image/jpeg;q=0.9", ("webp", "jpeg"), "jpeg"),
        ("image/webp;q=0, */*", ("webp", "jpeg"), "webp"),
        ("image/webp;q=x", ("jpeg", "webp"), "jpeg"),
        ("text/html", ("webp", "jpeg"), "webp"),
        (",;,;q=1,", ("webp", "jpeg"), "webp"),
    ],
)
def test_a_client_gets_the_smallest_of_what_it_names(
    accept: str | None, formats: tuple[Format, ...], chosen: Format
) -> None:
    assert negotiate(formats, accept) == chosen


def test_transparency_and_animation_decide_on_the_formats() -> None:
    assert formats_of(OG, animated=False, transparent=True) == ("jpeg", "webp")
    assert formats_of(THUMB, animated=False, transparent=True) == ("webp", "png")
    assert formats_of(AVATAR, animated=True, transparent=False) == ("webp", "gif")
    assert formats_of(THUMB, animated=True, transparent=False) == ("webp", "jpeg")


def test_a_rendition_stands_beside_its_original_under_preset_and_recipe() -> None:
    assert rendition_key(KEY, "og", 3, "jpeg") == f"{KEY.removesuffix('.webp')}/og.r3.jpg"


def test_documents_have_no_renditions() -> None:
    assert not has_renditions("application/pdf")
    assert not is_pictured("a/b.pdf")
    assert is_pictured("a/b.mp4")


def test_a_rendition_is_asked_for_once() -> None:
    file = file_of(INSPECTED)
    (asked,) = derivation.requested(file, "og_1200x630", OG, "jpeg")
    assert asked == RenditionRequested(preset="og_1200x630", recipe=1, format="image/jpeg")
    assert derivation.requested(file_of(INSPECTED, asked), "og_1200x630", OG, "jpeg") == []
    assert derivation.requested(file_of(INSPECTED, made()), "thumb_200", THUMB, "webp") == []


def test_a_changed_recipe_is_asked_for_and_what_failed_is_tried_again() -> None:
    file = file_of(INSPECTED, made())
    changed = Preset(width=100, height=100, at_once=True, recipe=2)
    (asked,) = derivation.outdated(file, "thumb_200", changed)
    assert isinstance(asked, RenditionRequested)
    assert asked.recipe == 2
    assert derivation.outdated(file, "thumb_200", THUMB) == []
    failed = RenditionFailed(
        preset="thumb_200", recipe=1, format="image/webp", reason="time", detail=""
    )
    assert len(derivation.outdated(file_of(INSPECTED, failed), "thumb_200", THUMB)) == 1


def test_a_deleted_file_has_no_renditions_and_says_which_are_to_go() -> None:
    event = deleted(settles_at=START)
    assert isinstance(event, FileDeleted)
    file = file_of(INSPECTED, made(), event)
    assert file.derived.keys == ()
    assert file.derived.obsolete == (made().key,)
    (removed,) = derivation.cleared(file)
    assert removed.keys == (made().key,)  # type: ignore[attr-defined]
    assert derivation.cleared(file_of(INSPECTED, made(), event, removed)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"Thumb": THUMB},
        {"poster": THUMB},
        {"a": Preset(width=0, height=1)},
        {"a": Preset(width=1, height=9999)},
        {"a": Preset(width=1, height=1, formats=())},
        {"a": Preset(width=1, height=1, formats=("webp", "webp"))},
        {"a": Preset(width=1, height=1, quality=0)},
        {"a": Preset(width=1, height=1, background="red")},
        {"a": Preset(width=1, height=1, recipe=0)},
        {f"a{number}": THUMB for number in range(17)},
    ],
)
def test_what_is_no_preset_is_refused_with_a_sentence(wrong: dict[str, Preset]) -> None:
    assert preset_trouble(wrong)
    assert preset_trouble(DEFAULT_PRESETS) is None

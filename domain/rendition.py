"""Renditions: the named presets, the formats of each, and the keys they are stored under. Pure."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from domain.media_type import MEDIA_TYPES

Format = Literal["avif", "webp", "jpeg", "png", "gif"]
EXTENSIONS: Mapping[Format, str] = {
    "avif": "avif", "webp": "webp", "jpeg": "jpg", "png": "png", "gif": "gif",
}  # fmt: skip
SMALLEST_FIRST: tuple[Format, ...] = ("avif", "webp", "jpeg", "png", "gif")
"""Of what a client accepts alike it gets the format that takes the fewest bytes."""
ANIMATED: tuple[Format, ...] = ("webp", "gif")
POSTER = "poster"
"""Named like a preset in keys; no preset may be called so."""
POSTER_RECIPE = 1
POSTER_FORMAT: Format = "webp"
POSTER_SIDE = 1280
"""The longest side of a poster: other renditions of a video are made from it."""


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one named variant is made. There are no free sizes (ADR 19)."""

    width: int
    height: int
    fit: Literal["inside", "cover"] = "inside"
    """`inside`: the whole picture within the box. `cover`: cropped to the box's shape."""
    formats: tuple[Literal["avif", "webp", "jpeg"], ...] = ("webp", "jpeg")
    """The first is what links lead to and what is made at once. `jpeg` means PNG where a picture
    has transparency and `background` is not set."""
    quality: int = 80
    animated: bool = False
    """Whether an animation stays one (WebP or GIF); else its first frame is taken."""
    background: str | None = None
    """`#rrggbb`: what transparency is laid upon."""
    at_once: bool = False
    """Made with the inspection, of every image and every poster; others when first asked for."""
    recipe: int = 1
    """To be raised with every change of the others: it is part of the key."""


DEFAULT_PRESETS: Mapping[str, Preset] = {
    "thumb_200": Preset(width=200, height=200, at_once=True),
    "og_1200x630": Preset(
        width=1200, height=630, fit="cover", formats=("jpeg", "webp"), background="#ffffff"
    ),
    "avatar_96": Preset(
        width=96, height=96, fit="cover", formats=("webp", "avif", "jpeg"), animated=True
    ),
}


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What looking into a file tells about it; None where the type has no such thing."""

    width: int | None = None
    """In pixels as shown: with the orientation applied."""
    height: int | None = None
    duration_ms: int | None = None
    page_count: int | None = None
    frame_count: int | None = None
    """Of an image: 1 unless it is animated. Of a video: where the container says it."""
    dominant_color: str | None = None
    """`#rrggbb`."""
    placeholder: str | None = None
    """ThumbHash, base64."""
    transparent: bool = False
    container: str | None = None
    video_codec: str | None = None
    audio_codec: str | None = None


class Rendition(msgspec.Struct, frozen=True, kw_only=True):
    """One stored object made from a file."""

    key: str
    mime_type: str
    bytes: int
    width: int
    height: int


def mime_of(format_: Format) -> str:
    """The MIME type of a format."""
    return f"image/{format_}"


def format_of(mime_type: str) -> Format:
    """The format of a MIME type that `mime_of` gave."""
    found: Format = next(one for one in SMALLEST_FIRST if mime_of(one) == mime_type)
    return found


def has_renditions(mime_type: str) -> bool:
    """Whether files of the type have renditions: images and videos do."""
    known = MEDIA_TYPES.get(mime_type)
    return known is not None and known.category in {"image", "video"}


def is_pictured(key: str) -> bool:
    """Whether the original under the key has renditions, by its extension."""
    extension = key.rpartition(".")[2]
    return any(
        known.extension == extension and known.category in {"image", "video"}
        for known in MEDIA_TYPES.values()
    )


def formats_of(preset: Preset, *, animated: bool, transparent: bool) -> tuple[Format, ...]:
    """The formats a file of this kind can be had in, the one that links lead to first."""
    if animated and preset.animated:
        return ANIMATED
    found: list[Format] = []
    for one in preset.formats:
        lossless = one == "jpeg" and transparent and preset.background is None
        found.append("png" if lossless else one)
    return tuple(found)


def negotiate(formats: tuple[Format, ...], accept: str | None) -> Format:
    """The format for a client with this `Accept` header (RFC 9110, 12.5.1).

    Only what it names counts: a wildcard does not say that it can show AVIF. Who names none of
    them gets the first.
    """
    weights: dict[str, float] = {}
    for part in (accept or "").split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        weight = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                weight = _weight(parameter[2:])
        weights[name] = weight
    named = [one for one in SMALLEST_FIRST if one in formats and weights.get(mime_of(one), 0) > 0]
    if not named:
        return formats[0]
    return max(named, key=lambda one: (weights[mime_of(one)], -SMALLEST_FIRST.index(one)))


def _weight(text: str) -> float:
    digits = text.replace(".", "", 1)
    return min(float(text), 1.0) if digits.isascii() and digits.isdigit() else 0.0


def rendition_folder(key: str) -> str:
    """What the keys of all renditions of an original begin with; nothing else's do."""
    return key.rpartition(".")[0] + "/"


def rendition_key(key: str, preset: str, recipe: int, format_: Format) -> str:
    """`{original without extension}/{preset}.r{recipe}.{ext}`, in the original's bucket."""
    return f"{rendition_folder(key)}{preset}.r{recipe}.{EXTENSIONS[format_]}"

"""Looks into a proven file and makes pictures of it. Runs in the decode child."""

from collections.abc import Mapping, Sequence
from mmap import mmap

import msgspec
import pyvips  # type: ignore[import-untyped]  # ships no types
from pyvips.voperation import Introspect  # type: ignore[import-untyped]  # ships no types

from adapters.decode_loaders import VIPS_LOADERS, check_pixels, opened, refusal_of
from adapters.decode_orders import MAX_PICTURE_BYTES, MadePicture, Order, PictureOrder, Report
from adapters.decode_verdict import SAMPLES, DecodeLimits, Refusal
from adapters.thumbhash import SIDE, thumbhash
from domain.media_type import MEDIA_TYPES
from domain.rendition import Facts, Format

SAVE: Mapping[Format, tuple[str, Mapping[str, object]]] = {
    "webp": ("webpsave_buffer", {"effort": 3}),
    # Effort 2 takes a fifteenth of the default's time and 2 % more bytes.
    "avif": ("heifsave_buffer", {"compression": "av1", "effort": 2}),
    "jpeg": ("jpegsave_buffer", {"optimize_coding": True, "interlace": True}),
    "png": ("pngsave_buffer", {"compression": 7}),
    "gif": ("gifsave_buffer", {"effort": 4}),
}
WITHOUT_QUALITY = {"png", "gif"}
UPRIGHT = 4
"""EXIF orientations above it lie on their side."""
PLAIN = {"srgb", "b-w"}
"""Interpretations of pixels that are in sRGB, or grey."""
OPAQUE = 255
COLOUR_BITS = 4
"""Colours are counted as alike when they share the first bits of each channel."""


def warm() -> None:
    """Look at a picture of each kind, and up what is called: once, and not in every child."""
    pyvips.cache_set_max(0)
    for mime_type in VIPS_LOADERS:
        sample = SAMPLES / f"tiny.{MEDIA_TYPES[mime_type].extension}"
        _Original(sample.read_bytes(), mime_type, DecodeLimits())
    for operation in ("thumbnail_source", "copy", *(name for name, _ in SAVE.values())):
        Introspect.get(operation)


def carry_out(body: mmap | bytes, order: Order, limits: DecodeLimits) -> tuple[Report, list[bytes]]:
    """The report, and the bytes of its pictures. Raises Refusal."""
    try:
        return _carry_out(body, order, limits)
    except pyvips.Error as error:
        raise refusal_of(str(error)) from None


def _carry_out(
    body: mmap | bytes, order: Order, limits: DecodeLimits
) -> tuple[Report, list[bytes]]:
    if order.mime_type == "application/pdf":
        # Here, as decode_poster: loaded where it is needed, since each adds to every fork.
        from adapters.decode_documents import page_count  # noqa: PLC0415

        return Report(facts=Facts(page_count=page_count(body[:]))), []
    if order.mime_type.startswith("video/"):
        from adapters.decode_poster import poster_of  # noqa: PLC0415

        poster = poster_of(body[:], order.mime_type, limits)
        source: _Source = _Frame(poster.image)
        facts, at_ms = poster.facts, poster.at_ms
    else:
        source = _Original(body, order.mime_type, limits)
        facts, at_ms = source.facts, 0
    pictures, bodies = [], []
    first: pyvips.Image | None = None
    for wanted in order.pictures:
        image, frames = source.fitted(wanted)
        if first is None or wanted.fit == "inside":
            first = image if frames == 1 else source.still()
        format_ = _format(wanted, image, frames)
        saved = _saved(image, format_, wanted)
        if len(saved) > MAX_PICTURE_BYTES:
            raise Refusal("limits", "The picture that was made is too large.")
        pictures.append(
            MadePicture(
                name=wanted.name,
                format=format_,
                width=image.width,
                height=image.height // frames,
                bytes=len(saved),
            )
        )
        bodies.append(saved)
    if not order.facts:
        return Report(pictures=tuple(pictures), at_ms=at_ms), bodies
    small = source.still() if first is None else first
    colour, hash_, transparent = _looks(small)
    facts = msgspec.structs.replace(
        facts, dominant_color=colour, placeholder=hash_, transparent=transparent
    )
    return Report(facts=facts, pictures=tuple(pictures), at_ms=at_ms), bodies


class _Source:
    """Where pictures come from."""

    def fitted(self, wanted: PictureOrder) -> tuple[pyvips.Image, int]:
        """The picture in its box, upright, in sRGB; and of how many frames it is."""
        raise NotImplementedError

    def still(self) -> pyvips.Image:
        """A small one of the first frame."""
        return self.fitted(PictureOrder(name="", width=200, height=200, format="png"))[0]


class _Original(_Source):
    """An image file, decoded as small as its format allows for each picture."""

    def __init__(self, body: mmap | bytes, mime_type: str, limits: DecodeLimits) -> None:
        self._body = body
        self._vector = mime_type == "image/svg+xml"
        self._many = mime_type in {"image/gif", "image/webp"}
        if self._vector:
            # Of this child alone. The drawing was sanitised, and nothing can be opened from here.
            pyvips.operation_block_set("VipsForeignLoadSvg", False)  # noqa: FBT003 - theirs
            header = opened(body, "svgload_source")
        else:
            name, options = VIPS_LOADERS[mime_type]
            header = opened(body, name, access="sequential", **options)
        fields = header.get_fields()
        self._frames = header.get("n-pages") if self._many and "n-pages" in fields else 1
        height = header.get("page-height") if "page-height" in fields else header.height
        width = header.width
        if not self._vector:
            check_pixels(width, height, self._frames, limits)
        # One that is in sRGB without a word would be turned into itself, for a tenth of the time.
        self._coloured = "icc-profile-data" in fields or header.interpretation not in PLAIN
        turned = "orientation" in fields and header.get("orientation") > UPRIGHT
        self._size = (height, width) if turned else (width, height)
        self.facts = Facts(width=self._size[0], height=self._size[1], frame_count=self._frames)

    def fitted(self, wanted: PictureOrder) -> tuple[pyvips.Image, int]:
        frames = self._frames if wanted.animated else 1
        width, height = self._box(wanted)
        crop = wanted.fit == "cover"
        options: dict[str, object] = {"size": "both" if self._vector else "down"}
        if self._coloured:
            options |= {"export_profile": "srgb", "import_profile": "srgb"}
        if crop and frames == 1:
            options["crop"] = "attention"
        elif crop:
            width, height = self._around(width, height)
        if frames > 1:
            options["option_string"] = "[n=-1]"
        image = opened(self._body, "thumbnail_source", width, height=height, **options)
        image = _plain(image).copy_memory()
        if crop and frames > 1:
            image = _cropped(image, frames, *self._box(wanted))
        return image, frames

    def _box(self, wanted: PictureOrder) -> tuple[int, int]:
        """The box, shrunk to what the picture fills without being enlarged."""
        if wanted.fit != "cover" or self._vector:
            return wanted.width, wanted.height
        share = min(1.0, self._size[0] / wanted.width, self._size[1] / wanted.height)
        return max(1, round(wanted.width * share)), max(1, round(wanted.height * share))

    def _around(self, width: int, height: int) -> tuple[int, int]:
        """The size at which the picture just covers the box."""
        share = max(width / self._size[0], height / self._size[1])
        return max(width, round(self._size[0] * share)), max(height, round(self._size[1] * share))


class _Frame(_Source):
    """A frame of a video, already decoded."""

    def __init__(self, image: pyvips.Image) -> None:
        self._image = image

    def fitted(self, wanted: PictureOrder) -> tuple[pyvips.Image, int]:
        width, height = wanted.width, wanted.height
        options = {"size": "down"}
        if wanted.fit == "cover":
            share = min(1.0, self._image.width / width, self._image.height / height)
            width, height = max(1, round(width * share)), max(1, round(height * share))
            options["crop"] = "attention"
        return self._image.thumbnail_image(width, height=height, **options).copy_memory(), 1


def _plain(image: pyvips.Image) -> pyvips.Image:
    """Three or four bands of eight bits in sRGB."""
    if image.interpretation not in PLAIN or image.format != "uchar":
        image = image.colourspace("srgb").cast("uchar")
    if image.bands <= 2:  # noqa: PLR2004 - grey, with or without transparency
        grey = image[0]
        image = grey.bandjoin([grey, grey, *([image[1]] if image.hasalpha() else [])])
        image = image.copy(interpretation="srgb")
    return image


def _cropped(image: pyvips.Image, frames: int, width: int, height: int) -> pyvips.Image:
    """Every frame cut to its middle."""
    page = image.height // frames
    left, top = max(0, (image.width - width) // 2), max(0, (page - height) // 2)
    width, height = min(width, image.width), min(height, page)
    cut = [
        image.crop(left, number * page + top, width, height) for number in range(frames)
    ]  # fmt: skip
    joined = pyvips.Image.arrayjoin(cut, across=1).copy()
    joined.set_type(pyvips.GValue.gint_type, "page-height", height)
    return joined.copy_memory()


def _format(wanted: PictureOrder, image: pyvips.Image, frames: int) -> Format:
    if frames > 1 and wanted.format not in {"webp", "gif"}:
        return "webp"
    if wanted.format == "jpeg" and image.hasalpha() and wanted.background is None:
        return "png"
    return wanted.format


def _saved(image: pyvips.Image, format_: Format, wanted: PictureOrder) -> bytes:
    if image.hasalpha() and (wanted.background is not None or format_ == "jpeg"):
        image = image.flatten(background=_channels(wanted.background or "#ffffff"))
    name, options = SAVE[format_]
    quality = {} if format_ in WITHOUT_QUALITY else {"Q": wanted.quality}
    return bytes(getattr(image, name)(keep="none", **options, **quality))


def _channels(colour: str) -> list[int]:
    return [int(colour[at : at + 2], 16) for at in (1, 3, 5)]


def _looks(image: pyvips.Image) -> tuple[str, str, bool]:
    """The colour most of it has, its ThumbHash, and whether anything shows through."""
    small = image.thumbnail_image(SIDE, height=SIDE, size="down")
    if not small.hasalpha():
        small = small.bandjoin(OPAQUE)
    rgba = bytes(small.cast("uchar").write_to_memory())
    transparent = bool(image.hasalpha()) and image[image.bands - 1].min() < OPAQUE
    return _dominant(rgba), thumbhash(small.width, small.height, rgba), transparent


def _dominant(rgba: bytes) -> str:
    """The mean of the largest group of alike colours among what is not transparent."""
    groups: dict[int, list[int]] = {}
    for at in range(0, len(rgba), 4):
        red, green, blue, alpha = rgba[at : at + 4]
        if alpha > OPAQUE // 2:
            drop = 8 - COLOUR_BITS
            name = (red >> drop) << 8 | (green >> drop) << 4 | blue >> drop
            sums = groups.setdefault(name, [0, 0, 0, 0])
            for channel, value in enumerate((1, red, green, blue)):
                sums[channel] += value
    if not groups:
        return "#000000"
    largest: Sequence[int] = max(groups.values())
    count = largest[0]
    return "#" + "".join(f"{round(value / count):02x}" for value in largest[1:])

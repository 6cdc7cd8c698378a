"""Decodes a whole file with the loader of its declared type and no other; in the decode child."""

from collections.abc import Mapping
from mmap import mmap

import pyvips  # type: ignore[import-untyped]  # ships no types

from adapters.decode_formats import Layout, ends_as_zip, layout
from adapters.decode_svg import sanitised
from adapters.decode_verdict import DecodeLimits, Refusal, Verdict
from adapters.metadata import stripped
from domain.metadata import MetadataPolicy

VIPS_LOADERS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "image/jpeg": ("jpegload_source", {"fail_on": "warning"}),
    "image/png": ("pngload_source", {"fail_on": "error"}),
    "image/gif": ("gifload_source", {"fail_on": "warning", "n": -1}),
    "image/webp": ("webpload_source", {"fail_on": "warning", "n": -1}),
    "image/avif": ("heifload_source", {"fail_on": "warning"}),
}
MILD_JPEG_WARNINGS = ("extraneous bytes before marker", "Adobe color transform", "unknown JFIF")
"""libjpeg warns of these in pictures of real cameras that every browser shows whole."""


def prove(
    body: bytes, mime_type: str, limits: DecodeLimits, metadata: MetadataPolicy = "keep"
) -> tuple[Verdict, bytes]:
    """Decode the whole file: how much of it is to be kept, or what instead. Raises Refusal."""
    if mime_type == "image/svg+xml":
        drawing = sanitised(body)
        if drawing == body:
            return Verdict(keep=len(body)), b""
        return Verdict(drawing_bytes=len(drawing)), drawing
    found = layout(body, mime_type)
    check_pixels(found.width, found.height, found.frames, limits)
    body = body[: found.end]
    if ends_as_zip(body):
        raise Refusal("polyglot", "The file is a ZIP archive too.")
    try:
        _decode(body, mime_type, found, limits)
    except pyvips.Error as error:
        raise refusal_of(str(error)) from None
    served, removed = stripped(body, mime_type, metadata, lambda file: layout(file, mime_type).end)
    if removed:
        return Verdict(drawing_bytes=len(served), removed=removed), served
    return Verdict(keep=found.end), b""


def _decode(body: bytes, mime_type: str, found: Layout, limits: DecodeLimits) -> None:
    if mime_type in VIPS_LOADERS:
        _decode_image(body, mime_type, limits)
    if found.tracks:
        # Here, as decode_documents: loaded where it is needed, since each adds to every fork.
        from adapters import decode_video  # noqa: PLC0415

        decode_video.decode(body, mime_type, limits)
    if mime_type == "application/pdf":
        from adapters import decode_documents  # noqa: PLC0415

        decode_documents.decode(body, limits)


def refusal_of(message: str) -> Refusal:
    """What a loader's error means."""
    lowered = message.lower()
    if "out of memory" in lowered or "cannot allocate" in lowered:
        return Refusal("memory", "Decoding needs more memory than is allowed.")
    # Trimmed: libvips repeats itself line by line, and only the first tells anything.
    first = next((line for line in reversed(message.splitlines()) if line.strip()), "unreadable")
    return Refusal("damaged", f"The file cannot be decoded: {first.strip()}")


def check_pixels(width: int, height: int, frames: int, limits: DecodeLimits) -> None:
    """Raise Refusal (`limits`) for more than one picture or animation may have."""
    if width * height > limits.frame_pixels:
        raise Refusal(
            "limits",
            f"{width} by {height} pixels are more than {limits.frame_pixels} in one picture.",
        )
    if frames > limits.frames or (frames > 1 and frames * width * height > limits.animation_pixels):
        raise Refusal("limits", f"{frames} frames of {width} by {height} pixels are too many.")


def _decode_image(body: bytes, mime_type: str, limits: DecodeLimits) -> None:
    name, options = VIPS_LOADERS[mime_type]
    try:
        _read_all(opened(body, name, access="sequential", **options), limits)
    except pyvips.Error as error:
        if mime_type != "image/jpeg" or not any(mild in str(error) for mild in MILD_JPEG_WARNINGS):
            raise
        _read_all(opened(body, name, access="sequential", fail_on="error"), limits)


def opened(body: mmap | bytes, operation: str, *arguments: int, **options: object) -> pyvips.Image:
    """What an operation of libvips makes of the file.

    One that takes a buffer instead of a source copies the file before it begins: a tenth of the
    time of a thumbnail.
    """
    source = pyvips.Source.new_from_memory(body)
    return getattr(pyvips.Image, operation)(source, *arguments, **options)


def _read_all(image: pyvips.Image, limits: DecodeLimits) -> None:
    fields = image.get_fields()
    height = image.get("page-height") if "page-height" in fields else image.height
    frames = image.get("n-pages") if "n-pages" in fields else 1
    check_pixels(image.width, height, frames, limits)
    if "heif-compression" in fields and image.get("heif-compression") != "av1":
        raise Refusal("content", "The bytes are not an AVIF image.")
    image.avg()

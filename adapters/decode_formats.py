"""Walks a file's own structure to its real end and counts pictures and pixels, decoding nothing.

Runs in the decode child, before the loader. Every walker takes the whole file.
"""

# ruff: noqa: PLR2004 - marks, offsets and sizes are the formats' own

import re
import zlib
from collections.abc import Callable, Iterator, Mapping

import msgspec

from adapters.decode_verdict import Refusal


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What the structure says of a file."""

    end: int
    """Where the format ends; bytes behind it do not belong to the file."""
    width: int = 0
    height: int = 0
    frames: int = 1
    tracks: bool = False
    """Whether moving pictures stand in it that the still image loader does not see."""


def layout(body: bytes, mime_type: str) -> Layout:
    """The layout of the file. Raises Refusal (`content`, `truncated` or `damaged`)."""
    try:
        return WALKERS[mime_type](body)
    except IndexError:
        raise Refusal("truncated", "The file ends in the middle of its structure.") from None


def ends_as_zip(body: bytes) -> bool:
    """Whether unpackers would open the file as a ZIP archive (they read it from its end)."""
    at = body.rfind(b"PK\5\6", max(0, len(body) - 65_557))
    if at < 0 or at + 22 > len(body):
        return False
    directory_bytes = int.from_bytes(body[at + 12 : at + 16], "little")
    comment_bytes = int.from_bytes(body[at + 20 : at + 22], "little")
    directory = at - directory_bytes
    return at + 22 + comment_bytes == len(body) and (
        directory_bytes == 0 or (directory >= 0 and body[directory : directory + 4] == b"PK\1\2")
    )


def _not_of_type(name: str) -> Refusal:
    return Refusal("content", f"The bytes are not {name}.")


def _broken(name: str, what: str) -> Refusal:
    return Refusal("damaged", f"The {name} is damaged: {what}.")


def _number(body: bytes, at: int, size: int, order: str = "big") -> int:
    if at + size > len(body):
        raise IndexError
    return int.from_bytes(body[at : at + size], "little" if order == "little" else "big")


JPEG_MARKER_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
JPEG_BARE = {0x01, *range(0xD0, 0xD8)}


def _jpeg(body: bytes) -> Layout:
    if not body.startswith(b"\xff\xd8\xff"):
        raise _not_of_type("a JPEG image")
    at, width, height, scanned = 2, 0, 0, False
    while True:
        if body[at] != 0xFF:
            raise _broken("JPEG", "no marker where one must stand")
        while body[at] == 0xFF:
            at += 1
        marker = body[at]
        at += 1
        if marker == 0xD9:
            if not scanned:
                raise _broken("JPEG", "it has no picture")
            return Layout(end=at, width=width, height=height)
        if marker in JPEG_BARE:
            continue
        length = _number(body, at, 2)
        if length < 2 or marker in (0x00, 0xD8):
            raise _broken("JPEG", f"marker {marker:#x} is out of place")
        if marker in JPEG_FRAMES:
            height, width = (
                max(height, _number(body, at + 3, 2)), max(width, _number(body, at + 5, 2))
            )  # fmt: skip
        at += length
        if marker == 0xDA:
            scanned = True
            found = JPEG_MARKER_IN_SCAN.search(body, at)
            if found is None:
                raise Refusal("truncated", "The JPEG ends before its end marker.")
            at = found.start()


def _png(body: bytes) -> Layout:
    if not body.startswith(b"\x89PNG\r\n\x1a\n"):
        raise _not_of_type("a PNG image")
    at, width, height, frames = 8, 0, 0, 1
    while True:
        length, kind = _number(body, at, 4), body[at + 4 : at + 8]
        if at == 8 and (kind != b"IHDR" or length != 13):
            raise _broken("PNG", "it does not begin with its header")
        if len(kind) == 4 and not kind.isalpha():
            raise _broken("PNG", "a chunk has no proper name")
        crc = _number(body, at + 8 + length, 4)
        # Readers ignore a wrong sum of a chunk that they may skip (lower case), and so do we.
        if kind[:1].isupper() and zlib.crc32(memoryview(body)[at + 4 : at + 8 + length]) != crc:
            raise _broken("PNG", "a checksum is wrong")
        if kind == b"IHDR":
            width, height = _number(body, at + 8, 4), _number(body, at + 12, 4)
        elif kind == b"acTL":
            frames = max(1, _number(body, at + 8, 4))
        at += 12 + length
        if kind == b"IEND":
            return Layout(end=at, width=width, height=height, frames=frames, tracks=frames > 1)


def _gif(body: bytes) -> Layout:
    if body[:6] not in (b"GIF87a", b"GIF89a"):
        raise _not_of_type("a GIF image")
    width, height = _number(body, 6, 2, "little"), _number(body, 8, 2, "little")
    at, frames = 13 + _colours(body[10]), 0
    while True:
        kind = body[at]
        if kind == 0x3B:
            if frames == 0:
                raise _broken("GIF", "it has no picture")
            return Layout(end=at + 1, width=width, height=height, frames=frames)
        if kind == 0x2C:
            frames += 1
            width = max(
                width, _number(body, at + 1, 2, "little") + _number(body, at + 5, 2, "little")
            )
            height = max(
                height, _number(body, at + 3, 2, "little") + _number(body, at + 7, 2, "little")
            )
            at += 11 + _colours(body[at + 9])
        elif kind == 0x21:
            at += 2
        else:
            raise _broken("GIF", "a block is of no known kind")
        while body[at]:
            at += body[at] + 1
        at += 1


def _colours(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _webp(body: bytes) -> Layout:
    if body[:4] != b"RIFF" or body[8:12] != b"WEBP":
        raise _not_of_type("a WebP image")
    end = 8 + _number(body, 4, 4, "little")
    if end > len(body):
        raise Refusal("truncated", "The WebP is longer than the file.")
    at, width, height, frames = 12, 0, 0, 0
    while at < end:
        kind, length, inside = body[at : at + 4], _number(body, at + 4, 4, "little"), at + 8
        if inside + length > end:
            raise _broken("WebP", "a chunk is longer than the image")
        if kind == b"VP8X":
            width = max(width, _number(body, inside + 4, 3, "little") + 1)
            height = max(height, _number(body, inside + 7, 3, "little") + 1)
        elif kind == b"VP8L":
            bits = _number(body, inside + 1, 4, "little")
            width, height = max(width, (bits & 0x3FFF) + 1), max(height, (bits >> 14 & 0x3FFF) + 1)
        elif kind == b"VP8 ":
            width = max(width, _number(body, inside + 6, 2, "little") & 0x3FFF)
            height = max(height, _number(body, inside + 8, 2, "little") & 0x3FFF)
        frames += kind == b"ANMF"
        at = inside + length + length % 2
    return Layout(end=min(at, len(body)), width=width, height=height, frames=max(1, frames))


BOXES = frozenset(
    b"ftyp moov mdat free skip wide uuid moof mfra sidx ssix styp emsg meta pdin prft udta".split()
)
VIDEO_BRANDS = (b"iso", b"mp4", b"avc", b"hvc", b"M4V", b"dash", b"cmf", b"MSN", b"3g", b"f4v")


def _boxes(body: bytes, name: str) -> tuple[set[bytes], set[bytes], int]:
    """Brands, kinds of the boxes at the top, and where the last known box ends."""
    if body[4:8] != b"ftyp" or not 16 <= _number(body, 0, 4) <= min(4096, len(body)):
        raise _not_of_type(name)
    first = _number(body, 0, 4)
    brands = {body[8:12], *(body[at : at + 4] for at in range(16, first - 3, 4))}
    kinds: set[bytes] = set()
    at = 0
    while at + 8 <= len(body) and body[at + 4 : at + 8] in BOXES:
        kind, length, header = body[at + 4 : at + 8], _number(body, at, 4), 8
        if length == 1:
            length, header = _number(body, at + 8, 8), 16
        if length < header:
            # 0 means "to the end of the file": nobody could say what was put behind it.
            raise _broken(name, "a box has no proper length")
        if at + length > len(body):
            raise Refusal("truncated", f"A box is longer than the rest of {name}.")
        kinds.add(kind)
        at += length
    return brands, kinds, at


def _avif(body: bytes) -> Layout:
    brands, kinds, end = _boxes(body, "an AVIF image")
    if not brands & {b"avif", b"avis"}:
        raise _not_of_type("an AVIF image")
    if b"meta" not in kinds:
        raise _broken("AVIF", "it has no picture")
    return Layout(end=end, tracks=b"moov" in kinds)


def _mp4(body: bytes) -> Layout:
    brands, kinds, end = _boxes(body, "an MP4 video")
    if brands & {b"avif", b"avis", b"heic"} or not any(b.startswith(VIDEO_BRANDS) for b in brands):
        raise _not_of_type("an MP4 video")
    if b"moov" not in kinds or not kinds & {b"mdat", b"moof"}:
        raise _broken("MP4", "it has no moving picture")
    return Layout(end=end, tracks=True)


EBML, DOCTYPE, SEGMENT, CLUSTER = 0x1A45DFA3, 0x4282, 0x18538067, 0x1F43B675
IN_SEGMENT = {
    CLUSTER, 0x114D9B74, 0x1549A966, 0x1654AE6B, 0x1C53BB6B, 0x1254C367, 0x1043A770, 0x1941A469,
    0xEC, 0xBF,
}  # fmt: skip
IN_CLUSTER = {0xE7, 0xA7, 0xAB, 0xA3, 0xA0, 0xAF, 0x5854}


def _element(body: bytes, at: int) -> tuple[int, int | None, int]:
    """Id, size (None: unknown) and start of the content of the element."""
    id_bytes = 9 - body[at].bit_length()
    if id_bytes > 4:
        return 0, 0, at
    size_at = at + id_bytes
    size_bytes = 9 - body[size_at].bit_length()
    if size_bytes > 8:
        return 0, 0, at
    most = (1 << 7 * size_bytes) - 1
    size = _number(body, size_at, size_bytes) & most
    return _number(body, at, id_bytes), None if size == most else size, size_at + size_bytes


def _children(body: bytes, at: int, end: int) -> Iterator[tuple[int, int, int]]:
    while at < end:
        name, size, inside = _element(body, at)
        if size is None or inside + size > end:
            raise _broken("WebM", "an element has no proper length")
        yield name, inside, inside + size
        at = inside + size


def _webm(body: bytes) -> Layout:
    if not body.startswith(b"\x1a\x45\xdf\xa3"):
        raise _not_of_type("a WebM video")
    _, size, inside = _element(body, 0)
    at = inside + (size or 0)
    kinds = [body[a:b] for name, a, b in _children(body, inside, at) if name == DOCTYPE]
    if [kind.rstrip(b"\0") for kind in kinds] != [b"webm"]:
        raise _not_of_type("a WebM video")
    name, size, at = _element(body, at)
    if name != SEGMENT:
        raise _broken("WebM", "it has no segment")
    end = len(body) if size is None else at + size
    if end > len(body):
        raise Refusal("truncated", "The WebM is longer than the file.")
    # Browsers record with unknown sizes: there the first unknown element is the end.
    is_open, in_cluster = size is None, False
    while at < end:
        try:
            name, size, inside = _element(body, at)
        except IndexError:
            if is_open:
                break
            raise
        if name not in IN_SEGMENT and not (in_cluster and name in IN_CLUSTER):
            if is_open:
                break
            raise _broken("WebM", "an element is of no known kind")
        in_cluster = (in_cluster and name in IN_CLUSTER) or (name == CLUSTER and size is None)
        at = inside + (size or 0)
        if size is None and name != CLUSTER:
            raise _broken("WebM", "an element has no length")
        if at > end:
            raise Refusal("truncated", "An element is longer than the rest of the WebM.")
    return Layout(end=at, tracks=True)


PDF_HEADER = re.compile(rb"%PDF-[12]\.\d")
PDF_WHOLE_LENGTH = re.compile(rb"/Linearized\b[^>]{0,200}?/L\s+(\d{1,12})\b")


def _pdf(body: bytes) -> Layout:
    if PDF_HEADER.match(body) is None:
        raise _not_of_type("a PDF document")
    # Each saving appends its own end mark, so the last one counts.
    mark = body.rfind(b"%%EOF")
    stated = PDF_WHOLE_LENGTH.search(body, 0, 2048)
    if mark < 0 or (stated is not None and int(stated[1]) > len(body)):
        raise Refusal("truncated", "The PDF ends before its end mark.")
    end = mark + 5
    for newline in (b"\r\n", b"\n", b"\r"):
        if body.startswith(newline, end):
            end += len(newline)
            break
    return Layout(end=end)


WALKERS: Mapping[str, Callable[[bytes], Layout]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/avif": _avif,
    "video/mp4": _mp4,
    "video/webm": _webm,
    "application/pdf": _pdf,
}

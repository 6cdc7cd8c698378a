"""Takes metadata out of JPEG, PNG and WebP files; the compressed picture is copied byte for byte.

Pure, in the decode child, behind the decode: the structure was walked to its end before.
"""

# ruff: noqa: PLR2004 - marks, offsets and sizes are the formats' own

import zlib
from collections.abc import Iterator

from adapters.metadata_exif import minimal, only_orientation, without_places
from adapters.metadata_iptc import without_places as iptc_without_places
from adapters.metadata_xmp import MOST_BYTES
from adapters.metadata_xmp import without_places as xmp_without_places

Removed = set[str]

EXIF_MARK = b"Exif\0\0"
XMP_MARK = b"http://ns.adobe.com/xap/1.0/\0"
LONG_XMP_MARK = b"http://ns.adobe.com/xmp/extension/\0"
PHOTOSHOP_MARK = b"Photoshop 3.0\0"
LONG_XMP_PLACES = (b"GPS", b"Location", b"City", b"Country", b"Latitude", b"Longitude")
COLOURS = {0xE0, 0xEE}
"""JFIF and Adobe say how the colours are coded."""
MOST_SEGMENT = 65_533


def jpeg(body: bytes, *, everything: bool) -> tuple[bytes, Removed]:
    """The file without places, or without everything that is no picture."""
    removed: Removed = set()
    kept = [body[:2]]
    segments = list(_jpeg_segments(body))
    long_xmp = b"".join(
        body[at + 4 : end] for kind, at, end in segments
        if kind == 0xE1 and body.startswith(LONG_XMP_MARK, at + 4)
    )  # fmt: skip
    drop_long_xmp = any(word in long_xmp for word in LONG_XMP_PLACES)
    for kind, at, end in segments:
        segment = body[at:end]
        if kind == 0xDA:
            kept.append(body[at:])
            break
        found = _metadata_of(kind, segment[4:])
        if found is None:
            kept.append(segment)
        elif everything:
            removed.add(found)
            if found == "exif":
                kept.append(_segment(0xE1, EXIF_MARK + only_orientation(segment[4 + 6 :])))
        elif segment[4:].startswith(LONG_XMP_MARK):
            if drop_long_xmp:
                removed.add("xmp")
            else:
                kept.append(segment)
        else:
            kept.append(_jpeg_without_places(segment, kind, found, removed))
    return b"".join(kept), removed


def _metadata_of(kind: int, content: bytes) -> str | None:
    """What a segment tells beside the picture; None: it belongs to it."""
    if kind == 0xFE:
        return "comment"
    if kind == 0xE1 and content.startswith(EXIF_MARK):
        return "exif"
    if kind == 0xE1 and content.startswith((XMP_MARK, LONG_XMP_MARK)):
        return "xmp"
    if kind == 0xED:
        return "iptc"
    profile = kind == 0xE2 and content.startswith(b"ICC_PROFILE\0")
    return None if not 0xE0 <= kind <= 0xEF or kind in COLOURS or profile else "application"


def _jpeg_without_places(segment: bytes, kind: int, found: str, removed: Removed) -> bytes:
    content = segment[4:]
    if found == "exif":
        block, places = without_places(content[6:])
        removed |= places
        return _segment(kind, EXIF_MARK + block) if places else segment
    if found == "xmp":
        packet = xmp_without_places(content[len(XMP_MARK) :])
        if packet is None:
            return segment
        removed.add("xmp")
        fits = packet and len(packet) + len(XMP_MARK) <= MOST_SEGMENT
        return _segment(kind, XMP_MARK + packet) if fits else b""
    if found == "iptc" and content.startswith(PHOTOSHOP_MARK):
        blocks = iptc_without_places(content[len(PHOTOSHOP_MARK) :])
        if blocks is None:
            return segment
        removed.add("iptc")
        return _segment(kind, PHOTOSHOP_MARK + blocks) if blocks else b""
    return segment


def _segment(kind: int, content: bytes) -> bytes:
    return bytes((0xFF, kind)) + (len(content) + 2).to_bytes(2) + content


def _jpeg_segments(body: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, start and end of the segments up to the first scan."""
    at = 2
    while True:
        start = at
        while body[at + 1] == 0xFF:
            at += 1
        kind = body[at + 1]
        if kind == 0x01 or 0xD0 <= kind <= 0xD7:
            yield kind, start, at + 2
            at += 2
            continue
        end = at + 2 + int.from_bytes(body[at + 2 : at + 4])
        # Filling bytes in front are dropped with what they fill.
        yield kind, at, end
        if kind == 0xDA:
            return
        at = end


PNG_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
RAW_PROFILE = b"Raw profile type "
PNG_XMP = b"XML:com.adobe.xmp\0"


def png(body: bytes, *, everything: bool) -> tuple[bytes, Removed]:
    """The file without places, or without everything that is no picture."""
    removed: Removed = set()
    kept, at = [body[:8]], 8
    while at < len(body):
        length = int.from_bytes(body[at : at + 4])
        kind, content = body[at + 4 : at + 8], body[at + 8 : at + 8 + length]
        chunk = body[at : at + 12 + length]
        at += 12 + length
        if kind == b"eXIf":
            block, places = _exif(content, everything=everything)
            removed |= places
            kept.append(_chunk(kind, block) if places else chunk)
        elif kind in PNG_TEXTS:
            kept.append(_png_text(kind, content, chunk, removed, everything=everything))
        elif kind == b"tIME" and everything:
            removed.add("text")
        else:
            kept.append(chunk)
    return b"".join(kept), removed


def _exif(block: bytes, *, everything: bool) -> tuple[bytes, Removed]:
    return (only_orientation(block), {"exif"}) if everything else without_places(block)


def _png_text(
    kind: bytes, content: bytes, chunk: bytes, removed: Removed, *, everything: bool
) -> bytes:
    if everything:
        removed.add("text")
        return b""
    if content.startswith(RAW_PROFILE) and not content.startswith(RAW_PROFILE + b"icc"):
        # EXIF, IPTC or XMP in hexadecimal, as ImageMagick writes it.
        removed.add("exif")
        return b""
    if kind in {b"iTXt", b"zTXt"} and content.startswith(PNG_XMP):
        start, packed = _png_packet(kind, content)
        packet = _unpacked(content[start:]) if packed else content[start:]
        after = xmp_without_places(packet)
        if after is None:
            return chunk
        removed.add("xmp")
        if not after:
            return b""
        return _chunk(kind, content[:start] + (zlib.compress(after) if packed else after))
    return chunk


def _png_packet(kind: bytes, content: bytes) -> tuple[int, bool]:
    """Where the packet begins, and whether it is compressed."""
    if kind == b"zTXt":
        return len(PNG_XMP) + 1, True
    language_end = content.index(0, len(PNG_XMP) + 2)
    return content.index(0, language_end + 1) + 1, content[len(PNG_XMP)] != 0


def _unpacked(packed: bytes) -> bytes:
    """Of a bomb, and of what is not zlib's, nothing."""
    unpacking = zlib.decompressobj()
    try:
        packet = unpacking.decompress(packed, MOST_BYTES)
    except zlib.error:
        return b""
    return packet if unpacking.eof else b""


def _chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


WEBP_FLAGS = {b"EXIF": 0x08, b"XMP ": 0x04}


def webp(body: bytes, *, everything: bool) -> tuple[bytes, Removed]:
    """The file without places, or without everything that is no picture."""
    removed: Removed = set()
    kept: list[bytes] = []
    at, dropped = 12, 0
    while at + 8 <= len(body):
        length = int.from_bytes(body[at + 4 : at + 8], "little")
        kind, content = body[at : at + 4], body[at + 8 : at + 8 + length]
        chunk = body[at : at + 8 + length + length % 2]
        at += 8 + length + length % 2
        if kind == b"EXIF":
            mark = EXIF_MARK if content.startswith(EXIF_MARK) else b""
            block, places = _exif(content[len(mark) :], everything=everything)
            removed |= places
            kept.append(_riff(kind, mark + block) if places else chunk)
        elif kind == b"XMP ":
            packet = b"" if everything else xmp_without_places(content)
            if packet is not None:
                removed.add("xmp")
            if packet == b"":
                dropped |= WEBP_FLAGS[kind]
            else:
                kept.append(chunk if packet is None else _riff(kind, packet))
        else:
            kept.append(chunk)
    if dropped and kept and kept[0].startswith(b"VP8X"):
        head = bytearray(kept[0])
        head[8] &= ~dropped & 0xFF
        kept[0] = bytes(head)
    inside = b"WEBP" + b"".join(kept)
    return b"RIFF" + len(inside).to_bytes(4, "little") + inside, removed


def _riff(kind: bytes, content: bytes) -> bytes:
    return kind + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


__all__ = ["jpeg", "minimal", "png", "webp"]

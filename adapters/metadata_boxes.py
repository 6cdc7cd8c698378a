"""Takes metadata out of AVIF and MP4 files in place: no box moves, so every offset stays true.

Pure, in the decode child, behind the decode. What is taken out becomes blanks, or a `free` box.
"""

# ruff: noqa: PLR2004 - offsets and sizes are the formats' own

from collections.abc import Iterator

from adapters.metadata_exif import minimal, without_places
from adapters.metadata_xmp import fitting

Removed = set[str]

CONTAINERS = {b"moov", b"trak", b"udta", b"mdia", b"minf", b"ilst"}
PLACE_BOXES = {b"\xa9xyz", b"loci", b"gps ", b"GPS ", b"gpsd", b"\xa9gps"}
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
PLACE_KEYS = (b"location", b"gps", b"latitude", b"longitude")
MOST_DEPTH = 8


def boxes(body: bytes | bytearray, at: int, end: int) -> Iterator[tuple[bytes, int, int, int]]:
    """Kind, start, start of the content and end of each box."""
    while at + 8 <= end:
        length, head = int.from_bytes(body[at : at + 4]), 8
        if length == 1:
            length, head = int.from_bytes(body[at + 8 : at + 16]), 16
        elif length == 0:
            length = end - at
        if length < head or at + length > end:
            return
        yield bytes(body[at + 4 : at + 8]), at, at + head, at + length
        at += length


def mp4(body: bytes, *, everything: bool) -> tuple[bytes, Removed]:
    """The video without places, or without everything it tells beside itself."""
    changed = bytearray(body)
    removed: Removed = set()
    _clean(changed, 0, len(changed), removed, everything=everything, depth=0)
    return bytes(changed), removed


def _clean(
    body: bytearray, at: int, end: int, removed: Removed, *, everything: bool, depth: int
) -> None:
    if depth > MOST_DEPTH:
        return
    for kind, start, inside, over in list(boxes(body, at, end)):
        if kind in PLACE_BOXES or (everything and kind in {b"udta", b"meta"} and depth):
            _free(body, start, inside, over)
            removed.add("container")
        elif kind in CONTAINERS:
            _clean(body, inside, over, removed, everything=everything, depth=depth + 1)
        elif kind == b"meta":
            _clean_keys(body, inside, over, removed)
        elif kind == b"XMP_" or (kind == b"uuid" and body[inside : inside + 16] == XMP_UUID):
            start_of_packet = inside + (16 if kind == b"uuid" else 0)
            packet = bytes(body[start_of_packet:over])
            after = b"" if everything else fitting(packet)
            if after is not None:
                body[start_of_packet:over] = after.ljust(len(packet), b" ")
                removed.add("xmp")


def _free(body: bytearray, start: int, inside: int, over: int) -> None:
    body[start + 4 : start + 8] = b"free"
    body[inside:over] = bytes(over - inside)


def _clean_keys(body: bytearray, inside: int, over: int, removed: Removed) -> None:
    """QuickTime's `keys` and `ilst`: names in one, values by number in the other."""
    # A full box in MP4, a plain one in QuickTime.
    first = inside if bytes(body[inside + 4 : inside + 8]) == b"hdlr" else inside + 4
    known = {kind: (start, content, end) for kind, start, content, end in boxes(body, first, over)}
    if b"ilst" not in known:
        return
    _, values, values_end = known[b"ilst"]
    places: set[int] = set()
    if b"keys" in known:
        _, names, names_end = known[b"keys"]
        at, number = names + 8, 0
        while at + 8 <= names_end:
            length = int.from_bytes(body[at : at + 4])
            if length < 8:
                break
            number += 1
            name = bytes(body[at + 8 : at + length]).lower()
            if any(word in name for word in PLACE_KEYS):
                places.add(number)
            at += length
    for kind, start, content, end in list(boxes(body, values, values_end)):
        if int.from_bytes(kind) in places or kind in PLACE_BOXES:
            _free(body, start, content, end)
            removed.add("container")


def avif(body: bytes, *, everything: bool) -> tuple[bytes, Removed]:
    """The picture without places, or without everything it tells beside itself."""
    changed = bytearray(body)
    removed: Removed = set()
    for kind, _, inside, over in boxes(body, 0, len(body)):
        if kind == b"meta":
            _clean_items(changed, inside + 4, over, removed, everything=everything)
    if b"moov" in {kind for kind, *_ in boxes(body, 0, len(body))}:
        _clean(changed, 0, len(changed), removed, everything=everything, depth=0)
    return bytes(changed), removed


def _clean_items(body: bytearray, at: int, end: int, removed: Removed, *, everything: bool) -> None:
    inner = {kind: (content, over) for kind, _, content, over in boxes(body, at, end)}
    if b"iinf" not in inner or b"iloc" not in inner:
        return
    kinds = dict(_items(body, *inner[b"iinf"]))
    data = inner.get(b"idat", (0, 0))[0]
    for item, pieces in _places_of_items(body, inner[b"iloc"][0], data):
        kind = kinds.get(item)
        if kind is None:
            continue
        whole = b"".join(bytes(body[start : start + size]) for start, size in pieces)
        after = _cleaned(kind, whole, everything=everything)
        if after is None:
            continue
        removed.add(kind)
        for start, size in pieces:
            body[start : start + size], after = after[:size], after[size:]


def _cleaned(kind: str, whole: bytes, *, everything: bool) -> bytes | None:
    """What to put in an item's place, of the same length; None: leave it."""
    if kind == "xmp":
        return b" " * len(whole) if everything else fitting(whole)
    skip = 4 + int.from_bytes(whole[:4])
    block, places = (b"", {"exif"}) if everything else without_places(whole[skip:])
    if not places:
        return None
    if len(block) != len(whole) - skip:
        # The picture's own boxes say how it is held.
        skip, block = 4, minimal(1)
    head = whole[:skip] if block and skip != 4 else bytes(4)
    filled = (head + block).ljust(len(whole), b"\0")
    return filled if len(filled) == len(whole) else bytes(len(whole))


def _items(body: bytearray, at: int, end: int) -> Iterator[tuple[int, str]]:
    """Numbers of the items that are EXIF or XMP."""
    version = body[at]
    first = at + (6 if version == 0 else 8)
    for kind, _, content, over in boxes(body, first, end):
        if kind != b"infe" or body[content] < 2:
            continue
        wide = 4 if body[content] > 2 else 2
        number = int.from_bytes(body[content + 4 : content + 4 + wide])
        rest = content + 4 + wide + 2
        name = bytes(body[rest : rest + 4])
        if name == b"Exif":
            yield number, "exif"
        elif name == b"mime" and b"rdf+xml" in bytes(body[rest:over]):
            yield number, "xmp"


def _places_of_items(
    body: bytearray, at: int, data: int
) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Where the bytes of each item stand in the file."""
    version = body[at]
    offset_bytes, length_bytes = body[at + 4] >> 4, body[at + 4] & 15
    base_bytes, index_bytes = body[at + 5] >> 4, body[at + 5] & 15 if version else 0
    wide = 4 if version == 2 else 2
    count = int.from_bytes(body[at + 6 : at + 6 + wide])
    at += 6 + wide

    def number(size: int) -> int:
        nonlocal at
        value = int.from_bytes(body[at : at + size])
        at += size
        return value

    for _ in range(min(count, 10_000)):
        item = number(wide)
        inside = number(2) & 15 if version else 0
        number(2)
        base = number(base_bytes)
        pieces = []
        for _ in range(number(2)):
            number(index_bytes)
            start, size = base + number(offset_bytes), number(length_bytes)
            start += data if inside == 1 else 0
            if inside <= 1 and start > 0 and start + size <= len(body):
                pieces.append((start, size))
        yield item, pieces

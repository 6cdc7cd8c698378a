"""Takes places out of IPTC records and the Photoshop blocks around them. Pure, in the child."""

# ruff: noqa: PLR2004 - numbers are the formats' own

RECORD = 2
PLACES = frozenset({26, 27, 90, 92, 95, 100, 101})
"""Content location code and name, city, sublocation, state, country code and name."""
IRB = b"8BIM"
IPTC_RESOURCE, DIGEST_RESOURCE = 0x0404, 0x0425


def without_places(value: bytes) -> bytes | None:
    """The records, or the blocks that hold them, without places; None: there were none.

    What cannot be followed is emptied.
    """
    try:
        kept = _blocks(value) if value.startswith(IRB) else _records(value)
    except (IndexError, ValueError):
        return b""
    return None if kept == value else kept


def _blocks(value: bytes) -> bytes:
    kept, at, changed = [], 0, False
    while at < len(value.rstrip(b"\0")) and value[at : at + 4] == IRB:
        kind = int.from_bytes(_part(value, at + 4, 2))
        name = value[at + 6]
        head = 6 + (name + 1) + (name + 1) % 2
        size = int.from_bytes(_part(value, at + head, 4))
        start = at + head + 4
        body = _part(value, start, size)
        end = min(start + size + size % 2, len(value))
        if kind == IPTC_RESOURCE:
            records = _records(body)
            if records != body:
                changed = True
                padded = records + b"\0" * (len(records) % 2)
                kept.append((kind, value[at : at + head] + len(records).to_bytes(4) + padded))
                at = end
                continue
        kept.append((kind, value[at:end]))
        at = end
    if not changed:
        return value
    # The digest is of the records that are no longer there.
    return b"".join(block for kind, block in kept if kind != DIGEST_RESOURCE)


def _records(value: bytes) -> bytes:
    kept, at = [], 0
    while at < len(value) and value[at] == 0x1C:
        size = int.from_bytes(_part(value, at + 3, 2))
        if size & 0x8000:
            raise ValueError("an extended record")
        end = at + 5 + size
        _part(value, at, end - at)
        if not (value[at + 1] == RECORD and value[at + 2] in PLACES):
            kept.append(value[at:end])
        at = end
    if value[at:].strip(b"\0"):
        raise ValueError("not a record")
    joined = b"".join(kept)
    return value if len(joined) == at else joined


def _part(value: bytes, at: int, size: int) -> bytes:
    if at + size > len(value):
        raise IndexError
    return value[at : at + size]

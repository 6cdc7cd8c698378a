"""Takes places out of an EXIF block (a TIFF structure) in place: no length and no offset changes.

Offsets inside a block are counted from its start, and cameras keep more of them in notes nobody
documents: so an entry is taken out by closing the gap in its list, and its values by zeros. Runs in
the decode child; pure and strict: what cannot be followed raises Unreadable.
"""

# ruff: noqa: PLR2004 - tags, offsets and sizes are the format's own

from collections.abc import Callable, Iterator
from typing import Literal

from adapters.metadata_iptc import without_places as iptc_without_places
from adapters.metadata_xmp import fitting as xmp_fitting

ORIENTATION, GPS, EXIF, INTEROP, XMP, IPTC, PHOTOSHOP = (
    0x0112, 0x8825, 0x8769, 0xA005, 0x02BC, 0x83BB, 0x8649,
)  # fmt: skip
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}
MAX_LISTS = 16
ENTRY = 12


class Unreadable(Exception):
    """The block cannot be followed to its end."""


class Exif:
    """One block, to be read and changed."""

    def __init__(self, block: bytes) -> None:
        """Raises Unreadable."""
        order = {b"II*\0": "little", b"MM\0*": "big"}.get(block[:4])
        if order is None:
            raise Unreadable
        self._order = order
        self.body = bytearray(block)

    def _number(self, at: int, size: int) -> int:
        if at < 0 or at + size > len(self.body):
            raise Unreadable
        part = self.body[at : at + size]
        return int.from_bytes(part, "little" if self._order == "little" else "big")

    def _lists(self) -> Iterator[int]:
        """Where each list of entries stands, those within lists included."""
        waiting, seen = [self._number(4, 4)], set[int]()
        while waiting:
            at = waiting.pop()
            if at == 0:
                continue
            if at in seen or len(seen) >= MAX_LISTS:
                raise Unreadable
            seen.add(at)
            yield at
            count = self._number(at, 2)
            for number in range(count):
                entry = at + 2 + ENTRY * number
                if self._number(entry, 2) in {EXIF, INTEROP}:
                    waiting.append(self._number(entry + 8, 4))
            waiting.append(self._number(at + 2 + ENTRY * count, 4))

    def orientation(self) -> int:
        """1 to 8."""
        first = self._number(4, 4)
        for number in range(self._number(first, 2)):
            entry = first + 2 + ENTRY * number
            if self._number(entry, 2) == ORIENTATION:
                value = self._number(entry + 8, 2)
                return value if 1 <= value <= 8 else 1
        return 1

    def remove_places(self) -> set[str]:
        """Take out every place; where one stood. Raises Unreadable."""
        removed: set[str] = set()
        for at in list(self._lists()):
            number = 0
            while number < self._number(at, 2):
                entry = at + 2 + ENTRY * number
                tag = self._number(entry, 2)
                if tag == GPS:
                    self._clear_list(self._number(entry + 8, 4))
                    self._take_out(at, number)
                    removed.add("exif")
                    continue
                if tag == XMP and self._rewrite(entry, xmp_fitting):
                    removed.add("xmp")
                elif tag in {IPTC, PHOTOSHOP} and self._rewrite(entry, _shorter_iptc):
                    removed.add("iptc")
                number += 1
        return removed

    def _value(self, entry: int) -> tuple[int, int]:
        """Where the value of an entry stands, and how many bytes it takes."""
        size = SIZES.get(self._number(entry + 2, 2), 1) * self._number(entry + 4, 4)
        at = entry + 8 if size <= 4 else self._number(entry + 8, 4)
        if at + size > len(self.body):
            raise Unreadable
        return at, size

    def _rewrite(self, entry: int, change: Callable[[bytes], bytes | None]) -> bool:
        """Replace the value by one that is not longer; whether there was anything to change."""
        at, size = self._value(entry)
        before = bytes(self.body[at : at + size])
        after = change(before)
        if after is None:
            return False
        self.body[at : at + size] = after[:size].ljust(size, b"\0")
        return True

    def _clear_list(self, at: int) -> None:
        count = self._number(at, 2)
        for number in range(count):
            value, size = self._value(at + 2 + ENTRY * number)
            self.body[value : value + size] = bytes(size)
        end = at + 2 + ENTRY * count
        self._number(at, end - at)
        self.body[at:end] = bytes(end - at)

    def _take_out(self, at: int, number: int) -> None:
        """Close the gap of an entry: those behind it and the link to the next list move up."""
        count = self._number(at, 2)
        entry, end = at + 2 + ENTRY * number, at + 2 + ENTRY * count + 4
        if number >= count:
            # The list of places lay over this one, and is gone.
            raise Unreadable
        self._number(at, end - at)
        self.body[entry : end - ENTRY] = self.body[entry + ENTRY : end]
        self.body[end - ENTRY : end] = bytes(ENTRY)
        order: Literal["little", "big"] = "little" if self._order == "little" else "big"
        self.body[at : at + 2] = (count - 1).to_bytes(2, order)


def without_places(block: bytes) -> tuple[bytes, set[str]]:
    """The block without places, of the same length, and where one stood.

    Of one that cannot be followed nothing is kept but the orientation.
    """
    try:
        exif = Exif(block)
        removed = exif.remove_places()
    except Unreadable:
        return only_orientation(block), {"exif"}
    return bytes(exif.body), removed


def only_orientation(block: bytes) -> bytes:
    """A block that says how the picture is held, and no more."""
    try:
        turned = Exif(block).orientation()
    except Unreadable:
        turned = 1
    return minimal(turned)


def minimal(orientation: int) -> bytes:
    """A block with one entry, 26 bytes."""
    entry = ORIENTATION.to_bytes(2) + b"\0\3\0\0\0\1" + orientation.to_bytes(2) + b"\0\0"
    return b"MM\0*\0\0\0\x08\0\1" + entry + b"\0\0\0\0"


def _shorter_iptc(value: bytes) -> bytes | None:
    return iptc_without_places(value)

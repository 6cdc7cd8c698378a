"""What scanning for malware needs of the world, as a Protocol."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec


class Clean(msgspec.Struct, frozen=True):
    """The scanner has read everything and knows nothing bad of it."""

    engine: str
    """What it says of itself and of its signatures; at most 200 printable characters."""


class Malware(msgspec.Struct, frozen=True):
    """The scanner knows this file."""

    signature: str
    """The name the scanner gives it; at most 200 printable characters."""


class ScannerUnavailable(Exception):
    """There is no verdict, which says nothing about the file: try again, and release nothing."""


class MalwareScanner(Protocol):
    """Looks for known malware in whole files."""

    async def scan(self, parts: AsyncIterator[bytes]) -> Clean | Malware:
        """The verdict on a file; only so much of it is in memory as is on its way.

        Raises ScannerUnavailable, and whatever the parts raise.
        """
        ...

"""Whether the scanner works: the test file that every scanner knows, and a harmless one.

Without it a scanner that is away shows only in uploads that are not finished, and one that lets
everything through shows nowhere.
"""

import asyncio
from collections.abc import AsyncIterator

from adapters.telemetry import get_logger
from application.scan_ports import Clean, Malware, MalwareScanner, ScannerUnavailable

RECHECK_SECONDS = 30.0
TEST_FILE = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-" + b"TEST-FILE!$H+H*"
"""Harmless (eicar.org). In pieces, or scanners would take this file away."""
HARMLESS = b"Nothing bad is to be found here.\n"


class ScannerCheck:
    """Keeps what the last look showed."""

    def __init__(self, scanner: MalwareScanner) -> None:
        self._scanner = scanner
        self.trouble: str | None = "not checked yet"
        """Why scanning does not work; None: it does."""

    async def watch(self, *, every_seconds: float = RECHECK_SECONDS) -> None:
        """Look again and again, and say what has changed."""
        while True:
            before, self.trouble = self.trouble, await self.find_trouble()
            if self.trouble is not None and self.trouble != before:
                get_logger().error("media.scanner.fails", error=self.trouble)
            elif self.trouble is None and before is not None:
                get_logger().info("media.scanner.works")
            await asyncio.sleep(every_seconds)

    async def find_trouble(self) -> str | None:
        """Why scanning does not work at this moment; None: it does."""
        try:
            if not isinstance(await self._scanner.scan(_whole(TEST_FILE)), Malware):
                return "The scanner does not know the test file of all scanners: has it signatures?"
            if not isinstance(await self._scanner.scan(_whole(HARMLESS)), Clean):
                return "The scanner takes a harmless sentence for malware."
        except ScannerUnavailable as unavailable:
            return str(unavailable)
        return None


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body

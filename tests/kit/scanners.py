"""Scanners with a hand on them: for the moments a test cannot wait for."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from adapters.scanner_check import TEST_FILE
from application.scan_ports import Clean, Malware, ScannerUnavailable


class FaultyScanner:
    """Knows the test file as a real one does; is `away`, or slow, when it is told to.

    `before_verdict` is called once, between the last byte and the verdict.
    """

    def __init__(self) -> None:
        self.away = False
        self.seconds = 0.0
        self.scanned: list[int] = []
        """The size of each file it has seen."""
        self.before_verdict: Callable[[], Awaitable[None]] | None = None

    async def scan(self, parts: AsyncIterator[bytes]) -> Clean | Malware:
        if self.away:
            raise ScannerUnavailable("The scanner cannot be reached: Connection refused")
        body = b"".join([part async for part in parts])
        self.scanned.append(len(body))
        await asyncio.sleep(self.seconds)
        if self.before_verdict is not None:
            hook, self.before_verdict = self.before_verdict, None
            await hook()
        return Malware("Eicar") if TEST_FILE in body else Clean("ClamAV 1.4.3/27812")

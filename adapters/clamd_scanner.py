"""The `MalwareScanner` port on clamd, ClamAV's daemon, over TCP: its command INSTREAM.

Written by hand, since what a scanner that hangs, lies or breaks off does to an upload is our
promise: only the one answer that says so, after everything was sent, is taken for "clean".
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import perf_counter
from typing import TypeAlias

import msgspec

from adapters.metrics import SCAN_SECONDS
from adapters.scanner_address import ScannerAddress
from adapters.tasks import ended
from application.scan_ports import Clean, Malware, ScannerUnavailable

SCANS_AT_ONCE = 8
"""Of one process. clamd works on 10 by default, and lets the others wait."""
MAX_ANSWER_BYTES = 2048
PIECE_BYTES = 1 << 18
FOUND = re.compile(r"stream: ([!-~](?:[ -~]{0,198}[!-~])?) FOUND")
ENGINE = re.compile(r"ClamAV [ -~]{1,190}")
NOT_LOOKED_AT = "Heuristics.Limits.Exceeded"
"""What clamd calls a file it has not read to its end (`AlertExceedsMax`): there is no verdict."""

_Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class ScanLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long clamd may take, in seconds."""

    connect_seconds: float = 5
    silence_seconds: float = 30
    """For taking a quarter of a mebibyte."""
    total_seconds: float = 540
    """For the whole file, waiting for our turn included. Less than the job's limit."""


class ClamdScanner:
    """One connection for each file."""

    def __init__(self, address: ScannerAddress, limits: ScanLimits | None = None) -> None:
        self._address = address
        self._limits = limits or ScanLimits()
        self._turns = asyncio.Semaphore(SCANS_AT_ONCE)

    async def scan(self, parts: AsyncIterator[bytes]) -> Clean | Malware:
        """What clamd says of the file.

        Raises ScannerUnavailable, and whatever the parts raise.
        """
        began = perf_counter()
        verdict = "none"
        try:
            async with asyncio.timeout(self._limits.total_seconds) as limit, self._turns:
                found = await self._verdict(parts)
            verdict = "clean" if isinstance(found, Clean) else "malware"
        except TimeoutError:
            if not limit.expired():
                raise
            raise ScannerUnavailable("The scanner takes too long.") from None
        else:
            return found
        finally:
            SCAN_SECONDS.labels(verdict).observe(perf_counter() - began)

    async def _verdict(self, parts: AsyncIterator[bytes]) -> Clean | Malware:
        engine = await self.engine()
        async with self._connected() as (reader, writer):
            answer = await self._stream(parts, reader, writer)
        if answer == "stream: OK":
            return Clean(engine)
        found = FOUND.fullmatch(answer)
        if found is None:
            raise ScannerUnavailable(f"The scanner answers {printable(answer)}")
        if found[1].startswith(NOT_LOOKED_AT):
            raise ScannerUnavailable(f"The file is over a limit of the scanner: {found[1]}")
        return Malware(found[1])

    async def engine(self) -> str:
        """What clamd says of itself: version, number and date of its signatures.

        Raises ScannerUnavailable.
        """
        async with self._connected() as (reader, writer):
            await self._send(writer, b"zVERSION\0")
            async with self._in_time("does not say its version"):
                answer = await _answer(reader)
        if ENGINE.fullmatch(answer) is None:
            raise ScannerUnavailable(f"The scanner calls itself {printable(answer)}")
        return answer

    async def _stream(
        self,
        parts: AsyncIterator[bytes],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> str:
        # Read all along: clamd refuses what is too long in the middle of it, and hangs up.
        answering = asyncio.create_task(_answer(reader))
        try:
            await self._send(writer, b"zINSTREAM\0")
            async for part in parts:
                for start in range(0, len(part), PIECE_BYTES):
                    piece = part[start : start + PIECE_BYTES]
                    await self._send_beside(answering, writer, len(piece).to_bytes(4) + piece)
            await self._send_beside(answering, writer, bytes(4))
            return await answering
        finally:
            await ended(answering)

    async def _send_beside(
        self, answering: asyncio.Task[str], writer: asyncio.StreamWriter, data: bytes
    ) -> None:
        """Send, unless there is an answer already: it cannot be about a file that is not all there.

        Raises ScannerUnavailable.
        """
        try:
            if not answering.done():
                await self._send(writer, data)
        except ScannerUnavailable:
            # Why it hung up may still be on its way.
            await asyncio.wait([answering], timeout=1)
            if not answering.done():
                raise
        if answering.done():
            said = printable(answering.result())
            raise ScannerUnavailable(f"The scanner answers before the end of the file: {said}")

    async def _send(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        async with self._in_time("takes no more data"):
            writer.write(data)
            await writer.drain()

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[_Streams]:
        try:
            async with asyncio.timeout(self._limits.connect_seconds):
                reader, writer = await asyncio.open_connection(
                    self._address.host, self._address.port, limit=MAX_ANSWER_BYTES
                )
        except (OSError, TimeoutError) as error:
            why = "no answer" if isinstance(error, TimeoutError) else str(error)
            raise ScannerUnavailable(f"The scanner cannot be reached: {why}") from error
        try:
            yield reader, writer
        finally:
            # Not closed politely: what is on its way to a scanner that hangs would wait for ever.
            writer.transport.abort()

    @asynccontextmanager
    async def _in_time(self, failure: str) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._limits.silence_seconds) as limit:
                yield
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise ScannerUnavailable(f"The scanner {failure}.") from error
        except OSError as error:
            raise ScannerUnavailable(f"The scanner {failure}: {error}") from error


async def _answer(reader: asyncio.StreamReader) -> str:
    """One answer, to its end. Raises ScannerUnavailable."""
    try:
        answer = await reader.readuntil(b"\0")
    except asyncio.IncompleteReadError as error:
        said = printable(error.partial.decode(errors="replace"))
        raise ScannerUnavailable(f"The scanner hangs up, having said {said}") from error
    except asyncio.LimitOverrunError as error:
        raise ScannerUnavailable("The scanner says more than an answer holds.") from error
    except OSError as error:
        raise ScannerUnavailable(f"The scanner breaks off: {error}") from error
    return answer[:-1].decode(errors="replace")


def printable(text: str) -> str:
    """What a scanner said, for an event or a log line: quoted, on one line, of bounded length."""
    return ascii(text[:200])

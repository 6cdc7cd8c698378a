"""What clamd says of files: a real one, and ones that hang, lie or break off."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from adapters.clamd_scanner import ClamdScanner, ScanLimits
from adapters.embedded import free_port
from adapters.scanner_address import ScannerAddress
from adapters.scanner_check import TEST_FILE, ScannerCheck
from application.scan_ports import Clean, Malware, ScannerUnavailable
from domain.media_type import MEDIA_TYPES
from tests.kit.clamd import SIGNATURE, find_clamd, running_clamd
from tests.kit.samples import infected_pdf, sample

MEBIBYTE = 1 << 20
HURRY = ScanLimits(connect_seconds=1, silence_seconds=0.5, total_seconds=2)
HANGS_SECONDS = 60

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def parts_of(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def scanner_at(address: str, limits: ScanLimits | None = None) -> ClamdScanner:
    return ClamdScanner(ScannerAddress.parse(address), limits)


@pytest.mark.parametrize("mime_type", list(MEDIA_TYPES))
async def test_a_real_file_of_each_type_is_clean(scanner: str, mime_type: str) -> None:
    verdict = await scanner_at(scanner).scan(parts_of(sample(mime_type)))
    assert isinstance(verdict, Clean)
    assert verdict.engine.startswith("ClamAV ")


async def test_a_pdf_that_carries_the_test_file_is_known(scanner: str) -> None:
    assert TEST_FILE in infected_pdf()
    verdict = await scanner_at(scanner).scan(parts_of(infected_pdf()))
    assert isinstance(verdict, Malware)
    assert SIGNATURE in verdict.signature


async def test_what_is_split_between_two_parts_is_found_too(scanner: str) -> None:
    body = infected_pdf()
    middle = body.index(TEST_FILE) + 20
    verdict = await scanner_at(scanner).scan(parts_of(body[:middle], b"", body[middle:]))
    assert isinstance(verdict, Malware)


async def test_many_files_are_scanned_at_once(scanner: str) -> None:
    one = scanner_at(scanner)
    bodies = [sample("application/pdf"), infected_pdf()] * 20
    verdicts = await asyncio.gather(*(one.scan(parts_of(body)) for body in bodies))
    assert [type(verdict) for verdict in verdicts] == [Clean, Malware] * 20


async def test_a_file_over_the_scanner_s_limits_is_neither_clean_nor_malware(scanner: str) -> None:
    # The server of the run takes 100 MiB: enough to be refused in the middle of a stream.
    del scanner
    clamd = find_clamd()
    body = os.urandom(MEBIBYTE)
    async with running_clamd(clamd, StreamMaxLength="2M") as address:
        # A scanner that hangs up while we send may take its reason with it.
        with pytest.raises(ScannerUnavailable, match=r"size limit exceeded|breaks off"):
            await scanner_at(address).scan(parts_of(*[body] * 40))
        assert isinstance(await scanner_at(address).scan(parts_of(body)), Clean)
    async with running_clamd(clamd, MaxFileSize="1M", MaxScanSize="1M") as address:
        with pytest.raises(ScannerUnavailable, match="over a limit"):
            await scanner_at(address).scan(parts_of(b"%PDF-1.7\n", body, body))


async def test_what_the_source_of_the_parts_raises_comes_through(scanner: str) -> None:
    class Gone(Exception):
        pass

    async def breaking() -> AsyncIterator[bytes]:
        yield b"%PDF-1.7"
        raise Gone

    with pytest.raises(Gone):
        await scanner_at(scanner).scan(breaking())


async def test_a_large_file_is_never_in_memory_whole(scanner: str) -> None:
    taken = 0

    async def long() -> AsyncIterator[bytes]:
        nonlocal taken
        for _ in range(64):
            taken += 1
            yield bytes(MEBIBYTE)

    async with running(hangs_after_the_first_part) as address:
        with pytest.raises(ScannerUnavailable):
            await scanner_at(address, HURRY).scan(long())
    assert taken < 24, "what the sockets hold, and no more"
    assert isinstance(await scanner_at(scanner).scan(long()), Clean)


async def test_the_check_finds_a_scanner_that_works_that_is_away_or_that_lies(scanner: str) -> None:
    assert await ScannerCheck(scanner_at(scanner)).find_trouble() is None
    away = await ScannerCheck(scanner_at(f"clamd://127.0.0.1:{free_port()}")).find_trouble()
    assert "cannot be reached" in (away or "")
    async with running(answering(b"stream: OK\0")) as address:
        lying = await ScannerCheck(scanner_at(address)).find_trouble()
    assert "does not know the test file" in (lying or "")
    async with running(answering(b"stream: Everything FOUND\0")) as address:
        lying = await ScannerCheck(scanner_at(address)).find_trouble()
    assert "harmless" in (lying or "")


@contextlib.asynccontextmanager
async def running(talk: Talk) -> AsyncIterator[str]:
    """A server that says its version as clamd does, and of a file whatever `talk` says."""

    talking: set[asyncio.Task[object]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talking.add(task)
        with contextlib.suppress(
            ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
        ):
            command = await reader.readuntil(b"\0")
            if command == b"zVERSION\0":
                writer.write(b"ClamAV 1.4.3/27812/Thu Nov 26 09:31:02 2026\0")
                await writer.drain()
            else:
                assert command == b"zINSTREAM\0"
                await talk(reader, writer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"clamd://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in talking:
            task.cancel()
        await asyncio.gather(*talking, return_exceptions=True)


async def whole(reader: asyncio.StreamReader) -> None:
    while size := int.from_bytes(await reader.readexactly(4)):
        await reader.readexactly(size)


def answering(answer: bytes) -> Talk:
    """Takes the whole file, then answers and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await whole(reader)
        writer.write(answer)
        await writer.drain()

    return talk


async def hangs_after_the_first_part(
    reader: asyncio.StreamReader, _writer: asyncio.StreamWriter
) -> None:
    await reader.readexactly(4)
    await asyncio.sleep(HANGS_SECONDS)


async def hangs_after_the_whole_file(
    reader: asyncio.StreamReader, _writer: asyncio.StreamWriter
) -> None:
    await whole(reader)
    await asyncio.sleep(HANGS_SECONDS)


async def drips(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await whole(reader)
    while True:
        writer.write(b"\n")
        await writer.drain()
        await asyncio.sleep(0.1)


async def never_ends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await whole(reader)
    while True:
        writer.write(b"stream: OK" * 1000)
        await writer.drain()


async def says_clean_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"stream: OK\0")
    await writer.drain()
    await whole(reader)


async def refuses_in_the_middle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readexactly(1000)
    writer.write(b"INSTREAM size limit exceeded. ERROR\0")
    await writer.drain()


async def hangs_up_in_the_middle(
    reader: asyncio.StreamReader, _writer: asyncio.StreamWriter
) -> None:
    await reader.readexactly(1000)


IN_THE_MIDDLE = {
    hangs_after_the_first_part,
    says_clean_at_once,
    refuses_in_the_middle,
    hangs_up_in_the_middle,
}


FOR_EVER: dict[Talk, ScanLimits] = {
    hangs_after_the_first_part: HURRY,
    # The whole file is to be taken, however busy the machine is: only the answer is waited for.
    hangs_after_the_whole_file: ScanLimits(total_seconds=5),
    drips: ScanLimits(total_seconds=5),
}


@pytest.mark.parametrize(
    ("talk", "why"),
    [
        (answering(b""), "hangs up"),
        (answering(b"stream: OK"), "hangs up"),
        (answering(b"\0"), "answers"),
        (answering(b"OK\0"), "answers"),
        (answering(b"stream: OK\n\0"), "answers"),
        (answering(b"stream: ok\0"), "answers"),
        (answering(b"stream: NOT OK\0"), "answers"),
        (answering(b"stream:  FOUND\0"), "answers"),
        (answering(b"stream: \x1b[2J FOUND\0"), "answers"),
        (answering(b"stream: " + b"a" * 300 + b" FOUND\0"), "answers"),
        (answering(b"stream: Can't allocate memory ERROR\0"), "allocate memory"),
        (answering(b"UNKNOWN COMMAND\0"), "UNKNOWN COMMAND"),
        (answering(b"\xff\xfe\x00"), "answers"),
        (answering(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "hangs up"),
        (answering(b"stream: Heuristics.Limits.Exceeded.MaxFileSize FOUND\0"), "over a limit"),
        (answering(b"a" * 100_000 + b"\0"), "more than an answer"),
        (hangs_after_the_first_part, "takes"),
        (hangs_after_the_whole_file, "too long"),
        (drips, "too long"),
        (never_ends, "more than an answer"),
        (says_clean_at_once, "before the end"),
        (refuses_in_the_middle, "size limit exceeded|takes no more|breaks off"),
        (hangs_up_in_the_middle, "hangs up|takes no more|breaks off"),
    ],
)
@pytest.mark.long
async def test_only_the_whole_right_answer_is_a_verdict(talk: Talk, why: str) -> None:
    began = time.monotonic()
    async with running(talk) as address:
        # More than sockets hold, where it is the middle that counts.
        body = [bytes(MEBIBYTE)] * (40 if talk in IN_THE_MIDDLE else 2)
        with pytest.raises(ScannerUnavailable, match=why):
            await scanner_at(address, FOR_EVER.get(talk)).scan(parts_of(*body))
    assert time.monotonic() - began < HANGS_SECONDS


@pytest.mark.parametrize("said", [b"", b"OK\0", b"ClamAV \x1b[2J\0", b"ClamAV " + b"9" * 3000])
async def test_a_server_that_does_not_call_itself_clamav_is_none(said: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\0")
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        address = f"clamd://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ScannerUnavailable):
            await scanner_at(address, HURRY).scan(parts_of(b"body"))


async def test_a_scanner_that_does_not_listen_is_told_at_once() -> None:
    one = scanner_at(f"clamd://127.0.0.1:{free_port()}", HURRY)
    with pytest.raises(ScannerUnavailable, match="cannot be reached"):
        await one.scan(parts_of(b"body"))

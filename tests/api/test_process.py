"""The processes as they are deployed: started, asked to stop, drained."""

import asyncio
import contextlib
import json
import re
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from psycopg import AsyncConnection

from adapters.embedded import free_port
from adapters.settings import Settings
from adapters.settings_checks import LONGEST_INGEST_WAIT
from api.draining_server import FIRST_REQUEST_SECONDS
from api.process import DRAIN_SECONDS
from tests.kit.http import ApiClient, asked
from tests.workers.processes import process

ROOT = Path(__file__).parents[2]
SECONDS = 60.0
"""Patience, not a measure: the machine may be busy with other tests."""
BEFORE_THE_DRAIN_ENDS = DRAIN_SECONDS - FIRST_REQUEST_SECONDS
ATTEMPTS = 5
HEALTH_REQUEST = b"GET /health HTTP/1.1\r\nhost: media\r\nconnection: close\r\n\r\n"


@contextlib.asynccontextmanager
async def started(
    module: str, settings: Settings
) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The process and its address, once it answers."""
    port = free_port()
    settings = msgspec.structs.replace(settings, port=port, internal_port=port)
    url = f"http://127.0.0.1:{port}"
    async with process(module, settings) as child:
        async with httpx.AsyncClient() as http:
            while True:
                assert child.returncode is None
                with contextlib.suppress(httpx.TransportError):
                    if (await http.get(f"{url}/health")).status_code == 200:
                        break
                await asyncio.sleep(0.05)
        yield child, url


@contextlib.asynccontextmanager
async def connected(
    url: str,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    address = httpx.URL(url)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


@pytest.mark.parametrize("module", ["api.app", "api.internal_app"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.long
async def test_an_idle_process_ends_at_once_with_0(
    settings: Settings, module: str, number: signal.Signals
) -> None:
    async with started(module, settings) as (child, _):
        child.send_signal(number)
        # Less than a drain takes that waits for somebody; a busy machine needs some of it.
        assert await asyncio.wait_for(child.wait(), BEFORE_THE_DRAIN_ENDS) == 0


async def test_a_request_in_flight_is_finished_and_nothing_new_is_taken(
    settings: Settings,
) -> None:
    async with (
        started("api.app", settings) as (child, url),
        httpx.AsyncClient(base_url=url, timeout=SECONDS) as http,
        connected(url) as (reader, writer),
    ):
        body = json.dumps(asked()).encode()
        client = ApiClient(http, tenant="ls_drain")
        lines = [
            "POST /upload/presign HTTP/1.1",
            "host: media",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(f"{name}: {value}" for name, value in client.headers.items()),
        ]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body[:10])
        await writer.drain()
        await client.get("/files")  # whatever came before has been read by now
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(httpx.TransportError):
            while True:
                await client.http.get("/health")
        assert child.returncode is None
        writer.write(body[10:])
        answer = await asyncio.wait_for(reader.read(), SECONDS)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"uploadUrl" in answer
        assert await asyncio.wait_for(child.wait(), SECONDS) == 0


@pytest.mark.long
async def test_who_waits_for_an_ingest_is_answered_before_the_process_ends(
    settings: Settings,
) -> None:
    assert LONGEST_INGEST_WAIT < DRAIN_SECONDS < 30
    async with (
        started("api.app", settings) as (child, url),
        httpx.AsyncClient(base_url=url, timeout=SECONDS) as http,
    ):
        client = ApiClient(http, tenant="ls_waits")
        body = {"url": "https://example.com/a.png", "serviceCode": "blog"}
        recorded = "SELECT 1 FROM ingest_sources WHERE owner = 't:ls_waits'"
        # Nobody fetches it: there are no workers here.
        waiting = asyncio.create_task(
            client.send("POST", "/upload/ingest-url", json=body, headers={"prefer": "wait=10"})
        )
        async with (
            asyncio.timeout(SECONDS),
            await AsyncConnection.connect(
                settings.database_url, autocommit=True, options="-c role=media_worker"
            ) as database,
        ):
            while not await (await database.execute(recorded)).fetchone():
                await asyncio.sleep(0.02)
        child.send_signal(signal.SIGTERM)
        assert (await waiting).status_code == 202
        assert await asyncio.wait_for(child.wait(), SECONDS) == 0


async def test_who_is_connected_may_still_ask_and_who_waits_to_be_taken_in_is(
    settings: Settings,
) -> None:
    for _ in range(ATTEMPTS):
        if await asked_in_time(settings):
            return
    raise AssertionError("the requests were never sent as soon as they have to be")


async def asked_in_time(settings: Settings) -> bool:
    """Whether the requests were sent within the time that those who are connected have for it."""
    clock = asyncio.get_running_loop().time
    async with (
        started("api.app", settings) as (child, url),
        contextlib.AsyncExitStack() as stack,
    ):
        # The kernel takes these in while the process cannot: they stand in the listener's queue.
        child.send_signal(signal.SIGSTOP)
        streams = [await stack.enter_async_context(connected(url)) for _ in range(20)]
        for _, writer in streams[:10]:
            writer.write(HEALTH_REQUEST)
        child.send_signal(signal.SIGTERM)
        stopped = clock()
        child.send_signal(signal.SIGCONT)
        with contextlib.suppress(ConnectionError):
            while True:
                async with connected(url):
                    await asyncio.sleep(0.01)
        for _, writer in streams[10:]:
            writer.write(HEALTH_REQUEST)
        in_time = clock() - stopped < FIRST_REQUEST_SECONDS
        for reader, _ in streams if in_time else streams[:10]:
            answer = await asyncio.wait_for(reader.read(), SECONDS)
            assert answer.startswith(b"HTTP/1.1 200"), answer
        assert await asyncio.wait_for(child.wait(), SECONDS) == 0
    return in_time


HOSTS = 8
"""People who ask all the time, in each of two ways."""
ROUNDS = 3


@pytest.mark.long
async def test_a_deploy_loses_no_request(settings: Settings) -> None:
    """Who could connect is answered, a kept connection ends with an answer that says so."""
    for number in range(ROUNDS):
        async with started("api.app", settings) as (child, url):
            people = [
                asyncio.create_task(ask(url))
                for ask in (_ask_anew, _ask_on_one_connection)
                for _ in range(HOSTS)
            ]
            await asyncio.sleep(0.3 + number * 0.013)
            child.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(child.wait(), SECONDS) == 0
            answered = await asyncio.gather(*people)
            assert min(answered) > 0


async def _ask_anew(url: str) -> int:
    """One connection after the other, until none is to be had; how many answers there were."""
    answered = 0
    while True:
        try:
            async with connected(url) as (reader, writer):
                writer.write(HEALTH_REQUEST)
                answer = await reader.read()
        except ConnectionRefusedError:
            return answered
        assert answer.startswith(b"HTTP/1.1 200"), (answered, answer)
        answered += 1


async def _ask_on_one_connection(url: str) -> int:
    """Over and over, until an answer says that it was the last."""
    answered = 0
    async with connected(url) as (reader, writer):
        while True:
            writer.write(b"GET /health HTTP/1.1\r\nhost: media\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            (length,) = re.findall(rb"content-length: (\d+)", head)
            await reader.readexactly(int(length))
            answered += 1
            if b"\r\nconnection: close\r\n" in head:
                assert await reader.read() == b""
                return answered
                # Idle for a while, as a gateway's connections are.
            await asyncio.sleep(0.05)


@pytest.mark.long
async def test_who_is_connected_and_never_asks_holds_nothing_up(settings: Settings) -> None:
    async with started("api.app", settings) as (child, url), connected(url) as (reader, _):
        child.send_signal(signal.SIGTERM)
        async with asyncio.timeout(BEFORE_THE_DRAIN_ENDS):
            assert await reader.read() == b""
            assert await child.wait() == 0


async def test_bytes_that_are_no_http_do_no_harm(settings: Settings) -> None:
    async with started("api.app", settings) as (_, url):
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\0" * 100):
            async with connected(url) as (reader, writer):
                writer.write(garbage + b"\r\n\r\n")
                await asyncio.wait_for(reader.read(), SECONDS)
        async with httpx.AsyncClient(timeout=SECONDS) as http:
            assert (await http.get(f"{url}/health")).status_code == 200


async def test_a_taken_port_is_said_and_the_process_ends(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with process("api.app", msgspec.structs.replace(settings, port=port)) as child:
            assert await asyncio.wait_for(child.wait(), SECONDS) == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"no HTTP at all\r\n\r\n",
        b"GET /files?x=" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: media\r\n\r\n",
        b"POST /upload/presign HTTP/1.1\r\nhost: media\r\ncontent-length: -1\r\n\r\n",
    ],
    ids=["garbage", "an endless address", "a negative length"],
)
@pytest.mark.long
async def test_what_the_server_cannot_read_is_answered_with_the_envelope_too(
    settings: Settings, request_: bytes
) -> None:
    async with started("api.app", settings) as (_, url), connected(url) as (reader, writer):
        writer.write(request_)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nx-content-type-options: nosniff\r\n" in head
    assert json.loads(body)["code"] == "INVALID_FIELD"
    assert json.loads(body)["status"] == 400

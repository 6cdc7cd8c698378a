"""The processes as they are deployed: started, asked to stop, drained."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import msgspec
import pytest
from psycopg import AsyncConnection

from adapters.settings import Settings
from adapters.settings_checks import LONGEST_INGEST_WAIT
from api.process import DRAIN_SECONDS
from tests.kit.http import ApiClient, asked
from tests.workers.processes import process

ROOT = Path(__file__).parents[2]
HEALTH_REQUEST = b"GET /health HTTP/1.1\r\nhost: media\r\nconnection: close\r\n\r\n"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


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


@pytest.mark.parametrize("module", ["api.app", "api.internal_app"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_an_idle_process_ends_at_once_with_0(
    settings: Settings, module: str, number: signal.Signals
) -> None:
    async with started(module, settings) as (child, _):
        child.send_signal(number)
        # Less than a drain takes that waits for somebody; a busy machine needs some of it.
        assert await asyncio.wait_for(child.wait(), 20) == 0


async def test_a_request_in_flight_is_finished_and_nothing_new_is_taken(
    settings: Settings,
) -> None:
    async with started("api.app", settings) as (child, url):
        body = json.dumps(asked()).encode()
        client = ApiClient(httpx.AsyncClient(base_url=url), tenant="ls_drain")
        address = httpx.URL(url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
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
        answer = await asyncio.wait_for(reader.read(), 10)
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"uploadUrl" in answer
        writer.close()
        await client.http.aclose()
        assert await asyncio.wait_for(child.wait(), 10) == 0


async def test_who_waits_for_an_ingest_is_answered_before_the_process_ends(
    settings: Settings,
) -> None:
    assert LONGEST_INGEST_WAIT < DRAIN_SECONDS < 30
    async with (
        started("api.app", settings) as (child, url),
        httpx.AsyncClient(base_url=url) as http,
    ):
        client = ApiClient(http, tenant="ls_waits")
        body = {"url": "https://example.com/a.png", "serviceCode": "blog"}
        recorded = "SELECT 1 FROM ingest_sources WHERE owner = 't:ls_waits'"
        # Nobody fetches it: there are no workers here.
        waiting = asyncio.create_task(
            client.send("POST", "/upload/ingest-url", json=body, headers={"prefer": "wait=3"})
        )
        async with (
            asyncio.timeout(20),
            await AsyncConnection.connect(
                settings.database_url, autocommit=True, options="-c role=media_worker"
            ) as database,
        ):
            while not await (await database.execute(recorded)).fetchone():
                await asyncio.sleep(0.02)
        child.send_signal(signal.SIGTERM)
        assert (await waiting).status_code == 202
        assert await asyncio.wait_for(child.wait(), 10) == 0


async def test_who_is_connected_may_still_ask_and_who_waits_to_be_taken_in_is(
    settings: Settings,
) -> None:
    async with started("api.app", settings) as (child, url):
        address = httpx.URL(url)
        # The kernel takes these in while the process cannot: they stand in the listener's queue.
        child.send_signal(signal.SIGSTOP)
        connected = [await asyncio.open_connection(address.host, address.port) for _ in range(20)]
        for _, writer in connected[:10]:
            writer.write(HEALTH_REQUEST)
        child.send_signal(signal.SIGTERM)
        child.send_signal(signal.SIGCONT)
        while True:
            try:
                _, probe = await asyncio.open_connection(address.host, address.port)
            except ConnectionError:
                break
            probe.close()
            await asyncio.sleep(0.01)
        for _, writer in connected[10:]:
            writer.write(HEALTH_REQUEST)
        for reader, writer in connected:
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.startswith(b"HTTP/1.1 200"), answer
            writer.close()
        assert await asyncio.wait_for(child.wait(), 10) == 0


async def test_who_is_connected_and_never_asks_holds_nothing_up(settings: Settings) -> None:
    async with started("api.app", settings) as (child, url):
        address = httpx.URL(url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        child.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(reader.read(), 10) == b""
        assert await asyncio.wait_for(child.wait(), 10) == 0
        writer.close()


async def test_bytes_that_are_no_http_do_no_harm(settings: Settings) -> None:
    async with started("api.app", settings) as (_, url):
        address = httpx.URL(url)
        for garbage in (b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\0" * 100):
            reader, writer = await asyncio.open_connection(address.host, address.port)
            writer.write(garbage + b"\r\n\r\n")
            await asyncio.wait_for(reader.read(), 10)
            writer.close()
        async with httpx.AsyncClient() as http:
            assert (await http.get(f"{url}/health")).status_code == 200


async def test_a_taken_port_is_said_and_the_process_ends(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with process("api.app", msgspec.structs.replace(settings, port=port)) as child:
            assert await asyncio.wait_for(child.wait(), 20) == 1


@pytest.mark.parametrize(
    "request_",
    [
        b"no HTTP at all\r\n\r\n",
        b"GET /files?x=" + b"a" * 100_000 + b" HTTP/1.1\r\nhost: media\r\n\r\n",
        b"POST /upload/presign HTTP/1.1\r\nhost: media\r\ncontent-length: -1\r\n\r\n",
    ],
    ids=["garbage", "an endless address", "a negative length"],
)
async def test_what_the_server_cannot_read_is_answered_with_the_envelope_too(
    settings: Settings, request_: bytes
) -> None:
    async with started("api.app", settings) as (_, url):
        address = httpx.URL(url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(request_)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"\r\nx-content-type-options: nosniff\r\n" in head
    assert json.loads(body)["code"] == "INVALID_FIELD"
    assert json.loads(body)["status"] == 400

"""A browser's EventSource, and a server for it to connect to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import httpx
import msgspec
import uvicorn
from litestar.types import ASGIApp

from api.draining_server import Server
from tests.kit.http import JSON, ApiClient

SECONDS = 60.0


@asynccontextmanager
async def listening(app: ASGIApp) -> AsyncIterator[str]:
    """The app on a port of this process: streams need a real connection. Its address."""
    config = uvicorn.Config(
        app,
        port=0,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
    )
    server = Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


class Event(msgspec.Struct, frozen=True):
    id: str
    event: str
    data: Any


class EventSource:
    """What the HTML standard says a browser does with a stream, and a library kept by it."""

    def __init__(self, response: httpx.Response, files: Mapping[str, JSON]) -> None:
        self.response = response
        self.events: list[Event] = []
        self.comments = 0
        self.last_id = ""
        self.retry = ""
        self.ended = False
        self.files = dict(files)
        self._changed = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        id_, event, data = self.last_id, "message", ""
        with contextlib.suppress(httpx.TransportError):
            async for line in self.response.aiter_lines():
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                match name:
                    case "id":
                        id_ = value
                    case "event":
                        event = value
                    case "data":
                        data += value
                    case "retry":
                        self.retry = value
                if line.startswith(":"):
                    self.comments += 1
                if not line:
                    self.last_id = id_
                    if data:
                        self._take(Event(id_, event, msgspec.json.decode(data)))
                    event, data = "message", ""
                self._changed.set()
        self.ended = True
        self._changed.set()

    def _take(self, event: Event) -> None:
        self.events.append(event)
        match event.event:
            case "file.added" | "file.changed":
                self.files[event.data["id"]] = event.data
            case "file.removed":
                self.files.pop(event.data["id"], None)

    async def until(self, condition: Callable[["EventSource"], object]) -> None:
        async with asyncio.timeout(SECONDS):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def got(self, count: int) -> list[Event]:
        await self.until(lambda source: len(source.events) >= count)
        return self.events

    @property
    def names(self) -> list[str]:
        return [event.event for event in self.events]

    async def close(self) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)


@asynccontextmanager
async def streaming(
    url: str,
    by: ApiClient,
    *,
    last_id: str = "",
    files: Mapping[str, JSON] = MappingProxyType({}),
    **parameters: Any,
) -> AsyncIterator[EventSource]:
    """The events of a library, from the opened stream on; `files` is what was seen before."""
    headers = by.headers | ({"last-event-id": last_id} if last_id else {})
    async with (
        httpx.AsyncClient(base_url=url, timeout=SECONDS) as http,
        http.stream("GET", "/files/events", headers=headers, params=parameters) as response,
    ):
        assert response.status_code == 200, await response.aread()
        source = EventSource(response, files)
        try:
            await source.until(lambda source: source.retry)
            yield source
        finally:
            await source.close()

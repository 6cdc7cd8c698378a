"""A webhook receiver on loopback, as somebody else's service would be: it verifies, then takes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

Headers = dict[str, str]


class Receiver:
    """What came, and what it answers; a message it answered with 2xx counts as taken."""

    def __init__(self) -> None:
        self.decide: Callable[[Headers, dict[str, Any]], int] = lambda _headers, _body: 204
        self.seen: list[tuple[Headers, bytes]] = []
        """Every request, in the order of arrival."""
        self.taken: list[dict[str, Any]] = []
        """Messages taken, each id once: what a receiver that de-duplicates knows."""
        self.silent = False
        """Accepts and never answers."""
        self.port = 0
        self._ids: set[str] = set()
        self._server: asyncio.Server | None = None
        self._stopped = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def pair(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/hooks?key=of-the-receiver") -> str:
        return f"http://{self.pair}{path}"

    async def start(self) -> None:
        """Listen, on the same port as before."""
        self._stopped.clear()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        """Refuse connections."""
        self._stopped.set()
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.partition(": ") for line in lines[1:] if line)
            headers = {name.lower(): value for name, _, value in pairs}
            body = await reader.readexactly(int(headers["content-length"]))
            self.seen.append((headers, body))
            if self.silent:
                await self._stopped.wait()
                writer.close()
            message = json.loads(body)
            status = self.decide(headers, message)
            if 200 <= status < 300 and headers["webhook-id"] not in self._ids:
                self._ids.add(headers["webhook-id"])
                self.taken.append(message)
            writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n".encode())
            await writer.drain()
        writer.close()

    async def close(self) -> None:
        """Refuse connections and let go of those that are open."""
        self.stop()
        for writer in self._open:
            writer.close()
        await asyncio.gather(
            *(writer.wait_closed() for writer in self._open), return_exceptions=True
        )


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    one = Receiver()
    await one.start()
    try:
        yield one
    finally:
        await one.close()

"""HTTP servers on loopback that answer byte for byte what a test says, and note who asked what."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


class HttpSource:
    """What stands behind each path, and the requests that came, head and body."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.busy = asyncio.Event()
        """Set once a connection came."""
        self.idle = asyncio.Event()
        """Set while no connection is open."""
        self._connections = 0
        self._serving: set[asyncio.Task[object]] = set()
        self.port = 0

    @property
    def pair(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str = "/") -> str:
        return f"http://{self.pair}{path}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._connections += 1
        self.busy.set()
        self.idle.clear()
        with suppress(
            ConnectionError, asyncio.IncompleteReadError, ssl.SSLError, asyncio.CancelledError
        ):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = next(
                (
                    line[15:]
                    for line in head.split("\r\n")
                    if line.lower()[:15] == "content-length:"
                ),
                "0",
            )
            body = await reader.readexactly(int(length))
            self.requests.append(head + body.decode("latin-1"))
            answer = self.answers.get(head.split(" ")[1], response(status=404))
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        writer.close()
        self._serving.discard(task)
        self._connections -= 1
        if self._connections == 0:
            self.idle.set()

    async def _let_go(self) -> None:
        """End the answers that take for ever."""
        serving = list(self._serving)
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


@asynccontextmanager
async def http_source(tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpSource]:
    """A source on a free port of loopback."""
    source = HttpSource()
    server = await asyncio.start_server(source._serve, "127.0.0.1", 0, ssl=tls)
    source.port = server.sockets[0].getsockname()[1]
    try:
        yield source
    finally:
        server.close()
        await source._let_go()


def response(
    body: bytes = b"", *, status: int = 200, headers: Iterable[tuple[str, str]] = ()
) -> bytes:
    """A whole answer with its length."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def redirect(location: str, status: int = 302) -> bytes:
    """An answer that sends the client elsewhere."""
    return response(status=status, headers=[("Location", location)])

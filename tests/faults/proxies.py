"""What stands between the service and its servers, and breaks what passes: Postgres, S3."""

import asyncio
import contextlib
import random
import re
from collections.abc import Awaitable, Callable
from typing import Literal, Self

LOOPBACK = "127.0.0.1"
CHUNK = 65_536
PARSE = re.compile(rb"P....([^\0]+)\0[^\0]*INSERT INTO events", re.DOTALL)
"""The message with which a client gives an append a name."""
READY = b"Z\0\0\0\5"
"""The server has ended the transaction."""

Cut = Literal["before", "during", "after"]
"""The connection breaks before the append reaches the server, while it works, or when it has
committed and nobody knows."""


class _Proxy:
    """Listens on a port of its own, as long as it is open."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, LOOPBACK, 0, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.close()
        await self.drop()

    async def drop(self) -> None:
        """Break every connection there is."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("outside of a task")
        self._tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self.serve(reader, writer)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        raise NotImplementedError


class PostgresProxy(_Proxy):
    """Passes everything on, until it is told to break a connection in an append."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self._cut: Cut | None = None
        self.struck = asyncio.Event()

    def cut_next_append(self, how: Cut) -> None:
        """Break the connection that appends next."""
        self.struck.clear()
        self._cut = how

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Two pumps; the one to the server knows an append when it sees one."""
        server_reader, server_writer = await asyncio.open_connection(LOOPBACK, self.target)
        back = asyncio.create_task(_pump(server_reader, writer))
        appends: set[bytes] = set()
        try:
            while data := await reader.read(CHUNK):
                appends.update(PARSE.findall(data))
                if self._cut is not None and any(b"\0" + name + b"\0" in data for name in appends):
                    how, self._cut = self._cut, None
                    back.cancel()
                    await asyncio.wait([back])
                    await self._break(how, data, server_reader, server_writer)
                    self.struck.set()
                    return
                server_writer.write(data)
                await server_writer.drain()
        finally:
            back.cancel()
            server_writer.close()

    async def _break(
        self, how: Cut, data: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if how == "before":
            return
        writer.write(data)
        await writer.drain()
        answer = b""
        while how == "after" and READY not in answer:
            part = await reader.read(CHUNK)
            if not part:
                return
            answer += part


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


class Exchange:
    """One request to the object store, and the way to have it answered."""

    def __init__(self, head: bytes, body: bytes, forward: Callable[[], Awaitable[bytes]]) -> None:
        self.method, self.path = head.split(b" ", 2)[:2]
        self.head = head
        self.body = body
        self.forward = forward
        """What the store answers, whole."""

    @property
    def copies(self) -> bool:
        return b"\r\nx-amz-copy-source:" in self.head.lower()

    @property
    def bucket(self) -> str:
        return self.path.split(b"/", 2)[1].partition(b"?")[0].decode()

    @property
    def is_object(self) -> bool:
        return self.path.count(b"/") > 1


Meddling = Callable[[Exchange], Awaitable[bytes | None]]
"""The answer to give; None breaks the connection."""


async def honest(exchange: Exchange) -> bytes | None:
    """Pass on what the store says."""
    return await exchange.forward()


class StoreProxy(_Proxy):
    """Passes requests on as they are, Host and all, so that signatures verify; or meddles."""

    def __init__(self, target: int) -> None:
        super().__init__(target)
        self.meddle: Meddling = honest
        self.strikes = 0
        self.missed = 0
        """Requests that the store gave no answer to: it was away."""

    def struck(self) -> None:
        """Count that a request was meddled with."""
        self.strikes += 1

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: simple, and fast enough for what passes here."""
        head, body = await _request(reader, writer)
        exchange = Exchange(head, body, lambda: self._forward(head, body))
        answer = await self.meddle(exchange)
        if answer is not None:
            writer.write(answer)
            await writer.drain()

    async def _forward(self, head: bytes, body: bytes) -> bytes:
        said = b""
        try:
            reader, writer = await asyncio.open_connection(LOOPBACK, self.target)
            try:
                writer.write(head + body)
                await writer.drain()
                said = await reader.read(-1)
            finally:
                writer.close()
        finally:
            self.missed += not said
        return said


async def _request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> tuple[bytes, bytes]:
    """Head and body, made such that the connection ends with the answer."""
    raw = await reader.readuntil(b"\r\n\r\n")
    first, *lines = raw[:-4].split(b"\r\n")
    names = {line.partition(b":")[0].lower(): line.partition(b":")[2].strip() for line in lines}
    if names.get(b"expect", b"").lower() == b"100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if names.get(b"transfer-encoding", b"").lower() == b"chunked":
        body = await _chunked(reader)
    else:
        body = await reader.readexactly(int(names.get(b"content-length", b"0")))
    left_out = (b"connection", b"expect")
    kept = [line for line in lines if line.partition(b":")[0].lower() not in left_out]
    return b"\r\n".join([first, *kept, b"Connection: close", b"", b""]), body


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while True:
        size = await reader.readuntil(b"\r\n")
        part = await reader.readexactly(int(size.split(b";")[0], 16) + 2)
        body += size + part
        if part == b"\r\n":
            return body


def answer(status: int, body: bytes = b"", *headers: bytes) -> bytes:
    """An answer of our own making."""
    lines = [
        b"HTTP/1.1 %d X" % status,
        b"Content-Length: %d" % len(body),
        b"Connection: close",
        *headers,
    ]
    return b"\r\n".join([*lines, b"", b""]) + body


def failing(proxy: StoreProxy, chance: random.Random, share: float) -> Meddling:
    """Answers 500 or 503 instead of asking the store."""

    async def meddle(exchange: Exchange) -> bytes | None:
        if chance.random() >= share:
            return await exchange.forward()
        proxy.struck()
        code = chance.choice((b"InternalError", b"SlowDown", b"ServiceUnavailable"))
        text = b"<?xml version='1.0'?><Error><Code>%s</Code><Message>no</Message></Error>" % code
        return answer(503 if code != b"InternalError" else 500, text)

    return meddle


def slow(proxy: StoreProxy, chance: random.Random, seconds: float) -> Meddling:
    """Answers late."""

    async def meddle(exchange: Exchange) -> bytes | None:
        proxy.struck()
        await asyncio.sleep(chance.uniform(0.2, seconds))
        return await exchange.forward()

    return meddle


def resetting(proxy: StoreProxy, chance: random.Random, share: float) -> Meddling:
    """Breaks the connection before the store is asked, after, or in the middle of its answer."""

    async def meddle(exchange: Exchange) -> bytes | None:
        if chance.random() >= share:
            return await exchange.forward()
        proxy.struck()
        how = chance.randrange(3)
        if how == 0:
            return None
        said = await exchange.forward()
        return None if how == 1 else said[: len(said) // 2]

    return meddle


def forgetting(proxy: StoreProxy, chance: random.Random, share: float) -> Meddling:
    """Says that it has stored what it has not: a PUT, or a copy."""

    async def meddle(exchange: Exchange) -> bytes | None:
        if exchange.method != b"PUT" or chance.random() >= share:
            return await exchange.forward()
        proxy.struck()
        etag = b'"%032x"' % chance.getrandbits(128)
        if exchange.copies:
            copied = b"<CopyObjectResult><ETag>%s</ETag></CopyObjectResult>" % etag
            return answer(200, copied, b"Content-Type: application/xml")
        return answer(200, b"", b"ETag: " + etag)

    return meddle


def stale(proxy: StoreProxy, chance: random.Random, share: float) -> Meddling:
    """Does not see yet, on HEAD, what is there."""

    async def meddle(exchange: Exchange) -> bytes | None:
        if exchange.method != b"HEAD" or not exchange.is_object or chance.random() >= share:
            return await exchange.forward()
        said = await exchange.forward()
        if not said.startswith(b"HTTP/1.1 200"):
            return said
        proxy.struck()
        return answer(404)

    return meddle


def erring_deletes(proxy: StoreProxy, chance: random.Random, share: float) -> Meddling:
    """Removes the object, and says that it could not."""

    async def meddle(exchange: Exchange) -> bytes | None:
        said = await exchange.forward()
        removes = exchange.method == b"DELETE" or b"?delete" in exchange.path
        if not removes or chance.random() >= share:
            return said
        proxy.struck()
        return answer(500, b"<Error><Code>InternalError</Code></Error>")

    return meddle

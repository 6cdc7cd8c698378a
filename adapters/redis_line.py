"""One connection to Redis for many short commands at a time: no pool, and no turn to wait for.

redis-py takes some 200 µs of Python for each command and gives it a connection of its own; here
commands that are asked for together travel together (docs/adr/0024). For what every request needs;
everything else goes through redis-py.
"""

import asyncio
import ssl
from collections import deque
from typing import Any, TypeAlias, cast

import hiredis
from redis.asyncio.connection import SSLConnection, parse_url
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import ResponseError

CONNECT_SECONDS = 2.0

Command: TypeAlias = tuple[str | int | bytes, ...]


class RedisLine:
    """A connection that is opened when needed, and again after it broke."""

    def __init__(self, url: str) -> None:
        self._where: dict[str, Any] = dict(parse_url(url))
        self._conversation: _Conversation | None = None
        self._opening = asyncio.Lock()

    async def ask(self, *command: str | int | bytes) -> Any:
        """The reply, as bytes, integers and lists. Raises RedisError or OSError."""
        conversation = self._conversation
        if conversation is None or conversation.over:
            conversation = await self._open()
        return await conversation.say(command)

    def hang_up(self) -> None:
        """Let the connection go; who still waits for a reply gets an error."""
        if self._conversation is not None:
            self._conversation.end()
            self._conversation = None

    async def _open(self) -> "_Conversation":
        async with self._opening, asyncio.timeout(CONNECT_SECONDS):
            if self._conversation is not None and not self._conversation.over:
                return self._conversation
            opened = await self._connect()
            try:
                for command in self._greeting():
                    await opened.say(command)
            except BaseException:
                opened.end()
                raise
            self._conversation = opened
            return opened

    async def _connect(self) -> "_Conversation":
        loop = asyncio.get_running_loop()
        where = self._where
        if "path" in where:
            _, made = await loop.create_unix_connection(_Conversation, where["path"])
            return made
        host, port = where.get("host", "localhost"), where.get("port", 6379)
        _, made = await loop.create_connection(_Conversation, host, port, ssl=self._tls())
        return made

    def _tls(self) -> ssl.SSLContext | None:
        if self._where.get("connection_class") is not SSLConnection:
            return None
        # Its options in the URL mean what they mean to redis-py.
        options = {key: value for key, value in self._where.items() if key != "connection_class"}
        return SSLConnection(**options).ssl_context.get()

    def _greeting(self) -> list[Command]:
        greeting: list[Command] = []
        if "password" in self._where:
            user = (self._where["username"],) if self._where.get("username") else ()
            greeting.append(("AUTH", *user, self._where["password"]))
        if self._where.get("db"):
            greeting.append(("SELECT", self._where["db"]))
        return greeting


class _Conversation(asyncio.Protocol):
    """Commands out, replies in, in the same order."""

    def __init__(self) -> None:
        self._reader = hiredis.Reader()
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._transport: asyncio.Transport | None = None
        self.over = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's is none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)

    async def say(self, command: Command) -> Any:
        if self._transport is None or self.over:
            raise ConnectionLost("the connection to Redis broke")
        reply = asyncio.get_running_loop().create_future()
        self._waiting.append(reply)
        self._transport.write(hiredis.pack_command(command))  # type: ignore[arg-type]
        return await reply

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._tell(self._waiting.popleft(), reply)
        except (hiredis.ProtocolError, IndexError):
            self.end()

    def _tell(self, waiting: "asyncio.Future[Any]", reply: Any) -> None:
        if waiting.done():  # nobody waits any longer
            return
        if isinstance(reply, hiredis.ReplyError):
            waiting.set_exception(ResponseError(str(reply)))
        else:
            waiting.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self.over = True
        for waiting in self._waiting:
            if not waiting.done():
                waiting.set_exception(ConnectionLost(f"the connection to Redis broke: {exc}"))
        self._waiting.clear()

    def end(self) -> None:
        self.over = True
        if self._transport is not None:
            self._transport.abort()

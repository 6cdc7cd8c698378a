"""Proves that a file is what it is declared to be, by decoding it in a jailed child process.

The parent parses nothing of the file: it hands a descriptor over, waits a bounded time for a
bounded answer, and kills. Used by `adapters/sandbox_proof.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self, TypeVar

from adapters.decode_server import ChildKilled, ForkServer, Interrupted
from adapters.decode_verdict import DecodeLimits
from adapters.scratch_file import ScratchFile
from application.ports import Accepted, Refused, SandboxUnavailable
from application.rendering import Order, Rendered
from domain.metadata import MetadataPolicy

T = TypeVar("T")

QUEUE_SECONDS = 60.0
"""How long a file waits for a free server before the caller is told to come again."""
PAUSES_SECONDS = (0.0, 0.2, 1.0)
"""Before each try of a file whose decoder is killed from outside, as by a kernel out of memory."""


class DecodeSandbox:
    """A few fork servers, each at one file at a time. Belongs to one event loop."""

    def __init__(
        self,
        *,
        servers: int = 2,
        limits: DecodeLimits | None = None,
        metadata: MetadataPolicy = "keep",
    ) -> None:
        self._limits = limits or DecodeLimits()
        self._metadata: MetadataPolicy = metadata
        self._size = servers
        # The last that worked is the next to work: as many are started as are busy at once.
        self._free: asyncio.Queue[ForkServer | None] = asyncio.LifoQueue()
        self._running: set[ForkServer] = set()
        self._restarts: set[asyncio.Task[None]] = set()
        self._places = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start one fork server; the others by the first files that need them.

        Raises SandboxUnavailable if the decoders do not load.
        """
        self.start_when_needed()
        self._give_back(await self._take(), usable=True)
        return self

    async def __aexit__(self, *_: object) -> None:
        """End them."""
        await self.close()

    def start_when_needed(self) -> None:
        """Instead of entering it: have every server started by the first file that needs it."""
        for _ in range(self._size):
            self._free.put_nowait(None)
            self._places += 1

    async def close(self) -> None:
        """Kill every server; files still at work raise SandboxUnavailable."""
        self._closed = True
        for server in self._running:
            server.kill()
        while self._places:
            await self._free.get()
            self._places -= 1
        for server in tuple(self._running):
            await self._stop(server)

    @property
    def pids(self) -> tuple[int, ...]:
        """The fork servers now running, for operators and tests."""
        return tuple(server.pid for server in self._running)

    async def prove(self, file: ScratchFile, mime_type: str) -> Accepted | Refused:
        """Decode the whole file by its declared type. Raises SandboxUnavailable.

        When the verdict says so the file holds what is to be served in its place.
        """
        return await self._persist(
            lambda server: server.prove(file, mime_type, self._limits, self._metadata)
        )

    async def carry_out(self, file: ScratchFile, order: Order) -> Rendered | Refused:
        """Look into a proven file and make pictures of it. Raises SandboxUnavailable."""
        return await self._persist(lambda server: server.carry_out(file, order, self._limits))

    async def _persist(self, ask: Callable[[ForkServer], Awaitable[T]]) -> T | Refused:
        killed = 0
        for pause in PAUSES_SECONDS:
            await asyncio.sleep(pause)
            try:
                return await self._once(ask)
            except ChildKilled:
                killed += 1
            except Interrupted:
                continue
        if killed == len(PAUSES_SECONDS):
            return Refused("memory", "The decoder was killed each time that it tried the file.")
        raise SandboxUnavailable("The decoders are killed from outside.")

    async def _once(self, ask: Callable[[ForkServer], Awaitable[T]]) -> T | Refused:
        server = await self._take()
        usable = False
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                answer = await ask(server)
            usable = True
        except TimeoutError:
            return Refused("time", "Decoding takes longer than is allowed.")
        except OSError as error:
            raise Interrupted from error
        else:
            return answer
        finally:
            self._give_back(server, usable=usable)

    async def _take(self) -> ForkServer:
        self._check_open()
        try:
            async with asyncio.timeout(QUEUE_SECONDS if self._places else 0):
                server = await self._free.get()
        except TimeoutError:
            raise SandboxUnavailable("No decoder became free in time.") from None
        if server is not None and server.is_alive and not self._closed:
            return server
        try:
            self._check_open()
            if server is not None:
                await self._stop(server)
            return await self._start()
        except BaseException:
            # An empty place: whoever takes it tries to start a server again.
            self._free.put_nowait(None)
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxUnavailable("The sandbox is closed.")

    def _give_back(self, server: ForkServer, *, usable: bool) -> None:
        if usable:
            self._free.put_nowait(server)
            return
        server.kill()
        restart = asyncio.ensure_future(self._replace(server))
        self._restarts.add(restart)
        restart.add_done_callback(self._restarts.discard)

    async def _replace(self, server: ForkServer) -> None:
        fresh = None
        try:
            await self._stop(server)
            fresh = None if self._closed else await self._start()
        except SandboxUnavailable:
            fresh = None
        finally:
            self._free.put_nowait(fresh)

    async def _start(self) -> ForkServer:
        server = ForkServer()
        self._running.add(server)
        try:
            await server.greet()
        except BaseException:
            await self._stop(server)
            raise
        return server

    async def _stop(self, server: ForkServer) -> None:
        server.kill()
        self._running.discard(server)
        await server.reap()

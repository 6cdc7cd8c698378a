"""The processes of workers/, in this one or on their own, for the tests that need them at work."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from adapters.event_reader import PostgresEventReader
from adapters.postgres import Pool, open_pool
from adapters.runtime import Runtime
from adapters.settings import Settings, variable_of
from projections.audit_trail import AuditTrailProjection
from projections.pending_uploads import PendingUploadsProjection
from projections.projection import Follower, Projection
from projections.unfinished_work import UnfinishedWorkProjection
from tests.kit.patience import patience

ROOT = Path(__file__).parents[2]

SECONDS = 60.0
"""Patience, not a measure: the machine may be busy with other tests."""

Main = Callable[[Settings, asyncio.Event], Awaitable[int]]


async def until(condition: Callable[[], Awaitable[object]], *, seconds: float = SECONDS) -> None:
    """Wait for the condition; fail when it does not come true in time."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not await condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not come true in time"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def opened(
    open_runtime: Callable[[Settings], AbstractAsyncContextManager[Runtime]], settings: Settings
) -> AsyncIterator[Runtime]:
    """A runtime of the test's own, which is patient; processes at work keep their own limits."""
    async with AsyncExitStack() as stack:
        with patience():
            runtime = await stack.enter_async_context(open_runtime(settings))
        yield runtime


@asynccontextmanager
async def patient_pool(settings: Settings) -> AsyncIterator[Pool]:
    """Connections of the test's own, as a worker has them."""
    with patience():
        pool = await open_pool(settings.database_url, role="media_worker", size=4)
    async with pool:
        yield pool


async def settled(pool: Pool) -> None:
    """Wait until followers see every event: a transaction in any database hides the newest."""

    async def all_seen() -> bool:
        async with pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT coalesce(max(position), 0) < log_horizon() FROM events"
            )
            row = await cursor.fetchone()
        return row is not None and bool(row[0])

    await until(all_seen)


async def catch_up(pool: Pool) -> None:
    """Bring the read models behind the work list up to the log."""
    projections: list[Projection] = [
        PendingUploadsProjection(),
        AuditTrailProjection(),
        UnfinishedWorkProjection(),
    ]
    await settled(pool)
    for projection in projections:
        follower = Follower(projection, PostgresEventReader(pool))
        async with pool.connection() as connection:
            await follower.start(connection)
            while await follower.step(connection):
                pass
        await follower.close()


@asynccontextmanager
async def running(settings: Settings, *mains: Main) -> AsyncIterator[None]:
    """The processes' main functions at work in this one; they must end well when asked to."""
    stop = asyncio.Event()
    tasks = [asyncio.ensure_future(main(settings, stop)) for main in mains]
    try:
        yield
    finally:
        stop.set()
        codes = await asyncio.gather(*tasks)
    assert codes == [0] * len(mains)


@asynccontextmanager
async def process(
    module: str,
    settings: Settings,
    *,
    environ: Mapping[str, str] = MappingProxyType({}),
    stdout: int | None = None,
    stderr: int | None = None,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m module` with these settings; killed at the end if it still runs.

    `environ` wins over the settings.
    """
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        cwd=ROOT,
        env=dict(environment_of(settings)) | dict(environ),
        stdout=stdout,
        stderr=stderr,
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()


def environment_of(settings: Settings) -> Mapping[str, str]:
    """The settings as a process reads them."""
    environ = {"PATH": os.environ["PATH"]}
    for name, value in msgspec.structs.asdict(settings).items():
        match value:
            case tuple():
                text = ",".join(map(str, value))
            case str() | bool() | int():
                text = str(value)
            case _:
                text = msgspec.json.encode(value).decode()
        if text:  # an empty variable is one that is set, to a library
            environ[variable_of(name)] = text
    return environ


class Gate:
    """A TCP way to a server that lets nothing through until it is opened."""

    def __init__(self, target: str) -> None:
        self._url = urlsplit(target)
        user, at, _ = self._url.netloc.rpartition("@")
        self._user = user + at
        self._target = self._url.hostname, self._url.port
        self._opened = asyncio.Event()
        self._cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self.knocked = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """The given URL, by way of this gate."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return self._url._replace(netloc=f"{self._user}127.0.0.1:{port}").geturl()

    def open(self) -> None:
        """Let everything through, also again after `cut`."""
        self._cut = False
        self._opened.set()

    def cut(self) -> None:
        """Be away: end every connection, take no other."""
        self._cut = True
        for task in list(self._tasks):
            task.cancel()

    def freeze(self) -> None:
        """Keep every connection, take new ones, and pass nothing on: as packets that vanish."""
        self._flows.clear()

    def thaw(self) -> None:
        """Pass on what was held back, and what comes."""
        self._flows.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        writers = [writer]
        try:
            self.knocked.set()
            await self._opened.wait()
            if self._cut:
                return
            inner_reader, inner_writer = await asyncio.open_connection(*self._target)
            writers.append(inner_writer)
            await asyncio.gather(self._pump(reader, inner_writer), self._pump(inner_reader, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for one in writers:
                one.close()
            for one in writers:
                with contextlib.suppress(OSError):
                    await one.wait_closed()
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        writer.close()

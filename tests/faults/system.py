"""The whole service on servers of its own, with proxies between, and a supervisor that restarts.

Everything on loopback, in one folder that is removed at the end.
"""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import redis.asyncio

from adapters.embedded import (
    BUCKETS,
    LOOPBACK,
    ObjectServer,
    Postgres,
    Valkey,
    free_port,
    http_status,
)
from adapters.postgres_migrations import migrate
from adapters.settings import DEVELOPMENT_GATEWAY_KEY, child_environment
from adapters.supervisor import Program, Supervisor
from tests.faults.proxies import PostgresProxy, StoreProxy
from tests.kit.http_source import HttpSource, http_source
from tests.kit.process_tree import children
from tests.kit.receiver import Receiver, receiver
from workers.processes import PROCESSES, Process

ROOT = Path(__file__).parents[2]
READY_SECONDS = 120.0
RESTART_SECONDS = 0.2
NAMESPACE = "media"
SUBSCRIBER = "subscriber"
DATABASE = "media"
SAID = "faults: "
NEVER_REACHED = "100000"
"""A limit is counted all the same, in Redis."""


class Death(msgspec.Struct, frozen=True):
    """A process that ended unasked."""

    at: float
    name: str
    code: int


class System:
    """Servers, proxies and processes, by their names in `workers/processes.py`."""

    def __init__(
        self,
        home: Path,
        *,
        postgres_proxy: PostgresProxy,
        store_proxy: StoreProxy,
        postgres: Postgres,
        valkey: Valkey,
        objects: ObjectServer,
        source: HttpSource,
        hooks: Receiver,
    ) -> None:
        self.home = home
        self.postgres = postgres
        self.valkey = valkey
        self.objects = objects
        self._servers: Mapping[str, Postgres | Valkey | ObjectServer] = {
            "postgres": postgres,
            "valkey": valkey,
            "s3": objects,
        }
        self.postgres_proxy = postgres_proxy
        self.store_proxy = store_proxy
        self.source = source
        self.hooks = hooks
        self.deaths: list[Death] = []
        self.wanted: dict[str, Mapping[str, str]] = {}
        """What a process is started with beside the others' settings, the next time."""
        self.modules: dict[str, tuple[str, ...]] = {}
        """Another program than its own, the next time."""
        self.held: set[str] = set()
        """Not to be started again for now."""
        self.log = (home / "processes.log").open("ab")
        self.supervisor = Supervisor(self._line)
        self.ports = {one.name: free_port() for one in PROCESSES if one.port_setting}
        self._processes = {one.name: one for one in PROCESSES}
        self._supervising: asyncio.Task[None] | None = None
        self.said = 0
        """How often a faulty process has said that it did what it is there for."""

    def _line(self, name: str, line: str) -> None:
        self.said += line.startswith(SAID)
        self.log.write(f"{time.monotonic():.3f} {name} {line}\n".encode())

    @property
    def api(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['api']}"

    @property
    def internal(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['internal']}"

    @property
    def edge(self) -> str:
        return f"http://{LOOPBACK}:{self.ports['edge']}"

    @property
    def database_url(self) -> str:
        """The log, as its owner, past the proxy."""
        return self.postgres.database_url(DATABASE)

    @property
    def pids(self) -> Mapping[str, int]:
        return self.supervisor.pids

    def settings(self) -> dict[str, str]:
        """What every process is configured with."""
        proxied = self.database_url.replace(
            f":{self.postgres.port}/", f":{self.postgres_proxy.port}/"
        )
        return {
            "MEDIA_ENVIRONMENT": "development",
            "MEDIA_DATABASE_URL": proxied,
            "MEDIA_REDIS_URL": self.valkey.url,
            "MEDIA_REDIS_NAMESPACE": NAMESPACE,
            "MEDIA_PUBLIC_BASE_URL": self.edge,
            "MEDIA_S3_ENDPOINT": f"http://{LOOPBACK}:{self.store_proxy.port}",
            "MEDIA_S3_UPLOAD_ENDPOINT": self.edge,
            "MEDIA_S3_REGION": "us-east-1",
            "MEDIA_S3_ACCESS_KEY": self.objects.access_key,
            "MEDIA_S3_SECRET_KEY": self.objects.secret_key,
            "MEDIA_HOST": LOOPBACK,
            "MEDIA_PORT": str(self.ports["api"]),
            "MEDIA_INTERNAL_PORT": str(self.ports["internal"]),
            "MEDIA_EDGE_PORT": str(self.ports["edge"]),
            "MEDIA_LIMIT_PRESIGN": NEVER_REACHED,
            "MEDIA_LIMIT_INGEST": NEVER_REACHED,
            "MEDIA_LIMIT_LIST": NEVER_REACHED,
            "MEDIA_LIMIT_BULK_DELETE": NEVER_REACHED,
            "MEDIA_PERMITTED_SOURCES": self.source.pair,
            "MEDIA_PERMITTED_RECEIVERS": self.hooks.pair,
            # A person waits; a proof has no time.
            "MEDIA_REDRIVE_AFTER_SECONDS": "5",
            "MEDIA_JOB_HEARTBEAT_SECONDS": "3",
            "MEDIA_INGEST_WAIT_SECONDS": "4",
            "MEDIA_SWEEP_INTERVAL_SECONDS": "5",
            "MEDIA_WEBHOOK_RETRY_SECONDS": "1,1,1,2,2,2,3,3,3,5,5,5,5,10,10",
            "MEDIA_DECODERS": "1",
            "MEDIA_DATABASE_POOL_SIZE": "6",
            "PYTHONUNBUFFERED": "1",
        }

    async def start(self) -> None:
        """Servers, database, processes; returns when all answer."""
        await asyncio.gather(
            self.postgres.start(self.supervisor),
            self.valkey.start(self.supervisor),
            self.objects.start(self.supervisor),
        )
        await migrate(await self.postgres.ensure_database(DATABASE))
        for name in self._processes:
            await self._start(name)
        await self._start_subscriber()
        self._supervising = asyncio.create_task(self._supervise())
        await self.until_ready()

    async def stop(self) -> None:
        """End all of it."""
        if self._supervising is not None:
            self._supervising.cancel()
            await asyncio.gather(self._supervising, return_exceptions=True)
        for pid in self.pids.values():
            _signal_tree(pid, signal.SIGCONT)
        await self.supervisor.stop()
        self.log.close()

    async def until_ready(self, seconds: float = READY_SECONDS) -> None:
        """Return when every process runs and those with a port say they are ready."""
        deadline = time.monotonic() + seconds
        for one in self._processes.values():
            while not await self._ready(one):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{one.name} is not ready within {seconds:.0f} s")
                await asyncio.sleep(0.05)

    async def _ready(self, one: Process) -> bool:
        if one.name not in self.pids:
            return False
        if one.port_setting is None:
            return True
        status = await http_status(self.ports[one.name], one.ready_path or "/")
        return status == 200 or (status is not None and one.ready_path is None)

    async def _start(self, name: str) -> None:
        module = self.modules.get(name, (self._processes[name].module,))
        environment = child_environment(
            self.settings() | dict(self.wanted.pop(name, {})),
            defaults={"MEDIA_GATEWAY_KEYS": DEVELOPMENT_GATEWAY_KEY},
        )
        await self.supervisor.start(
            Program(
                name=name,
                argv=(sys.executable, "-m", *module),
                environment=environment,
                directory=ROOT,
                stop_seconds=15.0,
            )
        )

    async def _start_subscriber(self) -> None:
        """The subscriber of docs/examples, on a database of its own: its journal is its log."""
        example = ROOT / "docs" / "examples" / "event_consumer.py"
        where = (str(self.journal), self.valkey.url, self.internal, NAMESPACE)
        await self.supervisor.start(
            Program(
                name=SUBSCRIBER,
                argv=(sys.executable, str(example), "faults", *where),
                environment=child_environment({"PYTHONUNBUFFERED": "1"}),
                directory=ROOT,
            )
        )

    @property
    def journal(self) -> Path:
        """SQLite; what the subscriber's effects were."""
        return self.home / "subscriber.sqlite"

    async def _supervise(self) -> None:
        """What an orchestrator does: whatever dies is started again. No other hand helps."""
        while True:
            death = await self.supervisor.ended()
            self.deaths.append(Death(time.monotonic(), death.name, death.code))
            self._line("supervisor", f"{death.name} ended with {death.code}")
            if death.name in self.held or death.name in self._servers:
                continue
            await asyncio.sleep(RESTART_SECONDS)
            if death.name == SUBSCRIBER:
                await self._start_subscriber()
            else:
                await self._start(death.name)

    async def kill(self, *names: str) -> None:
        """SIGKILL; returns when the supervisor knows. It starts processes of ours again."""
        before = len(self.deaths)
        killed = set()
        for name in names:
            with contextlib.suppress(KeyError, ProcessLookupError):  # it has just died by itself
                os.kill(self.pids[name], signal.SIGKILL)
                killed.add(name)
        while not killed <= {death.name for death in self.deaths[before:]}:
            await asyncio.sleep(0.01)

    async def restart(
        self, name: str, environment: Mapping[str, str] | None = None, *, wait: bool = True
    ) -> None:
        """Kill it and have it started with these variables beside the others."""
        self.wanted[name] = environment or {}
        await self.kill(name)
        while name in self.wanted:
            await asyncio.sleep(0.01)
        if wait:
            await self.until_runs(name)

    def put_in(self, name: str, program: str, fault: str) -> None:
        """Have the process started by this program, with a fault in it, the next time."""
        self.modules[name] = (program, fault, self._processes[name].module)

    async def until_runs(self, name: str, seconds: float = READY_SECONDS) -> None:
        """Return when it runs (again), and answers if it has a port."""
        deadline = time.monotonic() + seconds
        while not await self._ready(self._processes[name]):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} does not run within {seconds:.0f} s")
            await asyncio.sleep(0.02)

    def freeze(self, name: str) -> None:
        """SIGSTOP, its children first: Postgres' backends are none of its group."""
        _signal_tree(self.pids[name], signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        """Let it go on."""
        _signal_tree(self.pids[name], signal.SIGCONT)

    async def end_server(self, name: str, number: int) -> None:
        """Have a server end by this signal; it stays away until it is started again."""
        before = len(self.deaths)
        os.kill(self.pids[name], number)
        while name not in {death.name for death in self.deaths[before:]}:
            await asyncio.sleep(0.01)

    async def start_server(self, name: str) -> None:
        """Start Postgres, Valkey or the object store again, on the same data."""
        await self._servers[name].start(self.supervisor)

    @asynccontextmanager
    async def sql(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """A connection of the harness, past the proxy."""
        one = await psycopg.AsyncConnection.connect(
            self.database_url, autocommit=True, application_name="faults"
        )
        async with one:
            yield one

    @asynccontextmanager
    async def redis(self) -> AsyncIterator[Any]:
        """A connection of the harness to Redis."""
        client: Any = redis.asyncio.Redis.from_url(self.valkey.url, socket_timeout=5)
        try:
            yield client
        finally:
            await client.aclose()


def _signal_tree(pid: int, number: int) -> None:
    for one in (*children(pid), pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)


@asynccontextmanager
async def running_system() -> AsyncIterator[System]:
    """A system at work; nothing of it is left at the end."""
    home = Path(tempfile.mkdtemp(prefix="media-faults-"))
    os.chmod(home, 0o711)  # noqa: PTH101, S103 - Postgres is another user when we are root
    try:
        async with AsyncExitStack() as stack:
            made = [secrets.token_hex(12) for _ in range(4)]
            postgres = Postgres(directory=home / "postgres", port=free_port(), password=made[0])
            objects = ObjectServer(
                directory=home / "objects", port=free_port(), access_key=made[2], secret_key=made[3]
            )
            system = System(
                home,
                postgres=postgres,
                valkey=Valkey(directory=home / "valkey", port=free_port(), password=made[1]),
                objects=objects,
                postgres_proxy=await stack.enter_async_context(PostgresProxy(postgres.port)),
                store_proxy=await stack.enter_async_context(StoreProxy(objects.port)),
                source=await stack.enter_async_context(http_source()),
                hooks=await stack.enter_async_context(receiver()),
            )
            stack.push_async_callback(system.stop)
            await system.start()
            yield system
    finally:
        shutil.rmtree(home, ignore_errors=True)


__all__ = ["BUCKETS", "Death", "System", "running_system"]

"""The servers tests run on: from the environment, else testcontainers, else embedded.

One set serves a whole run, xdist's workers included, and ends with the process that was called.
"""

import asyncio
import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec
import psycopg

from adapters.embedded import ObjectServer, Postgres, Valkey, free_port
from adapters.supervisor import Supervisor
from tests.kit import written

START_SECONDS = 60
SMALL = {"shared_buffers": "64MB", "io_method": "sync", "max_wal_size": "256MB", "fsync": "off"}
"""Whoever drops a database waits for a checkpoint, in a transaction that holds up the readers of
all other databases: on a slow disk for a minute, if each file is to be synced."""

Result = TypeVar("Result")


class Servers(msgspec.Struct, frozen=True, kw_only=True):
    """Where the servers of this run answer."""

    database_url: str
    """As a superuser, to any database."""
    redis_url: str
    s3_endpoint: str
    s3_access_key: str
    s3_secret_key: str
    source: str
    """`environment`, `containers` or `embedded`, said at the start of a run."""


@contextlib.contextmanager
def open_servers() -> Iterator[Servers]:
    """The best servers there are, for as long as the block runs."""
    given = from_environment()
    if given is not None:
        yield given
    elif docker_answers():
        with container_servers() as servers:
            yield servers
    else:
        with background_loop() as run:
            stack = contextlib.AsyncExitStack()
            try:
                yield run(stack.enter_async_context(embedded_servers()))
            finally:
                run(stack.aclose())


@contextlib.asynccontextmanager
async def embedded_servers() -> AsyncIterator[Servers]:
    """PostgreSQL, Valkey and rclone's S3 server in a temporary folder."""
    with temporary_folder() as home:
        postgres = embedded_postgres(home)
        valkey = Valkey(directory=home / "valkey", port=free_port(), password=new_secret())
        objects = ObjectServer(
            directory=home / "objects",
            port=free_port(),
            access_key=new_secret(),
            secret_key=new_secret(),
        )
        async with supervised() as supervisor:
            await asyncio.gather(*(one.start(supervisor) for one in (postgres, valkey, objects)))
            yield Servers(
                database_url=postgres.url,
                redis_url=valkey.url,
                s3_endpoint=objects.endpoint,
                s3_access_key=objects.access_key,
                s3_secret_key=objects.secret_key,
                source="embedded",
            )


@contextlib.asynccontextmanager
async def embedded_cluster() -> AsyncIterator[Postgres]:
    """A PostgreSQL server nobody else writes to: readers wait for every open transaction."""
    with temporary_folder() as home:
        postgres = embedded_postgres(home)
        async with supervised() as supervisor:
            await postgres.start(supervisor)
            yield postgres


@contextlib.asynccontextmanager
async def supervised() -> AsyncIterator[Supervisor]:
    """Programs that end with the block; the last lines of one that fails are in its exception."""
    supervisor = Supervisor(lambda _name, _line: None)
    try:
        yield supervisor
    finally:
        await supervisor.stop()


@contextlib.contextmanager
def temporary_folder() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="media-tests-"))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def embedded_postgres(home: Path) -> Postgres:
    return Postgres(
        directory=home / "postgres", port=free_port(), password=new_secret(), options=SMALL
    )


def new_secret() -> str:
    made = secrets.token_hex(16)
    written.remember(made)
    return made


class Run(Protocol):
    """Runs a coroutine on another thread's loop and waits for its result."""

    def __call__(self, coroutine: Coroutine[object, object, Result]) -> Result: ...


@contextlib.contextmanager
def background_loop() -> Iterator[Run]:
    """A loop on its own thread: pytest's hooks are not async, and outlive its event loop."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="test-servers", daemon=True)
    thread.start()

    def run(coroutine: Coroutine[object, object, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, loop).result(START_SECONDS)

    try:
        yield run
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def from_environment() -> Servers | None:
    """Servers somebody else runs, when all are named."""
    found = {
        name: os.environ.get(f"MEDIA_TEST_{name.upper()}", "")
        for name in ("database_url", "redis_url", "s3_endpoint", "s3_access_key", "s3_secret_key")
    }
    return Servers(**found, source="environment") if all(found.values()) else None


def docker_answers() -> bool:
    """Whether a Docker engine, not only its client, is there."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    try:
        asked = subprocess.run([docker, "info"], check=False, capture_output=True, timeout=5)
    except (subprocess.SubprocessError, OSError):
        return False
    return asked.returncode == 0


@contextlib.contextmanager
def container_servers() -> Iterator[Servers]:
    """The images of compose.yaml."""
    # Imported here because it asks Docker for its settings when it is imported.
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415

    password = new_secret()
    images = compose_images()
    with (
        DockerContainer(images["postgres"])
        .with_env("POSTGRES_USER", "media")
        .with_env("POSTGRES_PASSWORD", password)
        .with_command("postgres -c fsync=off")
        .with_exposed_ports(5432) as postgres,
        DockerContainer(images["valkey"]).with_exposed_ports(6379) as valkey,
        DockerContainer(images["s3"])
        .with_env("MINIO_ROOT_USER", "media-tests")
        .with_env("MINIO_ROOT_PASSWORD", password)
        .with_command("server /data")
        .with_exposed_ports(9000) as minio,
    ):
        host = postgres.get_container_host_ip()
        database = f"{host}:{postgres.get_exposed_port(5432)}"
        servers = Servers(
            database_url=f"postgresql://media:{password}@{database}/postgres",
            redis_url=f"redis://{host}:{valkey.get_exposed_port(6379)}/0",
            s3_endpoint=f"http://{host}:{minio.get_exposed_port(9000)}",
            s3_access_key="media-tests",
            s3_secret_key=password,
            source="containers",
        )
        wait_for_postgres(servers.database_url)
        yield servers


def compose_images() -> dict[str, str]:
    """The image of each service of compose.yaml that has one."""
    import yaml  # noqa: PLC0415 - only where Docker answers

    content = yaml.safe_load((Path(__file__).parents[2] / "compose.yaml").read_text())
    services = content["services"].items()
    return {name: service["image"] for name, service in services if "build" not in service}


def wait_for_postgres(url: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def exclusively(lock: Path) -> Iterator[None]:
    """One process of the run at a time."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield

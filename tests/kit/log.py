"""Facts for tests and benchmarks of the event log, and a server of its own to put them on."""

import os
import secrets
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from adapters.embedded import Postgres, free_port
from adapters.postgres import Role, open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.postgres_events import LogFactory
from adapters.supervisor import Supervisor
from domain.access import Access
from domain.event import Event, Recorded
from tests.kit.scenario import REQUESTED, START

ALPHA = "t:ls_alpha"
BETA = "t:ls_beta"


def new_stream() -> str:
    return f"media_{uuid.uuid4().hex[:16]}"


def recorded(
    event: Event = REQUESTED,
    *,
    stream: str | None = None,
    version: int = 1,
    owner: str = ALPHA,
) -> Recorded:
    """A fact with its envelope, not yet in the log."""
    return Recorded(
        stream=stream or new_stream(),
        version=version,
        position=0,
        at=START,
        owner=owner,
        actor="user:user_789",
        access=Access.WORKSPACE,
        command_id="command_1",
        correlation_id="request_1",
        event=event,
    )


def at_positions(events: list[Recorded], last: int) -> list[Recorded]:
    """The events as they stand in the log after an append that returned `last`."""
    first = last - len(events) + 1
    return [
        msgspec.structs.replace(event, position=position)
        for position, event in enumerate(events, first)
    ]


async def event_count(url: str) -> int:
    """How many facts the log of this database holds."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT count(*) FROM events")
        row = await cursor.fetchone()
    return int(row[0]) if row else 0


@asynccontextmanager
async def event_store(
    url: str, role: Role = "media_api", *, size: int = 4
) -> AsyncIterator[PostgresEventStore]:
    """An event store on a pool of its own."""
    async with await open_pool(url, role=role, size=size) as pool:
        yield PostgresEventStore(pool)


@asynccontextmanager
async def own_cluster() -> AsyncIterator[Postgres]:
    """A PostgreSQL server nobody else writes to: readers wait for every open transaction."""
    home = tempfile.mkdtemp(prefix="media-log-")
    # PostgreSQL runs as another user when we are root.
    os.chmod(home, 0o711)  # noqa: PTH101, S103 - in async code; to pass only
    supervisor = Supervisor(lambda _name, _line: None)
    postgres = Postgres(
        directory=Path(home, "postgres"), port=free_port(), password=secrets.token_hex(16)
    )
    try:
        await postgres.start(supervisor)
        yield postgres
    finally:
        await supervisor.stop()
        shutil.rmtree(home, ignore_errors=True)


def package_environment(url: str) -> dict[str, str]:
    """The variables with which the `eventsourcing` package finds our log."""
    parts = conninfo_to_dict(url)
    return {
        "PERSISTENCE_MODULE": LogFactory.__module__,
        "POSTGRES_DBNAME": str(parts["dbname"]),
        "POSTGRES_HOST": str(parts["host"]),
        "POSTGRES_PORT": str(parts["port"]),
        "POSTGRES_USER": str(parts["user"]),
        "POSTGRES_PASSWORD": str(parts.get("password") or ""),
        "CREATE_TABLE": "n",
    }

"""Connections to PostgreSQL: pools with a role and limits, owner-scoped statements, error mapping.

Opened by `adapters/runtime.py`; used by every module that speaks SQL.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Literal, TypeAlias

import psycopg
from psycopg.conninfo import conninfo_to_dict

from adapters.metrics import watch_pool
from adapters.postgres_connection import (
    LIVENESS,
    RECONNECT_SECONDS,
    SILENCE_GRACE_SECONDS,
    BoundedConnection,
    LivePool,
    bounded,
)
from domain.errors import DatabaseUnavailable

Role = Literal["media_api", "media_worker"]
Pool: TypeAlias = LivePool

POOL_TIMEOUT_SECONDS = 5.0
"""Longer than a connection is ever waited for by a healthy process."""
IDLE_IN_TRANSACTION_SECONDS = 10
"""An idle writing transaction holds every follower back (docs/architecture.md)."""
TRANSACTION_SECONDS = 30


async def open_pool(
    url: str,
    *,
    role: Role,
    size: int,
    application_name: str = "media",
    transaction_seconds: int = TRANSACTION_SECONDS,
) -> Pool:
    """A pool of at most `size` autocommit connections that act as `role`; the caller closes it.

    Does not wait for the server: a process starts, and answers DB_ERROR, while Postgres is away.
    `transaction_seconds` bounds every transaction, single statements included: the server ends
    it, and a server that is silent for longer is given up.
    """
    pool: Pool = LivePool(
        url,
        kwargs={
            "autocommit": True,
            "application_name": application_name,
            "options": startup_options(url, role=role, transaction_seconds=transaction_seconds),
            **LIVENESS,
        },
        connection_class=BoundedConnection,
        configure=bounded(transaction_seconds + SILENCE_GRACE_SECONDS),
        reconnect_timeout=RECONNECT_SECONDS,
        min_size=min(size, 2),
        max_size=size,
        timeout=POOL_TIMEOUT_SECONDS,
        open=False,
        name=application_name,
    )
    await pool.open(wait=False)
    watch_pool(pool)
    return pool


def startup_options(url: str, *, role: Role, transaction_seconds: int = TRANSACTION_SECONDS) -> str:
    """What a connection starts with, after the options its URL already names (Neon's endpoint)."""
    own = {
        "role": role,
        "timezone": "UTC",
        "datestyle": "ISO",
        "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_SECONDS}s",
        "transaction_timeout": f"{transaction_seconds}s",
        # Whatever the server's default: what was answered must not be lost, nor a position go back.
        "synchronous_commit": "on",
    }
    given = str(conninfo_to_dict(url).get("options") or "")
    return " ".join([given, *(f"-c {name}={value}" for name, value in own.items())]).strip()


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn every psycopg error, a pool's timeout included, into DatabaseUnavailable."""
    try:
        yield
    except psycopg.Error as error:
        raise unavailable(error) from error


def unavailable(error: psycopg.Error) -> DatabaseUnavailable:
    """The refusal a caller sees; the cause is logged, never exposed (spec 7.1)."""
    why = error.sqlstate or type(error).__name__
    return DatabaseUnavailable("The database does not answer.", reason=why)


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection of the pool. Raises DatabaseUnavailable for whatever goes wrong on it."""
    with database_errors():
        async with pool.connection() as one:
            yield one


def owned(select: str) -> str:
    """The SELECT with `app.owner` set from `%(owner)s` inside the same single statement.

    The SELECT must compare with `c.owner`: that makes Postgres set it before any policy reads it,
    which a CTE does not. It lives as long as the transaction, so no pool can leak it.
    """
    if "c.owner" not in select:
        raise ValueError("an owner-scoped SELECT must compare with c.owner")
    owner = "SELECT set_config('app.owner', %(owner)s, true) AS owner OFFSET 0"
    return f"SELECT q.* FROM ({owner}) AS c CROSS JOIN LATERAL ({select}) AS q"  # noqa: S608 - text of ours

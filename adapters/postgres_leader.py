"""One process of a kind works, the others stand by: a session's advisory lock.

Used by `workers/reactor.py` and `workers/scheduler.py`, with what they do under it.
"""

import asyncio
from datetime import datetime

import psycopg

from adapters.postgres import TRANSACTION_SECONDS, database_errors, startup_options
from adapters.postgres_connection import LIVENESS, SILENCE_GRACE_SECONDS, BoundedConnection
from domain.errors import DatabaseUnavailable

STAND_BY_SECONDS = 1.0
"""How often one that stands by tries to take over."""
SILENCE_SECONDS = TRANSACTION_SECONDS + SILENCE_GRACE_SECONDS
"""When a server that says nothing is given up."""
SERVER_LIVENESS = "-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3"
"""A leader whose machine vanished must lose the lock in seconds, not in two hours."""
DELETE_AT_ONCE = 5_000


class Leader:
    """A connection of its own that holds, or waits for, the right to work."""

    def __init__(self, database_url: str, *, name: str) -> None:
        self._url = database_url
        self._name = name
        self._connection: psycopg.AsyncConnection | None = None

    async def take_over(self) -> bool:
        """Try to become the one that works. Raises DatabaseUnavailable."""
        with database_errors():
            if self._connection is None:
                self._connection = await self._connect()
            cursor = await self._connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", [f"media:{self._name}"]
            )
            row = await cursor.fetchone()
        return row is not None and bool(row[0])

    async def _connect(self) -> psycopg.AsyncConnection:
        connection = await BoundedConnection.connect(
            self._url,
            autocommit=True,
            application_name=f"media-{self._name}",
            options=f"{startup_options(self._url, role='media_worker')} {SERVER_LIVENESS}",
            **LIVENESS,
        )
        connection.silence_seconds = SILENCE_SECONDS
        return connection

    async def step_down(self) -> None:
        """Let another take over."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def still_leads(self) -> None:
        """Raise DatabaseUnavailable when the session, and with it the lock, is gone."""
        with database_errors():
            await self._session.execute("SELECT 1")

    async def checkpoint(self) -> int:
        """The position up to which this follower has worked. Raises DatabaseUnavailable."""
        with database_errors():
            cursor = await self._session.execute(
                "SELECT position FROM checkpoints WHERE follower = %s", [self._name]
            )
            row = await cursor.fetchone()
        return row[0] if row is not None else 0

    async def store_checkpoint(self, position: int) -> None:
        """Remember how far this follower has worked. Raises DatabaseUnavailable."""
        with database_errors():
            await self._session.execute(
                "INSERT INTO checkpoints AS c (follower, position) VALUES (%s, %s)"
                " ON CONFLICT (follower) DO UPDATE SET position = excluded.position, at = now()"
                " WHERE c.position < excluded.position",
                [self._name, position],
            )

    async def delete_idempotency_keys(self, before: datetime) -> int:
        """Forget Idempotency-Keys used before the time; how many. Raises DatabaseUnavailable."""
        deleted = 0
        with database_errors():
            while True:
                cursor = await self._session.execute(
                    "DELETE FROM idempotency_keys WHERE ctid = ANY (ARRAY("
                    "SELECT ctid FROM idempotency_keys WHERE at < %s LIMIT %s))",
                    [before, DELETE_AT_ONCE],
                )
                deleted += cursor.rowcount
                if cursor.rowcount < DELETE_AT_ONCE:
                    return deleted
                await asyncio.sleep(0)

    @property
    def _session(self) -> psycopg.AsyncConnection:
        if self._connection is None:
            raise DatabaseUnavailable("This process does not lead.")
        return self._connection

"""The `FileLocks` port: an advisory lock of a session of its own, for as long as a file is at work.

Not a row: a process that dies lets go at once, and a lock keeps no follower back.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from adapters.postgres import TRANSACTION_SECONDS, database_errors, startup_options
from adapters.postgres_connection import LIVENESS, SILENCE_GRACE_SECONDS, BoundedConnection

TRIES_FOR_SECONDS = TRANSACTION_SECONDS - 5
"""Less than the server gives one statement."""


class PostgresFileLocks:
    """Outside the pool: a lock may be held while its holder waits for a connection of the pool."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    @asynccontextmanager
    async def hold(self, media_id: str) -> AsyncIterator[None]:
        """Wait for the file's lock and hold it for the block. Raises DatabaseUnavailable."""
        with database_errors():
            connection = await self._connect()
        try:
            with database_errors():
                await connection.execute(f"SET lock_timeout = '{TRIES_FOR_SECONDS}s'")
                await connection.execute(
                    "SELECT pg_advisory_lock(hashtextextended(%s, 0))", [f"media:file:{media_id}"]
                )
            yield
        finally:
            await connection.close()

    async def _connect(self) -> psycopg.AsyncConnection:
        connection = await BoundedConnection.connect(
            self._url,
            autocommit=True,
            application_name="media-file-lock",
            options=startup_options(self._url, role="media_worker"),
            **LIVENESS,
        )
        connection.silence_seconds = TRANSACTION_SECONDS + SILENCE_GRACE_SECONDS
        return connection

"""The FileLocks port: advisory locks of a session, so that a killed worker holds none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from adapters.postgres import Pool, database_errors
from adapters.postgres_connection import BoundedConnection
from domain.errors import DatabaseUnavailable

LOOK_AGAIN_SECONDS = 0.05
WAIT_SECONDS = 20.0
"""How long one worker waits for another with the same file; then the job is tried again."""
UNLOCK_SECONDS = 5.0

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
_UNLOCK = "SELECT pg_advisory_unlock(hashtextextended(%s, 0))"


class PostgresFileLocks:
    """`application.placement.FileLocks`, on the connections of a pool."""

    def __init__(self, pool: Pool, *, at_once: int) -> None:
        """`at_once` is how many are held, each with a connection; less than the pool has."""
        self._pool = pool
        self._turns = asyncio.Semaphore(at_once)

    @asynccontextmanager
    async def hold(self, media_id: str) -> AsyncIterator[None]:
        """Hold the lock of the file, waiting for it. Raises DatabaseUnavailable."""
        name = [f"media:place:{media_id}"]
        async with self._turns:
            with database_errors():
                one = await self._pool.getconn()
            try:
                with database_errors():
                    await self._take(one, name)
                yield
            finally:
                await self._give_back(one, name)

    async def _take(self, one: BoundedConnection, name: list[str]) -> None:
        deadline = asyncio.get_running_loop().time() + WAIT_SECONDS
        while True:
            row = await (await one.execute(_LOCK, name)).fetchone()
            if row is not None and row[0]:
                return
            if asyncio.get_running_loop().time() > deadline:
                raise DatabaseUnavailable("Another worker holds the file.", reason="lock")
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _give_back(self, one: BoundedConnection, name: list[str]) -> None:
        """Nothing but a connection without locks may go back into the pool.

        A lock ends with its session, so that one which cannot be given up is closed: what was done
        under it is done all the same.
        """
        try:
            async with asyncio.timeout(UNLOCK_SECONDS):
                await one.execute(_UNLOCK, name)
        except (psycopg.Error, TimeoutError):
            await one.close()
        except asyncio.CancelledError:
            await one.close()
            raise
        finally:
            await self._pool.putconn(one)

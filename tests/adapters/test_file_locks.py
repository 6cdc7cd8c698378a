"""The lock of a file: one holder at a time, and a broken session neither keeps it nor fails."""

import asyncio

import psycopg

from adapters.postgres import open_pool
from adapters.postgres_file_locks import PostgresFileLocks

MEDIA_ID = "media_xK9mQ2pLw3RtYb8c"


async def test_one_holds_the_lock_and_the_other_waits(database_url: str) -> None:
    async with await open_pool(database_url, role="media_worker", size=4) as pool:
        locks = PostgresFileLocks(pool, at_once=2)
        told: list[str] = []

        async def work(name: str) -> None:
            async with locks.hold(MEDIA_ID):
                told.append(f"{name} begins")
                await asyncio.sleep(0.2)
                told.append(f"{name} ends")

        await asyncio.gather(work("one"), work("two"))
        assert [line.split()[1] for line in told] == ["begins", "ends"] * 2


async def test_a_session_that_breaks_meanwhile_gives_the_lock_up_and_fails_nothing(
    database_url: str,
) -> None:
    async with await open_pool(database_url, role="media_worker", size=4) as pool:
        locks = PostgresFileLocks(pool, at_once=2)
        async with (
            locks.hold(MEDIA_ID),
            await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other,
        ):
            await other.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_locks"
                " WHERE locktype = 'advisory' AND granted AND database ="
                " (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
        async with asyncio.timeout(60), locks.hold(MEDIA_ID):
            pass

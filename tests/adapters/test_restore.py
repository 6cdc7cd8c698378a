import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from adapters.embedded import postgres_binary
from adapters.event_reader import PostgresEventReader
from adapters.postgres import open_pool
from adapters.postgres_restore import RestoreError, restore
from tests.kit.log import event_store, own_cluster, recorded
from tests.kit.scenario import COMPLETED


@pytest.fixture(scope="module")
async def fresh_url() -> AsyncIterator[str]:
    """A database on a new cluster, whose transaction ids start low."""
    async with own_cluster() as cluster:
        yield await cluster.ensure_database("media")


async def dumped(url: str, directory: Path) -> Path:
    dump = directory / "media.sql"
    pg_dump = postgres_binary("pg_dump")
    process = await asyncio.create_subprocess_exec(pg_dump, f"--dbname={url}", f"--file={dump}")
    assert await process.wait() == 0
    return dump


async def test_a_dump_in_a_fresh_cluster_is_followed_on_without_going_back(
    database_url: str, fresh_url: str, tmp_path: Path
) -> None:
    events = [recorded(stream=f"media_{number}") for number in range(300)]
    async with event_store(database_url) as store:
        positions = [await store.append([event]) for event in events]
    dump = await dumped(database_url, tmp_path)

    assert await restore(fresh_url, dump, psql=postgres_binary("psql")) == positions[-1]

    async with await psycopg.AsyncConnection.connect(fresh_url) as connection:
        cursor = await connection.execute("SELECT pg_current_xact_id()::text::bigint << 16")
        (unraised,) = await cursor.fetchone() or (0,)
    assert unraised < positions[-1], "the fresh cluster would have gone back"
    async with await open_pool(fresh_url, role="media_worker", size=2) as pool:
        reader = PostgresEventReader(pool)
        assert [event.position for event in await reader.read(0, 1000)] == positions
        async with event_store(fresh_url) as store:
            new = await store.append([recorded(COMPLETED, stream="media_0", version=2)])
            (history,) = (await store.load(["media_0"])).values()
        assert [event.version for event in history] == [1, 2]
        # What every follower's checkpoint, restored with the log, goes on with.
        assert [event.position for event in await reader.read(positions[-1], 10)] == [new]

    with pytest.raises(RestoreError, match="holds an event log already"):
        await restore(fresh_url, dump, psql=postgres_binary("psql"))


async def test_a_broken_dump_leaves_nothing_behind(empty_database: str, tmp_path: Path) -> None:
    dump = tmp_path / "broken.sql"
    dump.write_text("CREATE TABLE events (id int); SELECT 1 / 0;")
    with pytest.raises(RestoreError, match="division by zero"):
        await restore(empty_database, dump, psql=postgres_binary("psql"))
    async with await psycopg.AsyncConnection.connect(empty_database) as connection:
        cursor = await connection.execute("SELECT to_regclass('events')")
        assert await cursor.fetchone() == (None,)


async def test_raising_the_epoch_of_a_log_that_needs_none_changes_nothing(
    database_url: str,
) -> None:
    async with event_store(database_url) as store:
        before = await store.append([recorded()])
        async with await psycopg.AsyncConnection.connect(database_url) as connection:
            await connection.execute("SELECT raise_log_epoch()")
        after = await store.append([recorded()])
    assert before < after < before + (100 << 16)

"""The one order of the log: a follower that goes forward never passes over an event."""

import asyncio
from collections.abc import AsyncIterator
from itertools import chain

import psycopg
import pytest

from adapters.event_reader import PostgresEventReader, wait_for_more
from adapters.postgres import open_pool
from adapters.postgres_event_store import append_statement
from domain.event import Recorded
from tests.kit.log import event_store, recorded

WRITERS = 16
EVENTS_PER_WRITER = 190
"""3,040 events; `bench.appends` does it with ten times as many."""


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[PostgresEventReader]:
    async with await open_pool(database_url, role="media_worker", size=2) as pool:
        yield PostgresEventReader(pool)


@pytest.fixture
async def writers(database_url: str) -> AsyncIterator[list[psycopg.AsyncConnection]]:
    connections = [await psycopg.AsyncConnection.connect(database_url) for _ in range(2)]
    yield connections
    for connection in connections:
        await connection.close()


async def insert(connection: psycopg.AsyncConnection, event: Recorded) -> int:
    """Append in a transaction that stays open."""
    row = await (await connection.execute(*append_statement([event], None))).fetchone()
    assert row is not None
    return int(row[0])


async def streams_after(reader: PostgresEventReader, position: int) -> list[str]:
    return [event.stream for event in await reader.read(position, 1000)]


async def test_a_tailing_reader_under_sixteen_writers_misses_nothing(
    database_url: str, reader: PostgresEventReader
) -> None:
    done = asyncio.Event()
    seen: list[Recorded] = []

    async def tail() -> None:
        position = 0
        while True:
            finished = done.is_set()
            batch = await reader.read(position, 200)
            seen.extend(batch)
            position = batch[-1].position if batch else position
            if finished and not batch:
                return
            if not batch:
                await wait_for_more(seconds=0.002)

    async with event_store(database_url, size=WRITERS) as store:

        async def write(writer: int) -> list[int]:
            return [
                await store.append([recorded(stream=f"media_{writer}_{number}")])
                for number in range(EVENTS_PER_WRITER)
            ]

        tailing = asyncio.create_task(tail())
        written = await asyncio.gather(*map(write, range(WRITERS)))
        done.set()
        await tailing

    assert [event.position for event in seen] == sorted(chain(*written))
    assert len({event.stream for event in seen}) == WRITERS * EVENTS_PER_WRITER


async def test_an_earlier_transaction_that_commits_later_is_waited_for(
    reader: PostgresEventReader, writers: list[psycopg.AsyncConnection]
) -> None:
    # A has the lower transaction id, B inserts and commits first: a checkpoint that went past A's
    # place would never see A.
    a, b = writers
    await a.execute("SELECT pg_current_xact_id()")
    high = await insert(b, recorded(stream="media_b"))
    await b.commit()
    assert await streams_after(reader, 0) == []
    low = await insert(a, recorded(stream="media_a"))
    assert await streams_after(reader, 0) == []
    await a.commit()
    assert low < high
    assert await streams_after(reader, 0) == ["media_a", "media_b"]


@pytest.mark.parametrize("seconds", [2, pytest.param(20, marks=pytest.mark.long)])
async def test_a_writer_that_sleeps_before_its_commit_holds_readers_back_and_loses_nothing(
    database_url: str,
    reader: PostgresEventReader,
    writers: list[psycopg.AsyncConnection],
    seconds: int,
) -> None:
    await insert(writers[0], recorded(stream="media_slow"))
    async with event_store(database_url) as store:
        fast = [await store.append([recorded(stream=f"media_{n}")]) for n in range(20)]
    for _ in range(seconds * 10):
        assert await streams_after(reader, 0) == []
        await asyncio.sleep(0.1)
    await writers[0].commit()
    assert await streams_after(reader, 0) == ["media_slow", *(f"media_{n}" for n in range(20))]
    assert await reader.head() == fast[-1] < await reader.horizon()


async def test_a_writer_that_rolls_back_leaves_a_gap_that_nobody_waits_for(
    reader: PostgresEventReader, writers: list[psycopg.AsyncConnection]
) -> None:
    a, b = writers
    await insert(a, recorded(stream="media_never"))
    await insert(b, recorded(stream="media_b"))
    await b.commit()
    await a.rollback()
    assert await streams_after(reader, 0) == ["media_b"]


async def test_a_long_reading_transaction_holds_nobody_back(
    reader: PostgresEventReader, writers: list[psycopg.AsyncConnection]
) -> None:
    a, b = writers
    await a.execute("SELECT count(*) FROM events")
    await insert(b, recorded(stream="media_b"))
    await b.commit()
    assert await streams_after(reader, 0) == ["media_b"]


async def test_a_reader_goes_on_after_the_last_event_it_was_given(
    database_url: str, reader: PostgresEventReader
) -> None:
    async with event_store(database_url) as store:
        last = await store.append([recorded(stream=f"media_{n}") for n in range(5)])
    assert [event.position for event in await reader.read(last - 4, 2)] == [last - 3, last - 2]
    assert await reader.read(last, 10) == []


async def test_a_hint_wakes_a_waiting_follower_and_is_used_up() -> None:
    hint = asyncio.Event()
    asyncio.get_running_loop().call_later(0.01, hint.set)
    async with asyncio.timeout(30):
        await wait_for_more(hint, seconds=60)
    assert not hint.is_set()
    await wait_for_more(hint, seconds=0.001)

"""Followers: every event counts once, whatever is repeated, killed, rebuilt or run twice."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import psycopg
import pytest

from domain.event import Recorded
from domain.placement_events import PlacementFailed, VisibilityChanged
from projections import unfinished_work
from projections.file_list import recent
from projections.projection import (
    LONGEST_WAIT_SECONDS,
    Follower,
    Projection,
    Statement,
    checkpoint_of,
)
from projections.read_models import READ_MODELS
from projections.shadow import RebuildRefused
from projections.waiting import Checkpoints
from tests.projections.conftest import Log
from tests.projections.histories import (
    DAY,
    START,
    Library,
    deleted,
    media_id,
    recorded,
    uploaded,
)

AN_INDEX_THAT_TAKES_LONG = """
CREATE FUNCTION slowly(id text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  PERFORM pg_advisory_lock_shared(4711);
  PERFORM pg_advisory_unlock_shared(4711);
  RETURN id;
END $$;
CREATE INDEX file_list_v2_slow ON file_list_v2 (slowly(media_id));
"""
"""As long as somebody holds the lock."""


@asynccontextmanager
async def being_rebuilt(log: Log) -> AsyncIterator[None]:
    """In the middle of a rebuild of the file list, which ends well after the block."""
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted"
    async with (
        asyncio.TaskGroup() as group,
        await psycopg.AsyncConnection.connect(log.database, autocommit=True) as other,
    ):
        await other.execute("SELECT pg_advisory_lock(4711)")
        rebuilding = group.create_task(
            log.rebuild("file_list_v2", more_ddl=AN_INDEX_THAT_TAKES_LONG)
        )
        while not (await (await other.execute(waiting)).fetchall()):
            assert not rebuilding.done()
            await asyncio.sleep(0.01)
        yield
        assert not rebuilding.done()
        # The end of the connection gives the lock away.


class Dying:
    """A projection whose process dies after the statements of a batch, before the commit."""

    def __init__(self, projection: Projection) -> None:
        self.projection = projection
        self.name = projection.name
        self.event_types = projection.event_types

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        return [
            *self.projection.fold(batch),
            Statement("SELECT pg_terminate_backend(pg_backend_pid())"),
        ]


async def test_a_file_list_whose_checkpoint_was_lost_is_written_over_and_stays_the_same(
    log: Log,
) -> None:
    await log.append(Library(7).history(150))
    await log.follow(batch=7)
    once = await log.everything()
    follower = Follower(READ_MODELS["file_list_v2"], log.reader, batch=40)
    async with log.worker.connection() as connection:
        reached = await checkpoint_of(connection, "file_list_v2")
        await connection.execute(
            "UPDATE checkpoints SET position = 0 WHERE follower = 'file_list_v2'"
        )
        await connection.commit()
        while await follower.step(connection):
            pass
        assert await checkpoint_of(connection, "file_list_v2") == reached
    await follower.close()
    assert await log.everything() == once


@pytest.mark.parametrize("seed", range(3))
async def test_each_event_twice_leaves_the_same_rows(log: Log, seed: int) -> None:
    await log.append(Library(seed).history(150))
    await log.follow(batch=7)
    once = await log.everything()

    class Repeating:
        async def read(self, after: int, limit: int) -> Sequence[Recorded]:
            return await log.reader.read(0, limit) if after == 0 else []

        read_only = log.reader.read_only

        async def horizon(self) -> int:
            return await log.reader.horizon()

    for projection in READ_MODELS.values():
        follower = Follower(projection, Repeating())
        async with log.worker.connection() as connection:
            # It has not looked at its checkpoint: everything is given to it once more.
            await follower.step(connection)
    assert await log.everything() == once


@pytest.mark.parametrize("seed", [7, 21, 33])
async def test_the_size_of_batches_makes_no_difference(log: Log, seed: int) -> None:
    await log.append(Library(seed).history(200))
    await log.follow(batch=1000)
    together = await log.everything()
    for name in READ_MODELS:
        await log.execute("DELETE FROM checkpoints WHERE follower = %s", name)
    for table in together:
        await log.execute(f"TRUNCATE {table}")
    await log.follow(batch=1)
    assert await log.everything() == together


@pytest.mark.parametrize("batch", [1, 10])
async def test_what_begins_anew_is_not_taken_for_failed(log: Log, batch: int) -> None:
    """Whether the failure before it was read in the same batch or not."""
    file = uploaded("t:ls_a", 1)
    for number, event in enumerate(
        (
            VisibilityChanged(key="k", is_public=False, settles_at=START),
            PlacementFailed(key="k", error="The store does not answer."),
            VisibilityChanged(key="k", is_public=True, settles_at=START),
        ),
        start=3,
    ):
        file.append(recorded("t:ls_a", media_id(1), number, START + number * DAY, event))
        if number == 3:
            await log.append(file)
            await log.follow()
    await log.append(file[3:])
    await log.follow(batch=batch)
    assert await unfinished_work.failures(log.worker) == []


@pytest.mark.parametrize("name", READ_MODELS)
async def test_killed_in_mid_batch_nothing_is_lost_and_nothing_repeated(
    log: Log, name: str
) -> None:
    await log.append(Library(11).history(60))
    projection = READ_MODELS[name]
    await log.follow(*(other for other in READ_MODELS.values() if other is not projection))
    half = Follower(projection, log.reader, batch=20)
    async with log.worker.connection() as connection:
        await half.start(connection)
        await half.step(connection)
        before = await checkpoint_of(connection, name)
    await half.close()
    rows = await log.everything()
    killed = Follower(Dying(projection), log.reader, batch=20)
    async with log.worker.connection() as connection:
        await killed.start(connection)
        with pytest.raises(Exception, match="terminat"):
            await killed.step(connection)
    await killed.close()
    assert await log.everything() == rows
    async with log.worker.connection() as connection:
        assert await checkpoint_of(connection, name) == before
    await log.follow()
    resumed = await log.everything()
    await log.rebuild(name)
    assert await log.everything() == resumed


@pytest.mark.parametrize("seed", range(100, 104))
async def test_rebuilt_equals_live_row_for_row(log: Log, seed: int) -> None:
    library = Library(seed)
    for _ in range(3):
        await log.append(library.history(80))
        await log.follow(batch=9)
    live = await log.everything()
    assert any(live.values())
    for name in READ_MODELS:
        await log.rebuild(name)
    assert await log.everything() == live
    # And they go on from there.
    await log.append(library.history(40))
    await log.follow()
    onward = await log.everything()
    for name in READ_MODELS:
        await log.rebuild(name)
    assert await log.everything() == onward


async def test_a_rebuild_mends_rows_that_went_wrong(log: Log) -> None:
    await log.append(uploaded("t:ls_a", 1) + uploaded("t:ls_a", 2))
    await log.follow()
    right = await log.everything()
    await log.execute("DELETE FROM file_list_v2 WHERE media_id = %s", media_id(1))
    await log.execute("UPDATE storage_stats_v1 SET files = 77")
    await log.rebuild("file_list_v2")
    await log.rebuild("storage_stats_v1")
    assert await log.everything() == right


async def test_a_rebuild_leaves_nothing_behind_and_the_tables_as_protected_as_before(
    log: Log,
) -> None:
    protection = """
        SELECT c.relname, c.relrowsecurity, c.relforcerowsecurity,
               array(SELECT polname::text FROM pg_policy WHERE polrelid = c.oid ORDER BY 1),
               array(SELECT indexrelid::regclass::text FROM pg_index
                     WHERE indrelid = c.oid ORDER BY 1),
               c.relacl::text
        FROM pg_class AS c WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1
    """
    schemas = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'rebuild%'"
    async with log.worker.connection() as connection:
        before = await (await connection.execute(protection)).fetchall()
    for name in READ_MODELS:
        await log.rebuild(name)
    async with log.worker.connection() as connection:
        assert await (await connection.execute(protection)).fetchall() == before
        assert await (await connection.execute(schemas)).fetchall() == []


async def test_only_one_rebuild_of_a_model_runs(log: Log) -> None:
    await log.append(Library(5).history(50))
    async with being_rebuilt(log):
        with pytest.raises(RebuildRefused):
            await log.rebuild("file_list_v2")
    assert await log.schemas("rebuild") == []


async def test_the_live_model_goes_on_while_it_is_rebuilt(log: Log) -> None:
    await log.append(Library(1).history(300))
    await log.follow()
    number = 1000
    async with asyncio.TaskGroup() as group:
        rebuilding = group.create_task(log.rebuild("file_list_v2"))
        while not rebuilding.done():
            number += 1
            await log.append(uploaded("t:ls_z", number))
            await log.follow(READ_MODELS["file_list_v2"])
            # Readers see the old rows or the new ones, never none.
            answer = await recent(log.api, "t:ls_z", public_base_url="https://media.example")
            assert answer.found
    await log.follow()
    rows = [row for row in await log.rows("file_list_v2") if row[0] == "t:ls_z"]
    assert len(rows) == number - 1000


async def test_while_a_rebuild_makes_an_index_new_events_still_become_visible(log: Log) -> None:
    await log.append(Library(1).history(50))
    await log.follow()
    async with being_rebuilt(log):
        position = await log.store.append(uploaded("t:ls_z", 1000))
        async with asyncio.timeout(60):
            await log.settled(position)
        await log.follow()
        answer = await recent(log.api, "t:ls_z", public_base_url="https://media.example")
        assert answer.found
    answer = await recent(log.api, "t:ls_z", public_base_url="https://media.example")
    assert answer.found


async def test_of_two_followers_one_works_and_the_other_stands_by(log: Log) -> None:
    file = uploaded("t:ls_a", 1)
    await log.append(file)
    projection = READ_MODELS["storage_stats_v1"]
    first, second = (Follower(projection, log.reader) for _ in range(2))
    async with log.worker.connection() as one, log.worker.connection() as other:
        await first.start(one)
        await second.start(other)
        async with one.transaction():
            assert await first.step(one) == 2
            assert await second.step(other) == 0
        # The first has committed: the second finds nothing left to do, then what comes new.
        assert await second.step(other) == 0
        await log.append([deleted(file)])
        assert await second.step(other) == 1
        assert await first.step(one) == 0
    assert [row[3:] for row in await log.rows("storage_stats_v1")] == [(0, 0)]


async def test_two_followers_at_once_count_everything_once(log: Log) -> None:
    last = await log.append(Library(3).history(200))
    projection = READ_MODELS["storage_stats_v1"]

    async def run() -> None:
        follower = Follower(projection, log.reader, batch=5)
        async with log.worker.connection() as connection:
            await follower.start(connection)
            while await checkpoint_of(connection, projection.name) < last:
                await follower.step(connection)
        await follower.close()

    await asyncio.gather(run(), run())
    live = await log.everything()
    await log.rebuild("storage_stats_v1")
    assert (await log.everything())["storage_stats_v1"] == live["storage_stats_v1"]


async def test_waiting_for_a_position_ends_when_it_is_reached(log: Log) -> None:
    position = await log.append(uploaded("t:ls_a", 1))
    waiting = asyncio.create_task(
        Checkpoints(log.api).wait_for("file_list_v2", position, seconds=60)
    )
    await asyncio.sleep(0.02)
    assert not waiting.done()
    await log.follow()
    assert await waiting == position


async def test_waiting_gives_up_and_says_how_far_the_model_is(log: Log) -> None:
    position = await log.append(uploaded("t:ls_a", 1))
    await log.follow()
    checkpoints = Checkpoints(log.api)
    assert await checkpoints.wait_for("file_list_v2", position + 1, seconds=0.05) == position


async def test_those_who_wait_for_one_read_model_ask_the_database_together(log: Log) -> None:
    checkpoints, waiters = Checkpoints(log.api), 200
    position = await log.append(uploaded("t:ls_a", 1))
    clock = asyncio.get_running_loop().time
    before, began = log.api.get_stats().get("requests_num", 0), clock()
    waiting = [
        asyncio.create_task(checkpoints.wait_for("file_list_v2", position, seconds=60))
        for _ in range(waiters)
    ]
    await asyncio.sleep(0.02)
    await log.follow(READ_MODELS["file_list_v2"])
    assert await asyncio.gather(*waiting) == [position] * waiters
    # However long it took: as many looks as one alone has.
    looks = (clock() - began) / LONGEST_WAIT_SECONDS
    assert log.api.get_stats()["requests_num"] - before < waiters + looks
    # The next is not kept waiting by those before.
    assert await checkpoints.wait_for("file_list_v2", position, seconds=60) == position

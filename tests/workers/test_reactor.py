import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import psycopg

from adapters.dramatiq_queue import DramatiqQueue
from adapters.event_reader import PostgresEventReader
from adapters.postgres_leader import Leader
from adapters.settings import Settings
from adapters.system import utc_now
from domain.errors import DatabaseUnavailable
from domain.media_file import MediaFile
from tests.kit.library import AN_HOUR_AGO, Library
from tests.workers.processes import process, running, settled, until
from workers import jobs, reactor
from workers.reactor import Reactor


async def checkpoint_of(library: Library) -> int:
    async with library.runtime.pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT position FROM checkpoints WHERE follower = 'reactor'"
        )
        row = await cursor.fetchone()
    return row[0] if row else 0


async def test_a_deleted_file_leaves_every_bucket_and_the_log_says_so(
    library: Library, worker_settings: Settings
) -> None:
    file = await library.uploaded()
    # Wherever copies were left, by whatever crash.
    await library.put("private", file.key)
    async with running(worker_settings, reactor.main, jobs.main):
        await library.delete(file)
        await until(lambda: library.has(file.id, "objects_purged"))
    assert await library.places(file) == set()
    life = ["upload_requested", "upload_completed", "file_deleted", "objects_purged"]
    # Renditions and caches are told of it beside.
    assert [fact for fact in await library.events(file.id) if fact in life] == life


async def test_a_file_deleted_while_it_may_still_be_written_is_purged_at_once_and_not_yet_settled(
    library: Library, worker_settings: Settings
) -> None:
    file = await library.uploaded(at=utc_now())
    async with running(worker_settings, reactor.main, jobs.main):
        await library.delete(file)
        await until(lambda: _gone(library, file))
    assert not await library.has(file.id, "objects_purged")


async def _gone(library: Library, file: object) -> bool:
    return await library.places(file) == set()  # type: ignore[arg-type]


async def test_a_crash_between_sending_and_checkpoint_sends_twice_and_takes_effect_once(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    await settled(library.runtime.pool)
    leader = Leader(worker_settings.database_url, name="reactor")
    crashing = Reactor(PostgresEventReader(library.runtime.pool), queue, leader)
    # Without the lead the checkpoint cannot be stored, while the jobs are sent before it.
    try:
        await crashing.follow(0)
    except DatabaseUnavailable:
        pass
    else:
        raise AssertionError("the checkpoint was stored")
    assert await checkpoint_of(library) == 0
    sent_once = await asyncio.to_thread(queue.broker.do_qsize, "media")
    async with running(worker_settings, reactor.main):
        await until(lambda: checkpoint_of(library))
    assert await asyncio.to_thread(queue.broker.do_qsize, "media") == 2 * sent_once
    async with running(worker_settings, jobs.main):
        await until(lambda: library.has(file.id, "objects_purged"))
        await until(lambda: _drained(queue))
    assert (await library.events(file.id)).count("objects_purged") == 1


async def _drained(queue: DramatiqQueue) -> bool:
    size: int = await asyncio.to_thread(queue.broker.do_qsize, "media")
    return size == 0


async def test_while_redis_is_away_the_reactor_waits_with_its_checkpoint_unmoved(
    library: Library, worker_settings: Settings
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    # Else a first batch may end before the events that call for a job.
    await settled(library.runtime.pool)
    away = msgspec.structs.replace(worker_settings, redis_url="redis://127.0.0.1:1/0")
    async with running(away, reactor.main):
        await asyncio.sleep(1.5)
        assert await checkpoint_of(library) == 0
    async with running(worker_settings, reactor.main, jobs.main):
        await until(lambda: library.has(file.id, "objects_purged"))


async def test_one_reactor_works_and_another_takes_over_when_it_is_killed(
    library: Library, worker_settings: Settings
) -> None:
    async with process("workers.reactor", worker_settings) as first:
        file = await library.uploaded()
        await until(lambda: checkpoint_of(library))
        async with running(worker_settings, reactor.main, jobs.main):
            await asyncio.sleep(1.2)
            assert first.returncode is None
            first.kill()
            await first.wait()
            await library.delete(file)
            await until(lambda: library.has(file.id, "objects_purged"))


async def test_the_reactor_survives_the_loss_of_its_connections(
    library: Library, worker_settings: Settings
) -> None:
    async with running(worker_settings, reactor.main, jobs.main):
        first = await library.uploaded()
        await until(lambda: checkpoint_of(library))
        await terminate(library, worker_settings, "media-reactor")
        await library.delete(first)
        await until(lambda: library.has(first.id, "objects_purged"))


async def terminate(library: Library, settings: Settings, name: str) -> None:
    """End the connections of one process, as a restart of Postgres does."""
    async with await psycopg.AsyncConnection.connect(
        settings.database_url, autocommit=True
    ) as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = %s AND datname = current_database()",
            [name],
        )


async def test_what_happened_long_before_the_reactor_ran_is_done_too(
    library: Library, worker_settings: Settings
) -> None:
    files = [await library.uploaded(at=utc_now() - 2 * AN_HOUR_AGO) for _ in range(3)]
    for file in files:
        await library.delete(file)
    async with running(worker_settings, reactor.main, jobs.main):
        for file in files:
            await until(lambda id_=file.id: library.has(id_, "objects_purged"))  # type: ignore[misc]


async def test_before_an_event_it_does_not_know_the_reactor_stops_and_gives_the_lead_away(
    library: Library, worker_settings: Settings
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    newer = "media_file.removed.v9"
    await _rename_type(worker_settings, "media_file.file_deleted.v2", newer)
    async with (
        standing_by(worker_settings) as successor,
        running(worker_settings, reactor.main, jobs.main),
    ):
        # The upload's events are taken, and the lead is free for whoever knows the next.
        await until(lambda: checkpoint_of(library))
        await until(successor.take_over)
        reached = await successor.checkpoint()
        assert reached < await _position_of(worker_settings, newer)
        await until(lambda: _is_only_public(library, file))
        await successor.step_down()
        await _rename_type(worker_settings, newer, "media_file.file_deleted.v2")
        await until(lambda: library.has(file.id, "objects_purged"))


@asynccontextmanager
async def standing_by(settings: Settings) -> AsyncIterator[Leader]:
    leader = Leader(settings.database_url, name="reactor")
    try:
        yield leader
    finally:
        await leader.step_down()


async def _is_only_public(library: Library, file: MediaFile) -> bool:
    return await library.places(file) == {"public"}


async def _rename_type(settings: Settings, old: str, new: str) -> None:
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        await connection.execute("UPDATE events SET type = %s WHERE type = %s", [new, old])


async def _position_of(settings: Settings, stored_type: str) -> int:
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        cursor = await connection.execute(
            "SELECT position FROM events WHERE type = %s", [stored_type]
        )
        row = await cursor.fetchone()
    assert row is not None
    return int(row[0])

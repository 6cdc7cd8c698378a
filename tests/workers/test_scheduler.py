import asyncio
from datetime import timedelta

import msgspec
import pytest
import redis.asyncio

from adapters.dramatiq_queue import DramatiqQueue
from adapters.postgres_leader import Leader
from adapters.runtime import Runtime, open_api_runtime
from adapters.settings import Settings
from adapters.system import utc_now
from application.context import Idempotency
from application.jobs import PurgeObjects
from application.uploads import RequestUpload
from tests.kit.faults import FaultyObjectStore
from tests.kit.library import Library, deletion_over
from tests.workers.processes import Main, catch_up, opened, running, until
from workers import jobs, reactor, scheduler
from workers.failures import as_table, failed_work, retry_failed
from workers.jobs import work
from workers.scheduler import Scheduler
from workers.work_list import ReadModelWorkList

TWO_DAYS = timedelta(days=2)


def jobs_on(runtime: Runtime) -> Main:
    """The job workers, over this runtime."""

    async def main(settings: Settings, stop: asyncio.Event) -> int:
        return await work(settings, runtime, stop)

    return main


async def forget_everything(settings: Settings) -> None:
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        await client.flushdb()


async def test_what_redis_lost_is_sent_again_from_the_log(
    library: Library, worker_settings: Settings
) -> None:
    file = await library.uploaded()
    async with running(worker_settings, reactor.main):
        await library.delete(file)
        await until(lambda: _reactor_reached(library, file.id))
    await forget_everything(worker_settings)
    async with running(worker_settings, jobs.main):
        await asyncio.sleep(1)
        assert not await library.has(file.id, "objects_purged")
        await catch_up(library.runtime.pool)
        async with running(worker_settings, scheduler.main):
            await until(lambda: library.has(file.id, "objects_purged"))
    assert await library.places(file) == set()


async def _reactor_reached(library: Library, media_id: str) -> bool:
    last = (await library.runtime.media.load(media_id)).streams[media_id][-1].position
    async with library.runtime.pool.connection() as connection:
        cursor = await connection.execute(
            "SELECT position FROM checkpoints WHERE follower = 'reactor'"
        )
        row = await cursor.fetchone()
    return row is not None and row[0] >= last


async def test_overdue_uploads_expire_with_their_bytes_and_fresh_ones_stay(
    library: Library, worker_settings: Settings
) -> None:
    overdue = [await library.stored(at=utc_now() - TWO_DAYS) for _ in range(3)]
    fresh = await library.stored(at=utc_now())
    done = await library.uploaded(at=utc_now() - TWO_DAYS)
    await catch_up(library.runtime.pool)
    async with running(worker_settings, reactor.main, jobs.main, scheduler.main):
        for file in overdue:
            await until(lambda id_=file.id: library.has(id_, "upload_expired"))  # type: ignore[misc]
            await until(lambda of=file: _gone(library, of))  # type: ignore[misc]
        await until(lambda: _only_public(library, done))
    assert await library.events(fresh.id) == ["upload_requested"]
    assert await library.places(fresh) == {"incoming"}


async def _gone(library: Library, file: object) -> bool:
    return await library.places(file) == set()  # type: ignore[arg-type]


async def test_bytes_that_a_late_put_left_in_incoming_are_swept(
    library: Library, worker_settings: Settings
) -> None:
    file = await library.uploaded()
    runtime = msgspec.structs.replace(library.runtime, clock=lambda: utc_now() + TWO_DAYS)
    await library.put("incoming", file.key)
    async with running(worker_settings, jobs_on(runtime), scheduler.main):
        await until(lambda: _only_public(library, file))


async def _only_public(library: Library, file: object) -> bool:
    return await library.places(file) == {"public"}  # type: ignore[arg-type]


async def test_a_removed_workspace_loses_all_its_files_and_no_other_does(
    library: Library, worker_settings: Settings
) -> None:
    files = [await library.uploaded(tenant="ls_gone") for _ in range(3)]
    pending = await library.stored(tenant="ls_gone", at=utc_now())
    other = await library.uploaded(tenant="ls_stays")
    async with running(worker_settings, reactor.main, jobs.main):
        await library.runtime.upkeep.remove_tenant("ls_gone", library.system())
        # The job asks again until the read model it lists the files from has caught up.
        await asyncio.sleep(0.5)
        await catch_up(library.runtime.pool)
        await until(lambda: library.has("tenant_ls_gone", "files_removed"))
        for file in files:
            await until(lambda id_=file.id: library.has(id_, "objects_purged"))  # type: ignore[misc]
        await until(lambda: _gone(library, pending))
    assert await library.has(pending.id, "upload_cancelled")
    assert "file_deleted" not in await library.events(other.id)
    assert "public" in await library.places(other)


async def test_a_purge_that_keeps_failing_is_recorded_seen_and_can_be_retried(
    library: Library, worker_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PurgeObjects, "MAX_RETRIES", 2)
    monkeypatch.setattr(PurgeObjects, "MIN_BACKOFF_SECONDS", 0.05)
    store = FaultyObjectStore(library.runtime.objects)
    store.away = True
    runtime = msgspec.structs.replace(
        library.runtime,
        deletion=deletion_over(store, library.runtime),
    )
    file = await library.uploaded()
    async with running(worker_settings, reactor.main, jobs_on(runtime)):
        await library.delete(file)
        await until(lambda: library.has(file.id, "purge_failed"))
        assert (await library.events(file.id)).count("purge_failed") == 1

        await catch_up(library.runtime.pool)
        (failure,) = await failed_work(library.runtime.pool)
        assert failure.stream == file.id
        assert as_table([failure]).row_count == 1
        assert "does not answer" in failure.failure

        store.away = False
        assert await retry_failed(library.runtime, [file.id, "media_unknown"]) == [file.id]
        await until(lambda: library.has(file.id, "objects_purged"))
    assert await library.places(file) == set()
    await catch_up(library.runtime.pool)
    assert not await failed_work(library.runtime.pool)
    assert await retry_failed(library.runtime, [file.id]) == []


async def test_idempotency_keys_are_forgotten_after_a_day(
    library: Library, worker_settings: Settings
) -> None:
    now = utc_now()
    command = RequestUpload(
        file_name="a.png", content_type="image/png", file_size=1, service_code="blog"
    )
    async with opened(open_api_runtime, worker_settings) as api:
        for key, at in (("old", now - timedelta(hours=25)), ("young", now - timedelta(hours=23))):
            context = msgspec.structs.replace(
                library.context("ls_abc123", at), idempotency=Idempotency(key, "presign", "f")
            )
            await api.uploads.request_upload(command, context)

    async def kept() -> list[str]:
        async with library.runtime.pool.connection() as connection:
            cursor = await connection.execute("SELECT key FROM idempotency_keys")
            return [row[0] for row in await cursor.fetchall()]

    assert sorted(await kept()) == ["old", "young"]

    async def only_young() -> bool:
        return await kept() == ["young"]

    async with running(worker_settings, scheduler.main):
        await until(only_young)


async def test_work_that_stands_in_redis_is_not_sent_again(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    file = await library.uploaded()
    async with running(worker_settings, reactor.main):
        await library.delete(file)
        await until(lambda: _reactor_reached(library, file.id))
    pool = library.runtime.pool
    await catch_up(pool)
    leader = Leader(worker_settings.database_url, name="scheduler")
    scheduler = Scheduler(queue, ReadModelWorkList(pool), leader, redrive_after=timedelta(0))
    before = await asyncio.to_thread(queue.broker.do_qsize, "media")
    assert await scheduler.redrive() == 0
    assert await asyncio.to_thread(queue.broker.do_qsize, "media") == before
    await forget_everything(worker_settings)
    assert await scheduler.redrive() > 0

"""Caches are told after every fact that hides a file, whatever is lost, slow or away meanwhile."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import pytest

from adapters import cloudflare_cache
from adapters.dramatiq_queue import DramatiqQueue
from adapters.postgres_file_locks import PostgresFileLocks
from adapters.runtime import open_jobs_runtime
from adapters.settings import Settings
from application.jobs import PurgeCache
from application.placement import Placement
from domain import cache_purge
from domain.cache_events import CachePurged
from domain.media_file import MediaFile
from tests.kit.cloudflare import FakeCloudflare, serving_cloudflare
from tests.kit.faults import FaultyObjectStore
from tests.kit.library import Library, deletion_over
from tests.workers.processes import catch_up, running, until
from tests.workers.test_scheduler import jobs_on
from workers import jobs, reactor, scheduler
from workers.cache_jobs import CACHE_THREADS
from workers.failures import failed_work, retry_failed


class Cdn(msgspec.Struct):
    settings: Settings
    fake: FakeCloudflare


@pytest.fixture
async def cdn(worker_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cdn]:
    monkeypatch.setattr(cloudflare_cache, "BACKOFF_SECONDS", 0.01)
    monkeypatch.setattr(cache_purge, "UNDER_WAY", timedelta(seconds=1))
    async with serving_cloudflare(worker_settings) as (settings, fake):
        yield Cdn(settings, fake)


def addresses(settings: Settings, file: MediaFile) -> set[str]:
    stable = [f"{settings.delivery_url}/cdn/{file.key}", f"{settings.delivery_url}/m/{file.id}"]
    presets = ("thumb_200", "og_1200x630", "avatar_96")
    queries = {f"{url}?variant={name}" for url in stable for name in presets}
    return {f"{settings.public_base_url}/{file.key}", *stable, *queries}


async def purges(library: Library, file: MediaFile) -> list[CachePurged]:
    histories = await library.runtime.media.load(file.id)
    events = [recorded.event for recorded in histories.streams[file.id]]
    return [event for event in events if isinstance(event, CachePurged)]


async def test_after_a_delete_every_address_is_purged_twice_and_recorded(
    library: Library, cdn: Cdn
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    async with running(cdn.settings, reactor.main, jobs.main):

        async def done() -> bool:
            return [one.again_at is None for one in await purges(library, file)] == [False, True]

        await until(done)
        await until(lambda: _nothing_is_left(library))
    assert cdn.fake.purged == addresses(cdn.settings, file)
    for purged in await purges(library, file):
        assert set(purged.urls) == addresses(cdn.settings, file)
        assert purged.cdn == "cloudflare"


async def _nothing_is_left(library: Library) -> bool:
    await catch_up(library.runtime.pool)
    async with library.runtime.pool.connection() as connection:
        left = await connection.execute("SELECT kind FROM unfinished_work_v3")
        return await left.fetchall() == []


async def test_nothing_is_purged_while_the_bucket_still_has_the_file(
    library: Library, cdn: Cdn
) -> None:
    """Else the next request would bring it back into the cache for a year."""
    store = FaultyObjectStore(library.runtime.objects)
    store.away = True
    file = await library.uploaded()
    await library.delete(file)
    async with open_jobs_runtime(cdn.settings) as opened:
        placement = Placement(opened.media, store, PostgresFileLocks(opened.pool, at_once=2))
        runtime = msgspec.structs.replace(
            opened, deletion=deletion_over(store, opened), placement=placement
        )
        async with running(cdn.settings, reactor.main, jobs_on(runtime)):
            await asyncio.sleep(2.5)
            assert cdn.fake.asked == 0
            assert await purges(library, file) == []
            store.away = False
            await until(lambda: library.has(file.id, "cache_purged"))
    assert "public" not in await library.places(file)


async def test_what_never_was_public_concerns_no_cache(library: Library, cdn: Cdn) -> None:
    pending = await library.stored()
    await library.delete(pending)
    async with running(cdn.settings, reactor.main, jobs.main):
        await until(lambda: _is_gone(library, pending))
        await asyncio.sleep(0.5)
    assert cdn.fake.asked == 0
    assert await purges(library, pending) == []


async def _is_gone(library: Library, file: MediaFile) -> bool:
    return await library.places(file) == set()


async def test_a_purge_that_is_refused_for_good_is_seen_by_operators_and_can_be_retried(
    library: Library, cdn: Cdn, queue: DramatiqQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PurgeCache, "MAX_RETRIES", 1)
    monkeypatch.setattr(PurgeCache, "MIN_BACKOFF_SECONDS", 0.05)
    for _ in range(50):
        cdn.fake.fail(403, code=10000, message="Authentication error")
    file = await library.uploaded()
    async with running(cdn.settings, reactor.main, jobs.main):
        await library.delete(file)
        await until(lambda: library.has(file.id, "objects_purged"))
        await until(lambda: library.has(file.id, "cache_purge_failed"))
        # Each fact sends a job: one that fails after the operator's retry would be its failure.
        await until(lambda: _is_drained(queue))
        await catch_up(library.runtime.pool)
        (failure,) = await failed_work(library.runtime.pool)
        assert (failure.stream, failure.kind) == (file.id, "cache")
        assert "10000 Authentication error" in failure.failure
        assert await purges(library, file) == []

        cdn.fake.next.clear()
        assert await retry_failed(library.runtime, [file.id]) == [file.id]
        await until(lambda: library.has(file.id, "cache_purged"))
    await catch_up(library.runtime.pool)
    assert await failed_work(library.runtime.pool) == []
    assert await retry_failed(library.runtime, [file.id]) == []


async def _is_drained(queue: DramatiqQueue) -> bool:
    size: int = await asyncio.to_thread(queue.broker.do_qsize, PurgeCache.QUEUE)
    return size == 0


async def test_a_purge_whose_job_was_lost_is_asked_for_again(library: Library, cdn: Cdn) -> None:
    """No reactor: whatever it sent is gone with Redis."""
    file = await library.uploaded()
    await library.delete(file)
    await library.runtime.objects.delete("public", [file.key])
    await catch_up(library.runtime.pool)
    async with running(cdn.settings, scheduler.main, jobs.main):
        await until(lambda: library.has(file.id, "cache_purged"))
    assert cdn.fake.purged == addresses(cdn.settings, file)


async def test_slow_purges_hold_up_no_deletion(library: Library, cdn: Cdn) -> None:
    cdn.fake.answers.clear()
    files = [await library.uploaded() for _ in range(3 * CACHE_THREADS)]
    async with running(cdn.settings, reactor.main, jobs.main):
        for file in files:
            await library.delete(file)
        for file in files:
            await until(lambda id_=file.id: library.has(id_, "objects_purged"))  # type: ignore[misc]
        await until(lambda: _all_threads_wait(cdn))
        assert cdn.fake.calls == []
        cdn.fake.answers.set()


async def _all_threads_wait(cdn: Cdn) -> bool:
    return cdn.fake.asked >= CACHE_THREADS

"""The bin with the real workers: what is lost on the way is done all the same, and seen."""

import msgspec
import pytest
import redis

from adapters.runtime import Runtime
from adapters.settings import Settings
from application.jobs import PlaceObjects
from application.placement import Placement
from domain.media_file import MediaFile
from tests.kit.faults import FaultyObjectStore
from tests.kit.library import Library, deletion_over
from tests.workers.processes import Main, catch_up, running, until
from workers import jobs, projector, reactor, scheduler
from workers.failures import as_table, failed_work, retry_failed

MONTH = 30


@pytest.fixture
def binning(worker_settings: Settings) -> Settings:
    return msgspec.structs.replace(worker_settings, bin_days=MONTH)


async def binned(library: Library, binning: Settings) -> MediaFile:
    file = await library.uploaded()
    keeping = deletion_over(library.runtime.objects, library.runtime, bin_for=binning.bin_for)
    await keeping.delete_file(file.id, library.context())
    return file


def jobs_over(runtime: Runtime, store: FaultyObjectStore) -> Main:
    locks = runtime.placement._locks
    disturbed = msgspec.structs.replace(
        runtime,
        placement=Placement(runtime.media, store, locks),
        deletion=deletion_over(store, runtime),
    )

    async def main(settings: Settings, stop: object) -> int:
        return await jobs.work(settings, disturbed, stop)  # type: ignore[arg-type]

    return main


async def test_what_a_lost_queue_held_is_placed_all_the_same(
    library: Library, binning: Settings
) -> None:
    file = await binned(library, binning)
    async with running(binning, reactor.main):
        await until(lambda: library.has(file.id, "file_deleted"))
    with redis.Redis.from_url(binning.redis_url) as client:
        client.flushdb()
    assert "public" in await library.places(file)
    # Else the scheduler's first look may be too early, and its next is half a minute later.
    await catch_up(library.runtime.pool)
    async with running(binning, projector.main, scheduler.main, jobs.main):
        await until(lambda: library.has(file.id, "objects_placed"))
    assert await library.places(file) - {"incoming"} == {"private"}


async def test_a_file_the_private_bucket_refuses_is_let_go_and_never_stays_public(
    library: Library, binning: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlaceObjects, "MAX_RETRIES", 2)
    monkeypatch.setattr(PlaceObjects, "MIN_BACKOFF_SECONDS", 0.05)
    store = FaultyObjectStore(library.runtime.objects)
    store.refusing = {"private"}
    file = await binned(library, binning)
    async with running(binning, reactor.main, jobs_over(library.runtime, store)):
        await until(lambda: library.has(file.id, "file_purge_requested"))

        async def hidden() -> bool:
            return "public" not in await library.places(file)

        # While the private bucket still refuses.
        await until(hidden)
    assert "placement_failed" in await library.events(file.id)


async def test_a_move_that_fails_is_seen_by_operators_and_can_be_retried(
    library: Library, binning: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PlaceObjects, "MAX_RETRIES", 1)
    monkeypatch.setattr(PlaceObjects, "MIN_BACKOFF_SECONDS", 0.05)
    store = FaultyObjectStore(library.runtime.objects)
    store.away = True
    file = await binned(library, binning)
    async with running(binning, reactor.main, jobs_over(library.runtime, store)):
        await until(lambda: library.has(file.id, "placement_failed"))
    await catch_up(library.runtime.pool)
    (failure,) = await failed_work(library.runtime.pool)
    assert (failure.stream, failure.kind) == (file.id, "place")
    assert as_table([failure]).row_count == 1
    assert await retry_failed(library.runtime, [file.id, "media_unknown"]) == [file.id]
    assert await library.places(file) - {"incoming"} == {"private"}
    await catch_up(library.runtime.pool)
    assert not await failed_work(library.runtime.pool)

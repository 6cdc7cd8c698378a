import asyncio
import signal
import time
from datetime import timedelta

import msgspec
import pytest
import redis.asyncio

from adapters.dramatiq_queue import DramatiqQueue
from adapters.dramatiq_worker import CRASHES_ALONE_ALLOWED
from adapters.settings import Settings
from adapters.system import utc_now
from application.jobs import JOBS, DiscardIncoming, PurgeObjects, SweepUploads
from tests.kit.library import AN_HOUR_AGO, Library
from tests.workers.processes import SECONDS, Gate, process, running, until
from workers import jobs
from workers.jobs import BODIES, check_wiring


def test_every_job_is_wired() -> None:
    check_wiring(BODIES)
    assert set(BODIES) == set(JOBS)


def test_a_worker_does_not_start_with_a_job_nobody_does() -> None:
    without = {job: body for job, body in BODIES.items() if job is not PurgeObjects}
    with pytest.raises(RuntimeError, match="PurgeObjects"):
        check_wiring(without)


async def test_a_completed_file_leaves_incoming(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    file = await library.uploaded()
    assert await library.places(file) == {"incoming", "public"}
    queue.send(DiscardIncoming(media_id=file.id, key=file.key))
    async with running(worker_settings, jobs.main):
        await until(lambda: _is(library, file, {"public"}))


async def _is(library: Library, file: object, places: set[str]) -> bool:
    return await library.places(file) == places  # type: ignore[arg-type]


async def test_a_purge_that_is_too_early_runs_again_when_it_is_final(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    file = await library.uploaded(at=utc_now() - AN_HOUR_AGO)
    await library.delete(file)
    soon = utc_now() + timedelta(seconds=2)
    queue.send(PurgeObjects(media_id=file.id, not_before=soon))
    async with running(worker_settings, jobs.main):
        await until(lambda: library.has(file.id, "objects_purged"))
    assert utc_now() >= soon
    assert await library.events(file.id) == [
        "upload_requested",
        "upload_completed",
        "file_deleted",
        "objects_purged",
    ]


async def test_a_job_that_runs_twice_has_one_effect(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    for _ in range(5):
        queue.send(PurgeObjects(media_id=file.id))
    async with running(worker_settings, jobs.main):
        await until(lambda: library.has(file.id, "objects_purged"))
        await until(lambda: _drained(queue))
    assert (await library.events(file.id)).count("objects_purged") == 1


async def _drained(queue: DramatiqQueue) -> bool:
    size: int = await asyncio.to_thread(queue.broker.do_qsize, "media")
    return size == 0


async def test_the_job_of_a_killed_worker_is_taken_up_by_another(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    queue.send(PurgeObjects(media_id=file.id))
    async with Gate(worker_settings.s3_endpoint) as gate:
        stuck = msgspec.structs.replace(worker_settings, s3_endpoint=gate.url)
        async with process("workers.jobs", stuck) as worker:
            await asyncio.wait_for(gate.knocked.wait(), SECONDS)
            worker.kill()
            await worker.wait()
    assert await library.places(file) == {"incoming", "public"}
    async with running(worker_settings, jobs.main):
        await until(lambda: library.has(file.id, "objects_purged"))
    assert await library.places(file) == set()


async def test_a_stopped_worker_finishes_its_job_and_leaves_the_others_in_the_queue(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    files = [await library.uploaded() for _ in range(2)]
    for file in files:
        await library.delete(file)
        queue.send(PurgeObjects(media_id=file.id))
    async with Gate(worker_settings.s3_endpoint) as gate:
        slow = msgspec.structs.replace(worker_settings, s3_endpoint=gate.url, job_threads=1)
        async with process("workers.jobs", slow) as worker:
            await asyncio.wait_for(gate.knocked.wait(), SECONDS)
            worker.send_signal(signal.SIGTERM)
            await until(lambda: _only_the_busy_look(worker_settings))
            assert worker.returncode is None, "it left its job undone"
            gate.open()
            assert await asyncio.wait_for(worker.wait(), SECONDS) == 0
    purged = [await library.has(file.id, "objects_purged") for file in files]
    assert sorted(purged) == [False, True]
    async with running(worker_settings, jobs.main):
        for file in files:
            await until(lambda id_=file.id: library.has(id_, "objects_purged"))  # type: ignore[misc]


async def _only_the_busy_look(settings: Settings) -> bool:
    """Whether the threads of all other queues have ended: a worker has heard that it is to stop."""
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        beats = f"{settings.redis_namespace}:jobs:__heartbeats__"
        lately = int((time.time() - 1.5) * 1000)
        return int(await client.zcount(beats, lately, "+inf")) <= 1


async def test_a_job_that_keeps_killing_its_worker_is_given_up(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    job = PurgeObjects(media_id=file.id)
    for _ in range(CRASHES_ALONE_ALLOWED + 1):
        queue.begin(job, "killed", alone=True)
    queue.send(job)
    async with running(worker_settings, jobs.main):
        await until(lambda: library.has(file.id, "purge_failed"))
    assert await library.places(file) == {"incoming", "public"}


async def test_a_sweep_over_nothing_is_no_failure(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    queue.send(SweepUploads())
    async with running(worker_settings, jobs.main):
        await until(lambda: _drained(queue))

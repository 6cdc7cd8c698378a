"""Ingests through the real processes, killed and robbed of their queue."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import redis.asyncio

from adapters.dramatiq_queue import DramatiqQueue
from adapters.dramatiq_worker import CRASHES_ALONE_ALLOWED
from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings
from application.ingest import IngestUrl
from application.jobs import FetchSource
from application.uploads import VerificationPending
from tests.kit.http_source import HttpSource, http_source, response
from tests.kit.library import PNG, Library
from tests.workers.processes import SECONDS, catch_up, opened, process, running, until
from workers import jobs, reactor, scheduler

ANSWER = response(PNG, headers=[("Content-Type", "image/png")])


@pytest.fixture
async def source() -> AsyncIterator[HttpSource]:
    async with http_source() as source:
        source.answers["/a.png"] = ANSWER
        yield source


@pytest.fixture
def ingest_settings(worker_settings: Settings, source: HttpSource) -> Settings:
    return msgspec.structs.replace(worker_settings, permitted_sources=(source.pair,))


@pytest.fixture
async def runtime(ingest_settings: Settings) -> AsyncIterator[Runtime]:
    async with opened(open_jobs_runtime, ingest_settings) as runtime:
        yield runtime


async def begin(runtime: Runtime, source: HttpSource) -> str:
    command = IngestUrl(url=source.url("/a.png"), service_code="blog")
    context = Library(runtime).context()
    pending = await runtime.ingest.ingest_url(command, context, wait_seconds=0)
    assert isinstance(pending, VerificationPending)
    return pending.media_id


async def test_the_ingest_of_a_worker_killed_in_the_middle_is_taken_up_on_an_idle_queue(
    runtime: Runtime, library: Library, source: HttpSource, ingest_settings: Settings
) -> None:
    began = asyncio.Event()

    async def half(writer: asyncio.StreamWriter) -> None:
        writer.write(ANSWER[:-10])
        await writer.drain()
        began.set()
        await asyncio.sleep(60)

    source.answers["/a.png"] = half
    async with running(ingest_settings, reactor.main):
        media_id = await begin(runtime, source)
        async with process("workers.jobs", ingest_settings) as worker:
            await asyncio.wait_for(began.wait(), SECONDS)
            worker.kill()
            await worker.wait()
        source.answers["/a.png"] = ANSWER
        assert await library.events(media_id) == ["ingest_requested"]
        async with running(ingest_settings, jobs.main):
            await until(lambda: library.has(media_id, "upload_completed"))
    # More often where the worker is so slow that it counts as dead itself.
    assert len(source.requests) >= 2


async def test_an_ingest_that_redis_lost_is_sent_again_from_the_log(
    runtime: Runtime, library: Library, source: HttpSource, ingest_settings: Settings
) -> None:
    media_id = await begin(runtime, source)
    await catch_up(runtime.pool)
    async with redis.asyncio.Redis.from_url(ingest_settings.redis_url) as client:
        await client.flushdb()
    # Without the reactor, only the scheduler can have asked for it.
    async with running(ingest_settings, jobs.main, scheduler.main):
        await until(lambda: library.has(media_id, "upload_requested"))


async def test_an_ingest_that_keeps_killing_its_worker_fails(
    runtime: Runtime,
    library: Library,
    source: HttpSource,
    ingest_settings: Settings,
    queue: DramatiqQueue,
) -> None:
    media_id = await begin(runtime, source)
    job = FetchSource(media_id=media_id)
    for _ in range(CRASHES_ALONE_ALLOWED + 1):
        queue.begin(job, "killed", alone=True)
    queue.send(job)
    async with running(ingest_settings, jobs.main):
        await until(lambda: library.has(media_id, "ingest_failed"))
    assert source.requests == []

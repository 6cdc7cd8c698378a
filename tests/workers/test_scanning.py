"""Scans through the real processes and a real clamd, which is away, killed, or back again."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
import redis.asyncio

from adapters.dramatiq_queue import DramatiqQueue
from adapters.embedded import free_port
from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings
from application.jobs import ScanUpload
from application.uploads import CompleteUpload, VerificationPending
from domain.media_file import MediaFile
from tests.kit.clamd import find_clamd, running_clamd
from tests.kit.library import Library
from tests.workers.processes import SECONDS, Gate, catch_up, opened, process, running, until
from workers import jobs, reactor, scheduler
from workers.failures import as_table, failed_work, retry_failed


@pytest.fixture
def port(scanner: str) -> int:
    """Where no clamd listens until the test starts one."""
    assert scanner
    return free_port()


@pytest.fixture
def scan_settings(worker_settings: Settings, port: int) -> Settings:
    return msgspec.structs.replace(worker_settings, scanner=f"clamd://127.0.0.1:{port}")


@pytest.fixture
async def runtime(scan_settings: Settings) -> AsyncIterator[Runtime]:
    async with opened(open_jobs_runtime, scan_settings) as runtime:
        yield runtime


async def waiting(runtime: Runtime) -> MediaFile:
    """An upload that was completed while the scanner was away."""
    library = Library(runtime)
    file = await library.stored(at=runtime.clock())
    command = CompleteUpload(media_id=file.id)
    answer = await runtime.uploads.complete_upload(command, library.context())
    assert isinstance(answer, VerificationPending)
    assert answer.processing == "scanning"
    return file


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ScanUpload, "MAX_RETRIES", 2)
    monkeypatch.setattr(ScanUpload, "MIN_BACKOFF_SECONDS", 0.05)


async def test_a_scanner_that_comes_back_is_asked_again_by_itself(
    runtime: Runtime, scan_settings: Settings, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ever longer pauses would outlast the test where clamd is slow to start.
    monkeypatch.setattr(ScanUpload, "MIN_BACKOFF_SECONDS", 0.5)
    monkeypatch.setattr(ScanUpload, "MAX_BACKOFF_SECONDS", 0.5)
    monkeypatch.setattr(ScanUpload, "MAX_RETRIES", 1000)
    library = Library(runtime)
    async with running(scan_settings, reactor.main, jobs.main):
        file = await waiting(runtime)
        await asyncio.sleep(1)
        assert await library.places(file) == {"incoming"}
        async with running_clamd(find_clamd(), port):
            await until(lambda: library.has(file.id, "upload_completed"))
    # What is found in the file may follow already.
    assert (await library.events(file.id))[:5] == [
        "upload_requested",
        "scan_requested",
        "scan_passed",
        "verification_deferred",
        "upload_completed",
    ]


@pytest.mark.usefixtures("_hurried")
async def test_a_scan_that_keeps_failing_is_recorded_seen_and_can_be_retried(
    runtime: Runtime, scan_settings: Settings, port: int
) -> None:
    library = Library(runtime)
    async with running(scan_settings, reactor.main, jobs.main):
        file = await waiting(runtime)
        await until(lambda: library.has(file.id, "scan_failed"))
        await catch_up(runtime.pool)
        (failure,) = await failed_work(runtime.pool)
        assert (failure.stream, failure.kind) == (file.id, "scan")
        assert "cannot be reached" in failure.failure
        assert as_table([failure]).row_count == 1
        assert await library.places(file) == {"incoming"}

        async with running_clamd(find_clamd(), port):
            assert await retry_failed(runtime, [file.id, "media_unknown"]) == [file.id]
            await until(lambda: library.has(file.id, "upload_completed"))
    await catch_up(runtime.pool)
    assert not await failed_work(runtime.pool)
    assert await retry_failed(runtime, [file.id]) == []


async def test_a_scan_that_redis_lost_is_asked_for_again_from_the_log(
    runtime: Runtime, scan_settings: Settings, port: int
) -> None:
    library = Library(runtime)
    file = await waiting(runtime)
    await catch_up(runtime.pool)
    async with redis.asyncio.Redis.from_url(scan_settings.redis_url) as client:
        await client.flushdb()
    async with running_clamd(find_clamd(), port):
        # Without the reactor, only the scheduler can have asked for it.
        async with running(scan_settings, jobs.main, scheduler.main):
            await until(lambda: library.has(file.id, "scan_passed"))
        await catch_up(runtime.pool)
        async with running(scan_settings, jobs.main, scheduler.main):
            await until(lambda: library.has(file.id, "upload_completed"))


async def test_the_scan_of_a_killed_worker_is_taken_up_by_another(
    runtime: Runtime, scan_settings: Settings, port: int, queue: DramatiqQueue
) -> None:
    library = Library(runtime)
    file = await waiting(runtime)
    queue.send(ScanUpload(media_id=file.id))
    async with running_clamd(find_clamd(), port), Gate(scan_settings.scanner) as gate:
        stuck = msgspec.structs.replace(scan_settings, scanner=gate.url)
        async with process("workers.jobs", stuck) as worker:
            await asyncio.wait_for(gate.knocked.wait(), SECONDS)
            # Its first knock is the check of its start.
            await until(lambda: _scan_began(scan_settings))
            worker.kill()
            await worker.wait()
        assert await library.events(file.id) == ["upload_requested", "scan_requested"]
        async with running(scan_settings, reactor.main, jobs.main):
            await until(lambda: library.has(file.id, "upload_completed"))
    assert "public" in await library.places(file)


async def _scan_began(settings: Settings) -> bool:
    async with redis.asyncio.Redis.from_url(settings.redis_url) as client:
        return bool(await client.keys(f"{settings.redis_namespace}:jobs:begun:{ScanUpload.NAME}:*"))


async def test_scans_that_hang_hold_up_no_deletion(
    runtime: Runtime, scan_settings: Settings, port: int
) -> None:
    library = Library(runtime)
    deleted = await library.stored(at=runtime.clock())
    files = [await waiting(runtime) for _ in range(2 * scan_settings.scan_threads)]
    del port
    async with Gate(scan_settings.scanner) as gate:
        hanging = msgspec.structs.replace(scan_settings, scanner=gate.url)
        async with running(hanging, reactor.main, jobs.main):
            await asyncio.wait_for(gate.knocked.wait(), SECONDS)
            await library.delete(deleted)

            async def gone() -> bool:
                return not await library.places(deleted)

            await until(gone)
            for file in files:
                assert await library.places(file) == {"incoming"}
            gate.cut()
            gate.open()

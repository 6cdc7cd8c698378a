"""`python -m workers.jobs`: runs the jobs of `application/jobs.py`, one function each."""

import asyncio
import sys
import time
from collections.abc import Mapping

import msgspec

from adapters import dying
from adapters.dramatiq_queue import DramatiqQueue
from adapters.dramatiq_worker import Attempt, DramatiqWorker, TryAgain
from adapters.metrics import JOB_SECONDS, JOBS_RUN
from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings
from adapters.stop_points import stop_point
from adapters.telemetry import Redactor, get_logger, secrets_of
from adapters.tracing import job_span
from application.context import SystemContext
from application.jobs import (
    JOBS,
    DeliverWebhook,
    DeriveRendition,
    DiscardIncoming,
    FetchSource,
    InspectFile,
    Job,
    PlaceObjects,
    PurgeCache,
    PurgeObjects,
    RemoveTenantFiles,
    RetryWebhook,
    ScanUpload,
    SweepUploads,
    VerifyUpload,
)
from application.upkeep import NotCaughtUp
from domain.errors import SourceUnavailable
from domain.media_file import MediaFile
from domain.owner import parse
from workers.cache_jobs import CACHE_THREADS, purge_cache
from workers.process import pause, run
from workers.render_jobs import RENDER_BODIES, Body, Fields, give_up_rendering
from workers.work_list import ReadModelWorkList

DRAIN_SECONDS = 20.0
"""How long running jobs may go on after SIGTERM; less than a container's usual 30 s of grace."""
CATCH_UP_SECONDS = 0.5
"""When to look again whether the read models have caught up."""
MAX_REASON = 500
"""Characters of an error that PurgeFailed keeps."""

NOT_FETCHED = "The source could not be taken over; try again later."


async def discard_incoming(
    runtime: Runtime, job: DiscardIncoming, _context: SystemContext
) -> Fields:
    """Remove the uploaded bytes of a completed file from incoming."""
    await runtime.deletion.discard_incoming(job.key)
    return {}


async def fetch_source(runtime: Runtime, job: FetchSource, context: SystemContext) -> Fields:
    """Fetch what an ingest names."""
    file = await runtime.ingest.fetch_source(job.media_id, context)
    if file is None:
        return {}
    outcome = file.rejection_code if file.rejection else str(file.status)
    return {**_about(file), "outcome": outcome}


async def verify_upload(runtime: Runtime, job: VerifyUpload, context: SystemContext) -> Fields:
    """Finish a deferred verification."""
    return _about(await runtime.uploads.verify_upload(job.media_id, context))


async def scan_upload(runtime: Runtime, job: ScanUpload, context: SystemContext) -> Fields:
    """Have an upload scanned that no request waits for."""
    file = await runtime.scanning.scan_upload(job.media_id, context)
    return _about(file) | ({"outcome": file.rejection_code} if file and file.rejection else {})


async def purge_objects(runtime: Runtime, job: PurgeObjects, context: SystemContext) -> Fields:
    """Remove the bytes of an ended file, and of what was made from it."""
    await runtime.derivation.sweep(job.media_id)
    return _about(await runtime.deletion.purge_objects(job.media_id, context))


async def place_objects(runtime: Runtime, job: PlaceObjects, context: SystemContext) -> Fields:
    """Move the bytes of a file to where they belong."""

    async def attempt() -> MediaFile | None:
        now = msgspec.structs.replace(context, at=runtime.clock())
        return await runtime.placement.place_objects(job.media_id, now)

    return _about(await runtime.media.repeatedly(attempt))


async def remove_tenant_files(
    runtime: Runtime, job: RemoveTenantFiles, context: SystemContext
) -> Fields:
    """Delete every file of a removed workspace."""
    try:
        await runtime.upkeep.remove_tenant_files(
            job.tenant_id, ReadModelWorkList(runtime.pool), context
        )
    except NotCaughtUp as behind:
        raise TryAgain("the read models are behind", delay_seconds=CATCH_UP_SECONDS) from behind
    return {"tenantId": job.tenant_id}


async def sweep_uploads(runtime: Runtime, _job: SweepUploads, context: SystemContext) -> Fields:
    """Expire what nobody completed, empty bins, and forget the URLs nobody needs."""
    work = ReadModelWorkList(runtime.pool)
    expired = await runtime.upkeep.sweep_uploads(work, context)
    purged = await runtime.upkeep.empty_bins(work, context)
    forgotten = await runtime.ingest.forget_old_sources(context)
    return {"expired": expired, "purged": purged, "forgotten": forgotten}


async def deliver_webhook(runtime: Runtime, job: DeliverWebhook, context: SystemContext) -> Fields:
    """Send a webhook what is due."""
    return {"delivered": await runtime.webhook_delivery.deliver(job.webhook_id, context)}


BODIES: Mapping[type[Job], Body] = {
    FetchSource: fetch_source,
    DiscardIncoming: discard_incoming,
    VerifyUpload: verify_upload,
    ScanUpload: scan_upload,
    PurgeObjects: purge_objects,
    PurgeCache: purge_cache,
    PlaceObjects: place_objects,
    RemoveTenantFiles: remove_tenant_files,
    SweepUploads: sweep_uploads,
    DeliverWebhook: deliver_webhook,
    RetryWebhook: deliver_webhook,
    **RENDER_BODIES,
}


def check_wiring(bodies: Mapping[type[Job], Body]) -> None:
    """Raise RuntimeError unless every job has exactly one body, and a name of its own."""
    unwired = [job.__name__ for job in JOBS if job not in bodies]
    unknown = [job.__name__ for job in bodies if job not in JOBS]
    names = [job.NAME for job in JOBS]
    twice = sorted({name for name in names if names.count(name) > 1})
    if unwired or unknown or twice:
        raise RuntimeError(f"jobs without a body {unwired}, unknown {unknown}, twice {twice}")


class JobRunner:
    """Runs one job, with its ids, its log line and what to do when it fails for good."""

    def __init__(self, runtime: Runtime, queue: DramatiqQueue) -> None:
        self._runtime = runtime
        self._queue = queue
        self._redactor = Redactor(secrets_of(runtime.settings))
        self._log = get_logger()

    async def run(self, job: Job, attempt: Attempt) -> None:
        """Run the job's body. Raises whatever it raises."""
        event = f"media.job.{job.NAME}"
        with job_span(event, attempt.correlation_id, **_subject(job, attempt)):
            await self._run(event, job, attempt)

    async def _run(self, event: str, job: Job, attempt: Attempt) -> None:
        began = time.perf_counter()
        fields = _subject(job, attempt)

        def line(status: str) -> dict[str, object]:
            seconds = time.perf_counter() - began
            JOBS_RUN.labels(job.NAME, status).inc()
            JOB_SECONDS.labels(job.NAME).observe(seconds)
            return fields | {"durationMs": round(seconds * 1000, 1), "status": status}

        try:
            fields |= await self._do(job, attempt)
        except TryAgain as again:
            self._log.info(event, **line("postponed"), why=str(again))
            raise
        except asyncio.CancelledError:
            self._log.warning(event, **line("interrupted"))
            raise
        except Exception as error:
            status = "failed" if attempt.last else "retry"
            self._log.warning(event, **line(status), error=f"{type(error).__name__}: {error}")
            raise
        self._log.info(event, **line("done"))

    async def _do(self, job: Job, attempt: Attempt) -> Fields:
        if isinstance(job, PurgeObjects | PlaceObjects | PurgeCache) and job.not_before is not None:
            early = (job.not_before - self._runtime.clock()).total_seconds()
            if early > 0:
                await asyncio.to_thread(
                    self._queue.send, job, delay_seconds=early, cause=attempt.cause
                )
                return {"postponedSeconds": round(early, 3)}
        return await BODIES[type(job)](self._runtime, job, self._context(attempt))

    async def give_up(self, job: Job, attempt: Attempt, error: str) -> None:
        """Record in the log what failed for good; of other jobs the scheduler asks again."""
        event = f"media.job.{job.NAME}"
        JOBS_RUN.labels(job.NAME, "gave_up").inc()
        self._log.error(event, **_subject(job, attempt), status="gave_up", error=error)
        if isinstance(job, FetchSource):
            unavailable = SourceUnavailable(NOT_FETCHED)
            await self._runtime.ingest.fail(job.media_id, unavailable, self._context(attempt))
        # Events are kept for ever: what a library says in an error is not.
        why = self._redactor.text(error)[:MAX_REASON]
        context = self._context(attempt)
        if isinstance(job, InspectFile | DeriveRendition):
            await give_up_rendering(self._runtime, job, why, context)
        if isinstance(job, ScanUpload):
            await self._runtime.scanning.fail_scan(job.media_id, why, context)
        if isinstance(job, PurgeObjects | PlaceObjects | PurgeCache):
            runtime = self._runtime

            async def record() -> None:
                if isinstance(job, PlaceObjects):
                    await runtime.placement.give_up(job.media_id, why, context)
                elif isinstance(job, PurgeCache):
                    await runtime.cache_purges.record_failure(job.media_id, why, context)
                else:
                    await runtime.deletion.record_purge_failure(job.media_id, why, context)

            await runtime.media.repeatedly(record)

    def _context(self, attempt: Attempt) -> SystemContext:
        return SystemContext(
            actor="system:jobs",
            at=self._runtime.clock(),
            command_id=self._runtime.identities.command_id(),
            correlation_id=attempt.correlation_id,
        )


def _subject(job: Job, attempt: Attempt) -> dict[str, object]:
    """What the job is about and why it runs, under the names of spec 8.1."""
    fields: dict[str, object] = {"requestId": attempt.correlation_id}
    if attempt.cause is not None:
        fields |= _whose(attempt.cause.owner) | {"position": str(attempt.cause.position)}
    names = {
        "media_id": "mediaId", "tenant_id": "tenantId", "webhook_id": "webhookId",
        "preset": "variant",
    }  # fmt: skip
    known = msgspec.structs.asdict(job)
    fields |= {names[name]: value for name, value in known.items() if name in names}
    return fields | {"jobId": attempt.message_id, "attempt": attempt.number}


def _about(file: MediaFile | None) -> dict[str, object]:
    """The file a job has changed."""
    if file is None:
        return {}
    return _whose(file.owner) | {
        "userId": file.uploaded_by,
        "mimeType": file.mime_type,
        "fileSize": file.file_size,
        "position": str(file.position),
    }


def _whose(owner: str) -> dict[str, object]:
    known = parse(owner)
    return {"userId": known.id} if known.tenant_id is None else {"tenantId": known.id}


async def work(
    settings: Settings,
    runtime: Runtime,
    stop: asyncio.Event,
    *,
    drain_seconds: float = DRAIN_SECONDS,
) -> int:
    """Run jobs until asked to stop; 1 when the worker broke down and must be started anew."""
    check_wiring(BODIES)
    queue = DramatiqQueue(
        settings.redis_url,
        namespace=settings.redis_namespace,
        heartbeat_seconds=settings.job_heartbeat_seconds,
    )
    threads = {
        Job.QUEUE: settings.job_threads,
        FetchSource.QUEUE: settings.fetch_threads,
        PurgeCache.QUEUE: CACHE_THREADS,
        InspectFile.QUEUE: settings.render_threads,
        ScanUpload.QUEUE: settings.scan_threads,
    }
    worker = DramatiqWorker(
        queue,
        dying.job_runner(JobRunner(runtime, queue), stop_point(settings.stop_point)),
        jobs=[job for job in JOBS if job.QUEUE in threads],
        threads=threads,
        loop=asyncio.get_running_loop(),
    )
    worker.start()
    try:
        while not stop.is_set() and worker.alive:
            await pause(stop, 1.0)
    finally:
        healthy = worker.alive
        await worker.stop(drain_seconds=drain_seconds)
        queue.close()
    return 0 if healthy else 1


async def main(settings: Settings, stop: asyncio.Event) -> int:
    """Open the runtime and work."""
    async with open_jobs_runtime(settings) as runtime:
        return await work(settings, runtime, stop)


if __name__ == "__main__":
    sys.exit(run("jobs", main))

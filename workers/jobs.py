"""`python -m workers.jobs`: runs the jobs of `application/jobs.py`, one function each."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from adapters.dramatiq_queue import DramatiqQueue
from adapters.dramatiq_worker import Attempt, DramatiqWorker, TryAgain
from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings
from adapters.telemetry import Redactor, get_logger, secrets_of
from application.context import SystemContext
from application.jobs import (
    JOBS,
    DeliverWebhook,
    DiscardIncoming,
    Job,
    PurgeObjects,
    RemoveTenantFiles,
    RetryWebhook,
    SweepUploads,
    VerifyUpload,
)
from application.upkeep import NotCaughtUp
from workers.process import pause, run
from workers.work_list import ReadModelWorkList

DRAIN_SECONDS = 20.0
"""How long running jobs may go on after SIGTERM; less than a container's usual 30 s of grace."""
CATCH_UP_SECONDS = 0.5
"""When to look again whether the read models have caught up."""
MAX_REASON = 500
"""Characters of an error that PurgeFailed keeps."""

Fields = Mapping[str, object]
"""What a job adds to its log line."""
Body = Callable[[Runtime, Any, SystemContext], Awaitable[Fields]]


async def discard_incoming(
    runtime: Runtime, job: DiscardIncoming, _context: SystemContext
) -> Fields:
    """Remove the uploaded bytes of a completed file from incoming."""
    await runtime.deletion.discard_incoming(job.key)
    return {}


async def verify_upload(runtime: Runtime, job: VerifyUpload, context: SystemContext) -> Fields:
    """Finish a deferred verification."""
    await runtime.uploads.verify_upload(job.media_id, context)
    return {}


async def purge_objects(runtime: Runtime, job: PurgeObjects, context: SystemContext) -> Fields:
    """Remove the bytes of an ended file."""
    await runtime.deletion.purge_objects(job.media_id, context)
    return {}


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
    """Expire what nobody completed."""
    return {"expired": await runtime.upkeep.sweep_uploads(ReadModelWorkList(runtime.pool), context)}


async def deliver_webhook(runtime: Runtime, job: DeliverWebhook, context: SystemContext) -> Fields:
    """Send a webhook what is due."""
    return {"delivered": await runtime.webhook_delivery.deliver(job.webhook_id, context)}


BODIES: Mapping[type[Job], Body] = {
    DiscardIncoming: discard_incoming,
    VerifyUpload: verify_upload,
    PurgeObjects: purge_objects,
    RemoveTenantFiles: remove_tenant_files,
    SweepUploads: sweep_uploads,
    DeliverWebhook: deliver_webhook,
    RetryWebhook: deliver_webhook,
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
        began = time.perf_counter()
        fields: dict[str, object] = _subject(job)
        fields |= {"jobId": attempt.message_id, "attempt": attempt.number}

        def line(status: str) -> dict[str, object]:
            duration = round((time.perf_counter() - began) * 1000, 1)
            return fields | {"durationMs": duration, "status": status}

        event = f"media.job.{job.NAME}"
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
        if isinstance(job, PurgeObjects) and job.not_before is not None:
            early = (job.not_before - self._runtime.clock()).total_seconds()
            if early > 0:
                await asyncio.to_thread(self._queue.send, job, delay_seconds=early)
                return {"postponedSeconds": round(early, 3)}
        return await BODIES[type(job)](self._runtime, job, self._context(attempt.message_id))

    async def give_up(self, job: Job, error: str) -> None:
        """Record a failed purge in the log; of other jobs the scheduler asks again."""
        self._log.error(f"media.job.{job.NAME}", **_subject(job), status="gave_up", error=error)
        if isinstance(job, PurgeObjects):
            # Events are kept for ever: what a library says in an error is not.
            why = self._redactor.text(error)[:MAX_REASON]
            context = self._context(f"give-up {job.media_id}")

            async def attempt() -> None:
                await self._runtime.deletion.record_purge_failure(job.media_id, why, context)

            await self._runtime.media.repeatedly(attempt)

    def _context(self, correlation_id: str) -> SystemContext:
        return SystemContext(
            actor="system:jobs",
            at=self._runtime.clock(),
            command_id=self._runtime.identities.command_id(),
            correlation_id=correlation_id,
        )


def _subject(job: Job) -> dict[str, object]:
    """Whom the job is about, under the names of spec 8.1."""
    names = {"media_id": "mediaId", "tenant_id": "tenantId", "webhook_id": "webhookId"}
    fields = msgspec.structs.asdict(job)
    return {names[name]: value for name, value in fields.items() if name in names}


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
    worker = DramatiqWorker(
        queue,
        JobRunner(runtime, queue),
        jobs=[job for job in JOBS if job.QUEUE == Job.QUEUE],
        threads=settings.job_threads,
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

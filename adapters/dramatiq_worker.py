"""Runs jobs from the queue: Dramatiq's threads take them, one event loop does the work.

Started by `workers/jobs.py`, which brings the loop and what to do for each job.
"""

import asyncio
import concurrent.futures
from collections.abc import Coroutine, Sequence
from typing import Any, Protocol

import dramatiq
import msgspec
from dramatiq.errors import Retry
from dramatiq.middleware import CurrentMessage

from adapters.dramatiq_queue import DramatiqQueue
from application.jobs import Job

CRASHES_ALLOWED = 4
"""How often a job may begin without coming to an end before nobody tries it any more."""
IDLE_POLL_MILLISECONDS = 200
"""The longest an idle worker waits between two looks at Redis; Dramatiq's default is a second."""


class Attempt(msgspec.Struct, frozen=True):
    """One run of a job."""

    message_id: str
    number: int
    """1 for the first."""
    last: bool
    """Whether a failure now is for good."""


class TryAgain(Exception):
    """The job cannot be done yet, through no fault of its own."""

    def __init__(self, why: str, *, delay_seconds: float) -> None:
        super().__init__(why)
        self.delay_seconds = delay_seconds


class RunsJobs(Protocol):
    """What to do with a job."""

    async def run(self, job: Job, attempt: Attempt) -> None:
        """Do it. Any exception is a failed attempt."""
        ...

    async def give_up(self, job: Job, error: str) -> None:
        """Say where an operator sees it that the job failed for good."""
        ...


class DramatiqWorker:
    """The worker threads of this process."""

    def __init__(
        self,
        queue: DramatiqQueue,
        runner: RunsJobs,
        *,
        jobs: Sequence[type[Job]],
        threads: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._queue = queue
        self._runner = runner
        self._loop = loop
        self._running: set[concurrent.futures.Future[None]] = set()
        for job_type in jobs:
            self._declare(job_type)
        self._worker = dramatiq.Worker(
            queue.broker, worker_threads=threads, worker_timeout=IDLE_POLL_MILLISECONDS
        )
        # As many as run at once: what one process has fetched no other can take.
        self._worker.queue_prefetch = threads
        self._worker.delay_prefetch = 1000

    def _declare(self, job_type: type[Job]) -> None:
        def act(job: dict[str, Any]) -> None:
            self._act(msgspec.convert(job, job_type))

        dramatiq.Actor(
            act,
            broker=self._queue.broker,
            actor_name=job_type.NAME,
            queue_name=job_type.QUEUE,
            priority=0,
            options={
                "max_retries": job_type.MAX_RETRIES,
                "min_backoff": int(job_type.MIN_BACKOFF_SECONDS * 1000),
                "max_backoff": int(job_type.MAX_BACKOFF_SECONDS * 1000),
            },
        )

    def start(self) -> None:
        """Begin to take jobs."""
        # Dramatiq's command line does this; whoever starts a Worker alone must.
        self._queue.broker.emit_after("process_boot")
        self._worker.start()

    @property
    def alive(self) -> bool:
        """Whether every thread still runs; one that died takes no more jobs for ever."""
        threads = [*self._worker.workers, *self._worker.consumers.values()]
        return all(thread.is_alive() for thread in threads)

    async def stop(self, *, drain_seconds: float) -> None:
        """Take no more jobs, finish those that run, put back those that take longer."""
        grace = 5.0
        stopping = asyncio.create_task(
            asyncio.to_thread(self._worker.stop, timeout=int((drain_seconds + grace) * 1000))
        )
        done, _ = await asyncio.wait([stopping], timeout=drain_seconds)
        if not done:
            for future in list(self._running):
                future.cancel()
        await stopping

    def _act(self, job: Job) -> None:
        """Run the job and wait for it, in a worker thread."""
        begun = self._queue.begin(job)
        if begun > CRASHES_ALLOWED:
            # Its mark stays, so that until it expires nobody tries again.
            self._wait_for(self._runner.give_up(job, "Its worker died every time it ran."))
            return
        try:
            self._run(job, _attempt(job))
        finally:
            self._queue.end(job)

    def _run(self, job: Job, attempt: Attempt) -> None:
        try:
            self._wait_for(self._in_time(job, attempt))
        except TryAgain as again:
            raise Retry(str(again), delay=int(again.delay_seconds * 1000)) from again
        except concurrent.futures.CancelledError as cancelled:
            raise Retry("interrupted by a shutdown", delay=0) from cancelled
        except Exception as error:
            if attempt.last:
                self._wait_for(self._runner.give_up(job, f"{type(error).__name__}: {error}"))
            raise

    async def _in_time(self, job: Job, attempt: Attempt) -> None:
        async with asyncio.timeout(job.TIME_LIMIT_SECONDS):
            await self._runner.run(job, attempt)

    def _wait_for(self, work: Coroutine[Any, Any, None]) -> None:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._running.add(future)
        try:
            future.result()
        finally:
            self._running.discard(future)


def _attempt(job: Job) -> Attempt:
    message = CurrentMessage.get_current_message()
    if message is None:
        raise RuntimeError("a job runs outside of a worker thread")
    retries = int(message.options.get("retries", 0))
    return Attempt(message.message_id, retries + 1, retries >= job.MAX_RETRIES)

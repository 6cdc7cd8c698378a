"""Runs jobs from the queue: Dramatiq's threads take them, one event loop does the work.

Started by `workers/jobs.py`, which brings the loop and what to do for each job.
"""

import asyncio
import concurrent.futures
import random
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import dramatiq
import msgspec
from dramatiq.errors import Retry
from dramatiq.middleware import CurrentMessage

from adapters.dramatiq_queue import RESTED, Crashes, DramatiqQueue, QueueUnavailable
from adapters.shared_lock import Closed, NotAlone, SharedLock, Taken
from application.jobs import Cause, Job

SUSPECTED_AFTER = 2
"""After so many deaths of its worker a job runs alone, so that others' deaths are not its own."""
CRASHES_ALONE_ALLOWED = 4
"""How often its worker may die of a job that runs alone before nobody tries it any more."""
CRASHES_ALLOWED = 20
"""The same of a job however it runs: what kills late, when others run beside it again."""
ALONE_SECONDS = 5.0
"""How long others wait for a job that is to run alone: before it begins, and once more after."""
BUSY_SECONDS = 30.0
"""How long, at least, it leaves alone a process whose jobs do not end."""
LONGEST_REST_SECONDS = 60.0
INTERRUPTED = "interrupted by a shutdown"
THREAD_POLL_MILLISECONDS = 500
"""How often an idle thread looks whether it is to end. A job wakes it at once."""


class Attempt(msgspec.Struct, frozen=True):
    """One run of a job."""

    message_id: str
    number: int
    """1 for the first."""
    last: bool
    """Whether a failure now is for good."""
    cause: Cause | None = None
    """None for a job that the clock or the scheduler asked for."""

    @property
    def correlation_id(self) -> str:
        """Of the request behind the job; the job's own where there is none."""
        return self.message_id if self.cause is None else self.cause.correlation_id


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

    async def give_up(self, job: Job, attempt: Attempt, error: str) -> None:
        """Say where an operator sees it that the job failed for good."""
        ...


def rest_after(crashes: int) -> float:
    """Seconds that a job whose worker died waits before it is tried again, by chance.

    What died together would die together for ever, though one of them alone may be what kills.
    """
    return random.uniform(0, min(2.0**crashes, LONGEST_REST_SECONDS))  # noqa: S311 - no secret


class DramatiqWorker:
    """The worker threads of this process."""

    def __init__(
        self,
        queue: DramatiqQueue,
        runner: RunsJobs,
        *,
        jobs: Sequence[type[Job]],
        threads: Mapping[str, int],
        loop: asyncio.AbstractEventLoop,
        rest_after: Callable[[int], float] = rest_after,
    ) -> None:
        """`threads` is how many jobs of each queue, by its name, run at once."""
        self._rest_after = rest_after
        self._queue = queue
        self._runner = runner
        self._loop = loop
        self._running: set[concurrent.futures.Future[None]] = set()
        self._company = SharedLock()
        for job_type in jobs:
            self._declare(job_type)
        self._workers = [
            self._worker(name, threads[name])
            for name in sorted({job_type.QUEUE for job_type in jobs})
        ]

    def _worker(self, name: str, threads: int) -> dramatiq.Worker:
        worker = dramatiq.Worker(
            self._queue.broker_of(name),
            worker_threads=threads,
            worker_timeout=THREAD_POLL_MILLISECONDS,
        )
        # As many as run at once: what one process has fetched no other can take.
        worker.queue_prefetch = threads
        worker.delay_prefetch = 1000
        return worker

    def _declare(self, job_type: type[Job]) -> None:
        def act(job: dict[str, Any]) -> None:
            self._act(msgspec.convert(job, job_type))

        dramatiq.Actor(
            act,
            broker=self._queue.broker_of(job_type.QUEUE),
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
        for worker in self._workers:
            # Dramatiq's command line does this; whoever starts a Worker alone must.
            worker.broker.emit_after("process_boot")
            worker.start()

    @property
    def alive(self) -> bool:
        """Whether every thread still runs; one that died takes no more jobs for ever."""
        return all(
            thread.is_alive()
            for worker in self._workers
            for thread in (*worker.workers, *worker.consumers.values())
        )

    async def stop(self, *, drain_seconds: float) -> None:
        """Take no more jobs, finish those that run, put back those that take longer."""
        self._company.close()
        grace = 5.0
        timeout = int((drain_seconds + grace) * 1000)
        stopping = [
            asyncio.create_task(asyncio.to_thread(worker.stop, timeout=timeout))
            for worker in self._workers
        ]
        _, busy = await asyncio.wait(stopping, timeout=drain_seconds)
        if busy:
            for future in list(self._running):
                future.cancel()
        await asyncio.gather(*stopping)

    def _act(self, job: Job) -> None:
        """Run the job and wait for it, in a worker thread."""
        message = _message()
        attempt = _attempt(job, message)
        crashes = self._queue.crashes(job, attempt.message_id, attempt.cause)
        if crashes.given_up or _too_many(crashes):
            why = "Its worker died every time it ran."
            self._wait_for(self._runner.give_up(job, attempt, why))
            self._queue.give_up(job, attempt.cause)
            return
        if crashes.every > message.options.get(RESTED, 0):
            self._rest(message, crashes)
            return
        try:
            if crashes.every < SUSPECTED_AFTER:
                with self._company.together():
                    self._begin(job, attempt)
            else:
                self._begin_alone(job, attempt)
        except Taken:
            self._rest(message, crashes)
        except NotAlone:
            self._rest(message, crashes, at_least=BUSY_SECONDS)
        except (Closed, concurrent.futures.CancelledError) as interruption:
            self._leave(message, interruption)

    def _begin_alone(self, job: Job, attempt: Attempt) -> None:
        """Run it beside nobody for a while: long enough to see whether it kills at once."""
        with self._company.alone(seconds=ALONE_SECONDS) as join:

            def let_others_in() -> None:
                self._queue.accompanied(job, attempt.message_id)
                join()

            patience = threading.Timer(ALONE_SECONDS, let_others_in)
            patience.daemon = True
            patience.start()
            try:
                self._begin(job, attempt, alone=True)
            finally:
                patience.cancel()

    def _begin(self, job: Job, attempt: Attempt, *, alone: bool = False) -> None:
        self._queue.begin(job, attempt.message_id, alone=alone)
        try:
            self._run(job, attempt)
        finally:
            self._queue.end(job, attempt.message_id)

    def _rest(
        self, message: dramatiq.Message[None], crashes: Crashes, *, at_least: float = 0
    ) -> None:
        seconds = at_least + self._rest_after(crashes.every)
        self._queue.rest(message, crashes.every, seconds=seconds)

    def _leave(self, message: dramatiq.Message[None], interruption: BaseException) -> None:
        """Put back what a shutdown interrupted. It was no failure, and is not counted as one."""
        try:
            self._queue.put_back(message)
        except QueueUnavailable:
            raise Retry(INTERRUPTED, delay=0) from interruption

    def _run(self, job: Job, attempt: Attempt) -> None:
        try:
            self._wait_for(self._in_time(job, attempt))
        except TryAgain as again:
            raise Retry(str(again), delay=int(again.delay_seconds * 1000)) from again
        except concurrent.futures.CancelledError:
            raise
        except Exception as error:
            if attempt.last:
                why = f"{type(error).__name__}: {error}"
                self._wait_for(self._runner.give_up(job, attempt, why))
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


def _too_many(crashes: Crashes) -> bool:
    return crashes.alone >= CRASHES_ALONE_ALLOWED or crashes.every >= CRASHES_ALLOWED


def _message() -> dramatiq.Message[None]:
    message = CurrentMessage.get_current_message()
    if message is None:
        raise RuntimeError("a job runs outside of a worker thread")
    return message


def _attempt(job: Job, message: dramatiq.Message[None]) -> Attempt:
    retries = int(message.options.get("retries", 0))
    cause = message.options.get("cause")
    return Attempt(
        message.message_id,
        retries + 1,
        retries >= job.MAX_RETRIES,
        None if cause is None else msgspec.convert(cause, Cause),
    )

"""`python -m workers.scheduler`: asks for what is due by the clock, and again for what was lost.

One works, others stand by. Nothing here is remembered but in the log and in Redis.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import timedelta

from adapters.dramatiq_queue import DramatiqQueue, QueueUnavailable
from adapters.postgres import open_pool
from adapters.postgres_leader import STAND_BY_SECONDS, Leader
from adapters.settings import Settings
from adapters.system import utc_now
from adapters.telemetry import get_logger
from application.jobs import Job, SweepUploads
from application.ports import WorkList
from domain.errors import DatabaseUnavailable
from workers.process import pause, run
from workers.work_list import ReadModelWorkList

REDRIVE_INTERVAL_SECONDS = 30.0
REDRIVE_LIMIT = 1_000
"""Jobs asked for again in one pass, the oldest first."""
KEY_LIFETIME = timedelta(hours=24)
"""How long an Idempotency-Key holds."""
RETRY_SECONDS = 1.0
"""When to try again while Postgres or Redis is away."""


class Scheduler:
    """What happens because of the time alone. Each method is one pass."""

    def __init__(
        self, queue: DramatiqQueue, work: WorkList, leader: Leader, *, redrive_after: timedelta
    ) -> None:
        self._queue = queue
        self._work = work
        self._leader = leader
        self._redrive_after = redrive_after
        self._log = get_logger()

    async def sweep(self) -> None:
        """Ask for the expiry sweep. Raises QueueUnavailable."""
        await asyncio.to_thread(self._queue.send, SweepUploads())

    async def redrive(self) -> int:
        """Send again what should be finished and is not in Redis; how many jobs.

        Raises DatabaseUnavailable or QueueUnavailable.
        """
        before = utc_now() - self._redrive_after
        jobs = await self._work.unfinished_jobs(before, REDRIVE_LIMIT)
        sent = await asyncio.to_thread(self._send_again, jobs) if jobs else 0
        if sent:
            self._log.warning("media.scheduler.redriven", jobs=sent)
        return sent

    def _send_again(self, jobs: Sequence[Job]) -> int:
        return sum(self._queue.send_again(job) for job in jobs)

    async def clean(self) -> int:
        """Forget Idempotency-Keys that hold no longer; how many. Raises DatabaseUnavailable."""
        return await self._leader.delete_idempotency_keys(utc_now() - KEY_LIFETIME)


async def main(settings: Settings, stop: asyncio.Event) -> int:
    """Keep the schedule until asked to stop, through outages of Postgres and Redis."""
    log = get_logger()
    pool = await open_pool(
        settings.database_url, role="media_worker", size=2, application_name="media-scheduler"
    )
    queue = DramatiqQueue(settings.redis_url, namespace=settings.redis_namespace)
    leader = Leader(settings.database_url, name="scheduler")
    scheduler = Scheduler(
        queue,
        ReadModelWorkList(pool),
        leader,
        redrive_after=timedelta(seconds=settings.redrive_after_seconds),
    )
    try:
        while not stop.is_set():
            try:
                if not await leader.take_over():
                    await pause(stop, STAND_BY_SECONDS)
                    continue
                log.info("media.scheduler.leads")
                await _keep(scheduler, leader, stop, sweep_seconds=settings.sweep_interval_seconds)
            except (DatabaseUnavailable, QueueUnavailable) as error:
                log.warning("media.scheduler.waits", error=f"{type(error).__name__}: {error}")
                await leader.step_down()
                await pause(stop, RETRY_SECONDS)
    finally:
        await leader.step_down()
        queue.close()
        await pool.close()
    return 0


async def _keep(
    scheduler: Scheduler, leader: Leader, stop: asyncio.Event, *, sweep_seconds: float
) -> None:
    clock = asyncio.get_running_loop().time
    sweep_at = redrive_at = clock()
    while not stop.is_set():
        await leader.still_leads()
        if clock() >= sweep_at:
            await scheduler.sweep()
            sweep_at = clock() + sweep_seconds
        if clock() >= redrive_at:
            sent = await scheduler.redrive()
            await scheduler.clean()
            # After a loss of the whole queue there is more than one pass of work.
            redrive_at = clock() + (1 if sent == REDRIVE_LIMIT else REDRIVE_INTERVAL_SECONDS)
        await pause(stop, min(max(min(sweep_at, redrive_at) - clock(), 0.05), 1.0))


if __name__ == "__main__":
    sys.exit(run("scheduler", main))

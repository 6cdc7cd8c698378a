"""`python -m workers.webhooks`: tells webhooks of what happened.

Three things in one process, each of which may run in several: the fan-out follows the log and
writes what is to be sent; the dispatcher asks for jobs for webhooks with messages that are due; the
jobs send them. Receivers that failed last time have threads of their own.
"""

import asyncio
import sys

from adapters.dramatiq_queue import DramatiqQueue, QueueUnavailable
from adapters.dramatiq_worker import DramatiqWorker
from adapters.event_reader import PostgresEventReader
from adapters.postgres import Pool
from adapters.postgres_webhooks import PostgresDeliveries, ToServe
from adapters.redis_hints import PositionHints
from adapters.runtime import Runtime, open_webhooks_runtime
from adapters.settings import Settings
from adapters.tasks import ended
from adapters.telemetry import get_logger
from application.jobs import DeliverWebhook, Job, RetryWebhook
from domain.errors import DatabaseUnavailable
from projections.projection import Follower
from projections.webhook_fan_out import WebhookFanOut
from workers.jobs import DRAIN_SECONDS, JobRunner
from workers.process import pause, run
from workers.projector import Wake, follow, ring

LANES: tuple[type[DeliverWebhook], ...] = (DeliverWebhook, RetryWebhook)
DISPATCH_SECONDS = 0.05
"""How often the dispatcher looks for what is due."""
IDLE_DISPATCH_SECONDS = 0.25
"""The same while nothing is due and nothing happens."""
ASKED_SECONDS = 5.0
"""How long a job that was asked for may take to begin before it is asked for again."""
HOUSEKEEPING_SECONDS = 600.0
RETRY_SECONDS = 1.0
"""When to try again while Postgres or Redis is away."""


class Dispatcher:
    """Asks for a job for each webhook with messages that are due and nobody at work."""

    def __init__(self, deliveries: PostgresDeliveries, queue: DramatiqQueue) -> None:
        self._deliveries = deliveries
        self._queue = queue
        self.waiting = 0
        """How many webhooks had messages that were due, at the last pass."""
        self._asked: dict[str, tuple[float, str | None]] = {}
        """When a job was asked for, and which one had worked for the webhook before."""

    async def dispatch(self) -> int:
        """One pass; how many jobs were asked for. Raises DatabaseUnavailable, QueueUnavailable."""
        await self._deliveries.go_on_with_replays()
        now = asyncio.get_running_loop().time()
        waiting = await self._deliveries.to_be_served()
        self.waiting = len(waiting)
        unserved = [one for one in waiting if not self._is_asked_for(one, now)]
        jobs: list[Job] = [
            (RetryWebhook if one.failing else DeliverWebhook)(webhook_id=one.webhook_id)
            for one in unserved
        ]
        if jobs:
            await asyncio.to_thread(self._send, jobs)
        known = {one.webhook_id for one in waiting}
        kept = {id_: asked for id_, asked in self._asked.items() if id_ in known}
        self._asked = kept | {one.webhook_id: (now, one.last_lease) for one in unserved}
        return len(jobs)

    def _is_asked_for(self, one: ToServe, now: float) -> bool:
        """Whether a job was asked for that has not begun yet."""
        at, last_lease = self._asked.get(one.webhook_id, (-ASKED_SECONDS, None))
        return now - at < ASKED_SECONDS and one.last_lease == last_lease

    def _send(self, jobs: list[Job]) -> None:
        for job in jobs:
            self._queue.send(job)


async def keep_dispatching(
    runtime: Runtime, dispatcher: Dispatcher, follower: Follower, stop: asyncio.Event
) -> None:
    """Dispatch until asked to stop, through outages of Postgres and Redis.

    `follower` fans out what is to be sent.
    """
    log = get_logger()
    deliveries = PostgresDeliveries(runtime.pool)
    clock = asyncio.get_running_loop().time
    housekeeping_at = clock()
    fanned_out = 0
    while not stop.is_set():
        try:
            await dispatcher.dispatch()
            if clock() >= housekeeping_at:
                await deliveries.forget(runtime.clock)
                housekeeping_at = clock() + HOUSEKEEPING_SECONDS
            at_rest = not dispatcher.waiting and follower.position == fanned_out
            fanned_out = follower.position
            await pause(stop, IDLE_DISPATCH_SECONDS if at_rest else DISPATCH_SECONDS)
        except (DatabaseUnavailable, QueueUnavailable) as error:
            log.warning("media.webhooks.waits", error=f"{type(error).__name__}: {error}")
            await pause(stop, RETRY_SECONDS)


async def work(settings: Settings, runtime: Runtime, stop: asyncio.Event) -> int:
    """Fan out, dispatch and send until asked to stop; 1 when a lane broke down."""
    hints = PositionHints(settings.redis_url, channel=f"{settings.redis_namespace}:positions")
    wake = Wake()
    queue = DramatiqQueue(
        settings.redis_url,
        namespace=settings.redis_namespace,
        heartbeat_seconds=settings.job_heartbeat_seconds,
    )
    dispatcher = Dispatcher(PostgresDeliveries(runtime.pool), queue)
    pool: Pool = runtime.pool
    follower = Follower(WebhookFanOut(), PostgresEventReader(pool))
    worker = DramatiqWorker(
        queue,
        JobRunner(runtime, queue),
        jobs=LANES,
        threads={job.QUEUE: settings.webhook_threads for job in LANES},
        loop=asyncio.get_running_loop(),
    )
    worker.start()
    ringing = asyncio.create_task(ring([wake], hints))
    following = asyncio.create_task(follow(follower, pool, wake, stop))
    dispatching = asyncio.create_task(keep_dispatching(runtime, dispatcher, follower, stop))
    healthy = True
    try:
        while not stop.is_set() and healthy:
            await pause(stop, 1.0)
            healthy = worker.alive
            for task in (following, dispatching):
                if task.done() and not stop.is_set():
                    task.result()
    finally:
        stop.set()
        await worker.stop(drain_seconds=DRAIN_SECONDS)
        await asyncio.gather(following, dispatching, return_exceptions=True)
        await ended(ringing)
        queue.close()
        await hints.close()
    return 0 if healthy else 1


async def main(settings: Settings, stop: asyncio.Event) -> int:
    """Open the runtime and work."""
    async with open_webhooks_runtime(settings) as runtime:
        return await work(settings, runtime, stop)


if __name__ == "__main__":
    sys.exit(run("webhooks", main))

"""`python -m workers.reactor`: follows the log and sends the jobs its events call for.

One works, others stand by. A crash between the sending and the checkpoint sends twice and never
loses.
"""

import asyncio
import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from adapters.dramatiq_queue import DramatiqQueue, QueueUnavailable
from adapters.event_reader import PostgresEventReader
from adapters.metrics import EVENTS_TAKEN, expect_events, family_of
from adapters.postgres import open_pool
from adapters.postgres_leader import STAND_BY_SECONDS, Leader
from adapters.redis_hints import PositionHints
from adapters.settings import Settings
from adapters.system import utc_now
from adapters.telemetry import get_logger
from application.jobs import Cause, Job, PlaceObjects, PurgeCache, PurgeObjects
from application.policies import react
from application.ports import JobQueue
from domain.errors import DatabaseUnavailable
from domain.event import Recorded, before_unknown
from domain.event_catalogue import EVENTS
from workers.process import pause, run

BATCH = 200
"""Events between two checkpoints: what a crash sends twice at most."""
GATHER_SECONDS = 0.005
"""How long events gather after a batch: a few in one cost what one alone does."""
RETRY_SECONDS = 1.0
"""When to try again while Postgres or Redis is away."""
GIVE_WAY_SECONDS = 3 * STAND_BY_SECONDS
"""How long the lead is left to a newer version, which tries for it every STAND_BY_SECONDS."""


class NewerEvent(Exception):
    """The next event is of a type this version does not know: only a newer one may go past it."""


class EventReader(Protocol):
    """The log in its one order."""

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """At most `limit` events after the position."""
        ...


class Reactor:
    """Turns events into jobs, in the order of the log."""

    def __init__(self, reader: EventReader, queue: JobQueue, leader: Leader) -> None:
        self._reader = reader
        self._queue = queue
        self._leader = leader

    async def follow(self, after: int) -> int:
        """Send the jobs of the next events, then store the checkpoint; the new position.

        Raises NewerEvent, QueueUnavailable or DatabaseUnavailable with the checkpoint where it was.
        """
        events, unknown = before_unknown(await self._reader.read(after, BATCH))
        if not events:
            if unknown is not None:
                raise NewerEvent(unknown)
            return after
        now = utc_now()
        sending = [
            (job, _delay(job, now), _cause(recorded))
            for recorded in events
            for job in react(recorded)
        ]
        if sending:
            await asyncio.to_thread(self._send, sending)
        position = events[-1].position
        await self._leader.store_checkpoint(position)
        for recorded in events:
            EVENTS_TAKEN.labels(family_of(recorded.event.TYPE)).inc()
        return position

    def _send(self, sending: Sequence[tuple[Job, float, Cause]]) -> None:
        for job, delay, cause in sending:
            self._queue.send(job, delay_seconds=delay, cause=cause)


def _cause(recorded: Recorded) -> Cause:
    return Cause(
        correlation_id=recorded.correlation_id, owner=recorded.owner, position=recorded.position
    )


def _delay(job: Job, now: datetime) -> float:
    if isinstance(job, PurgeObjects | PlaceObjects | PurgeCache) and job.not_before is not None:
        return max((job.not_before - now).total_seconds(), 0)
    return 0


async def main(settings: Settings, stop: asyncio.Event) -> int:
    """Follow the log until asked to stop, through outages of Postgres and Redis."""
    log = get_logger()
    expect_events(event.TYPE for event in EVENTS)
    pool = await open_pool(
        settings.database_url, role="media_worker", size=2, application_name="media-reactor"
    )
    queue = DramatiqQueue(settings.redis_url, namespace=settings.redis_namespace)
    hints = PositionHints(settings.redis_url, channel=f"{settings.redis_namespace}:positions")
    leader = Leader(settings.database_url, name="reactor")
    reactor = Reactor(PostgresEventReader(pool), queue, leader)
    newer = ""
    try:
        while not stop.is_set():
            try:
                if not await leader.take_over():
                    await pause(stop, STAND_BY_SECONDS)
                    continue
                position = await leader.checkpoint()
                log.info("media.reactor.leads", position=str(position))
                while not stop.is_set():
                    reached = await reactor.follow(position)
                    if reached == position:
                        await hints.wait(reached)
                    else:
                        await asyncio.sleep(GATHER_SECONDS)
                    position = reached
            except (DatabaseUnavailable, QueueUnavailable) as error:
                log.warning("media.reactor.waits", error=f"{type(error).__name__}: {error}")
                await leader.step_down()
                await pause(stop, RETRY_SECONDS)
            except NewerEvent as error:
                if str(error) != newer:
                    newer = str(error)
                    log.warning("media.reactor.waits_for_newer_version", eventType=newer)
                await leader.step_down()
                await pause(stop, GIVE_WAY_SECONDS)
    finally:
        await leader.step_down()
        await hints.close()
        queue.close()
        await pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(run("reactor", main))

"""`python -m workers.publisher`: follows the log and puts integration events on Redis streams.

One works, others stand by. A crash between the sending and the checkpoint sends again what Redis
then refuses, since it has it already.
"""

import asyncio
import sys
import time
from datetime import timedelta

from adapters.event_reader import PostgresEventReader
from adapters.log_times import position_at
from adapters.postgres import Pool, open_pool
from adapters.postgres_leader import STAND_BY_SECONDS, Leader
from adapters.redis_hints import PositionHints
from adapters.redis_streams import Entry, EventStreams, StreamsUnavailable
from adapters.settings import Settings
from adapters.system import utc_now
from adapters.telemetry import get_logger
from application.integration_events import ANNOUNCED, encode, integration_event
from domain.errors import DatabaseUnavailable
from workers.process import pause, run

NAME = "publisher"
BATCH = 500
"""Events between two checkpoints."""
GATHER_SECONDS = 0.005
"""How long events gather after a batch: a few in one cost what one alone does."""
RETRY_SECONDS = 1.0
"""When to try again while Postgres or Redis is away."""
TRIM_SECONDS = 10.0
"""How often old entries are dropped; also how soon emptied streams say again what they hold."""


class Publisher:
    """Turns facts into integration events, in the order of the log."""

    def __init__(
        self, pool: Pool, streams: EventStreams, leader: Leader, *, kept: timedelta, longest: int
    ) -> None:
        """`kept` and `longest` bound the streams by age and by number of events."""
        self._pool = pool
        self._reader = PostgresEventReader(pool)
        self._streams = streams
        self._leader = leader
        self._kept = kept
        self._longest = longest
        self._trimmed_at = -TRIM_SECONDS

    async def start(self) -> int:
        """The position to go on from: the checkpoint, or later where no one could still read."""
        position = await self._leader.checkpoint()
        return max(position, await self._oldest())

    async def follow(self, after: int) -> int:
        """Publish the next events, then store the checkpoint; the new position.

        Raises StreamsUnavailable or DatabaseUnavailable with the checkpoint where it was.
        """
        facts, reached, read = await self._reader.read_only(after, BATCH, ANNOUNCED)
        if read:
            events = [event for fact in facts if (event := integration_event(fact)) is not None]
            entries = [Entry(event.position, event.type, encode(event)) for event in events]
            await self._streams.publish(entries, after=after, reached=reached)
            await self._leader.store_checkpoint(reached)
        if time.monotonic() - self._trimmed_at >= TRIM_SECONDS:
            await self._streams.publish([], after=reached, reached=reached)
            await self._streams.trim(before=await self._oldest() + 1, longest=self._longest)
            self._trimmed_at = time.monotonic()
        return reached

    async def _oldest(self) -> int:
        return await position_at(self._pool, utc_now() - self._kept)


async def main(settings: Settings, stop: asyncio.Event) -> int:
    """Follow the log until asked to stop, through outages of Postgres and Redis."""
    log = get_logger()
    pool = await open_pool(
        settings.database_url, role="media_worker", size=2, application_name=f"media-{NAME}"
    )
    streams = EventStreams(settings.redis_url, namespace=settings.redis_namespace)
    hints = PositionHints(settings.redis_url, channel=f"{settings.redis_namespace}:positions")
    leader = Leader(settings.database_url, name=NAME)
    publisher = Publisher(
        pool,
        streams,
        leader,
        kept=timedelta(seconds=settings.events_retention_seconds),
        longest=settings.events_stream_length,
    )
    waiting = False
    try:
        while not stop.is_set():
            try:
                if not await leader.take_over():
                    await pause(stop, STAND_BY_SECONDS)
                    continue
                position = await publisher.start()
                log.info("media.publisher.leads", position=str(position))
                while not stop.is_set():
                    reached = await publisher.follow(position)
                    waiting = False
                    if reached == position:
                        await hints.wait(reached)
                    else:
                        await asyncio.sleep(GATHER_SECONDS)
                    position = reached
            except (DatabaseUnavailable, StreamsUnavailable) as error:
                if not waiting:
                    log.warning("media.publisher.waits", error=f"{type(error).__name__}: {error}")
                waiting = True
                await leader.step_down()
                await pause(stop, RETRY_SECONDS)
    finally:
        await leader.step_down()
        await hints.close()
        await streams.close()
        await pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(run(NAME, main))

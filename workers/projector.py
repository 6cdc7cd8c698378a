"""`python -m workers.projector`: keeps every read model live.

Several may run: for each read model one works at a time, the others stand by.
"""

import asyncio
import sys
import time
from collections.abc import Collection, Sequence

from psycopg import AsyncConnection

from adapters.event_reader import PostgresEventReader
from adapters.metrics import PROJECTED, PROJECTION_SECONDS
from adapters.postgres import open_pool
from adapters.redis_hints import PositionHints
from adapters.settings import Settings
from adapters.stop_points import stop_point
from adapters.tasks import ended
from adapters.telemetry import get_logger
from adapters.tracing import past_span
from domain.errors import DatabaseUnavailable
from domain.event import Event, Recorded
from projections.projection import BATCH, EventReader, Follower
from projections.read_models import READ_MODELS
from projections.reading import Pool, connection
from workers.process import pause, run
from workers.rows_written import rows_written

RETRY_SECONDS = (0.1, 0.5, 1.0, 2.0)
"""When to try again while Postgres is away; the last one for as long as it takes."""
LOOK_AGAIN_SECONDS = (0.001, 0.002, 0.004, 0.008)
"""After a hint: an older transaction, often another follower's own, may still hide the event."""
REST = 1.0
"""How many times as long as it worked a follower rests: of many small batches it makes few larger
ones, which cost a fraction, and leaves the processor to the requests."""
LONGEST_REST_SECONDS = 0.02


class Wake:
    """Lets one follower sleep until there may be something to do."""

    def __init__(self) -> None:
        self._wanted = asyncio.Event()
        self.announced = 0
        """The highest position a hint has named."""
        self.reached = 0
        """The position the follower has reached."""

    def call(self, announced: int) -> None:
        """Wake it."""
        self.announced = announced
        self._wanted.set()

    async def wait(self) -> None:
        """Return at the next call, or at once if one came since the last wait."""
        await self._wanted.wait()
        self._wanted.clear()


class SharedReader:
    """Reads once for all followers that ask for the same events at the same time."""

    def __init__(self, reader: EventReader) -> None:
        self._reader = reader
        self._reading: dict[tuple[int, int], asyncio.Task[Sequence[Recorded]]] = {}

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """The next events after the position."""
        wanted = after, limit
        reading = self._reading.get(wanted)
        if reading is None:
            reading = asyncio.create_task(self._reader.read(after, limit))
            self._reading[wanted] = reading
            reading.add_done_callback(lambda _: self._reading.pop(wanted, None))
        # One follower's end must not end the others' reading.
        return await asyncio.shield(reading)

    async def read_only(
        self, after: int, limit: int, types: Collection[type[Event]]
    ) -> tuple[Sequence[Recorded], int, int]:
        """Of the next events those of the types; nobody else waits for the same."""
        return await self._reader.read_only(after, limit, types)

    async def horizon(self) -> int:
        """The position below which the log is settled."""
        return await self._reader.horizon()


async def follow(follower: Follower, pool: Pool, wake: Wake, stop: asyncio.Event) -> None:
    """Keep one read model live, through outages of Postgres, until asked to stop."""
    log = get_logger().bind(readModel=follower.projection.name)
    failures = 0
    unknown = None
    started = False
    while not stop.is_set():
        try:
            if not started:
                async with connection(pool) as one:
                    await follower.start(one)
                started = True
                log.info("media.projector.follows", position=str(follower.position))
            worked = await _catch_up(follower, pool, wake, stop)
            wake.reached = follower.position
            if follower.waits_for not in (None, unknown):
                log.warning(
                    "media.projector.waits_for_newer_version",
                    eventType=follower.waits_for,
                    position=str(follower.position),
                )
            unknown = follower.waits_for
        except DatabaseUnavailable as error:
            if not failures:
                log.warning("media.projector.waits", error=str(error), **error.details)
            await pause(stop, RETRY_SECONDS[min(failures, len(RETRY_SECONDS) - 1)])
            # Else each connection that died is found by another attempt.
            await pool.check()
            failures += 1
        else:
            if failures:
                log.info("media.projector.goes_on", position=str(follower.position))
            failures = 0
            await asyncio.sleep(min(REST * worked, LONGEST_REST_SECONDS))
            await wake.wait()
    await follower.close()


async def _catch_up(follower: Follower, pool: Pool, wake: Wake, stop: asyncio.Event) -> float:
    """Apply what there is; the seconds that took, 0 where there was nothing."""
    began = time.perf_counter()
    taken = 0
    async with connection(pool) as one:
        for seconds in (0, *LOOK_AGAIN_SECONDS):
            if seconds:
                await asyncio.sleep(seconds)
            while not stop.is_set() and (events := await _step(follower, one)):
                taken += events
                # It was all there was: more is announced, or met by the next look.
                if events < BATCH and follower.position >= wake.announced:
                    break
            if follower.position >= wake.announced:
                break
    return time.perf_counter() - began if taken else 0


async def _step(follower: Follower, connection: AsyncConnection) -> int:
    """The next batch, measured."""
    began = time.perf_counter()
    events = await follower.step(connection)
    if events:
        name = follower.projection.name
        seconds = time.perf_counter() - began
        PROJECTED.labels(name).inc(events)
        PROJECTION_SECONDS.labels(name).observe(seconds)
        past_span(f"project {name}", seconds, events=events, position=str(follower.position))
    return events


async def ring(wakes: Sequence[Wake], hints: PositionHints) -> None:
    """Wake the followers at every hint, and now and then without one."""
    while True:
        await hints.wait(min(wake.reached for wake in wakes))
        for wake in wakes:
            wake.call(hints.latest)


async def main(settings: Settings, stop: asyncio.Event) -> int:
    """Follow the log with every read model until asked to stop."""
    followers = len(READ_MODELS)
    dying = stop_point(settings.stop_point)
    pool = await open_pool(
        settings.database_url,
        role="media_worker",
        # Each writes on one connection while it reads ahead on another.
        size=2 * followers,
        application_name="media-projector",
    )
    hints = PositionHints(settings.redis_url, channel=f"{settings.redis_namespace}:positions")
    reader = SharedReader(PostgresEventReader(pool))
    wakes = [Wake() for _ in READ_MODELS]
    ringing = asyncio.create_task(ring(wakes, hints))
    try:
        async with asyncio.TaskGroup() as group:
            for projection, wake in zip(READ_MODELS.values(), wakes, strict=True):
                followed = rows_written(projection, dying)
                group.create_task(follow(Follower(followed, reader), pool, wake, stop))
    finally:
        await ended(ringing)
        await hints.close()
        await pool.close()
    return 0


if __name__ == "__main__":
    sys.exit(run("projector", main))

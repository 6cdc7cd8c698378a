"""Adapters that die at a stop point (`adapters/stop_points.py`). Without one, the real ones.

Used by `adapters/runtime.py` and `workers/jobs.py`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from adapters.dramatiq_worker import Attempt, RunsJobs
from adapters.postgres import Pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.stop_points import StopPoint
from application.jobs import Job
from application.ports import EventStore, IngestSource, KeyClaim, ObjectStore
from domain.event import Recorded

EFFECTS = frozenset({"copy", "write", "write_file", "delete"})
"""What an object store does to the world."""


def event_store(pool: Pool, stop: StopPoint | None) -> EventStore:
    """The event store, which dies before, in or after an append where that is asked for."""
    return PostgresEventStore(pool) if stop is None else _DyingEventStore(pool, stop)


def object_store(real: ObjectStore, stop: StopPoint | None) -> ObjectStore:
    """The object store, after whose effects the process dies where that is asked for."""
    if stop is None or stop.name != "effect_done":
        return real
    return _DyingObjectStore(real, stop)


def job_runner(real: RunsJobs, stop: StopPoint | None) -> RunsJobs:
    """What runs jobs, before or after which the process dies where that is asked for."""
    return real if stop is None else _DyingRunner(real, stop)


class _DyingEventStore(PostgresEventStore):
    def __init__(self, pool: Pool, stop: StopPoint) -> None:
        super().__init__(pool)
        self._stop = stop

    async def append(
        self,
        events: Sequence[Recorded],
        *,
        claim: KeyClaim | None = None,
        source: IngestSource | None = None,
    ) -> int:
        self._stop.reached("before_write")
        position = await super().append(events, claim=claim, source=source)
        self._stop.reached("after_commit")
        return position

    async def _execute(self, statement: str, parameters: Mapping[str, Any]) -> int:
        if self._stop.name != "before_commit":
            return await super()._execute(statement, parameters)
        # Only then is there a moment between the statement and its commit.
        async with self._pool.connection() as one, one.transaction():
            cursor = await one.execute(statement, parameters)
            self._stop.reached("before_commit")
            return int(max(position for (position,) in await cursor.fetchall()))


class _DyingObjectStore:
    def __init__(self, real: ObjectStore, stop: StopPoint) -> None:
        self._real = real
        self._stop = stop

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._real, name)
        return self._with_stop(real) if name in EFFECTS else real

    def _with_stop(self, real: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        async def effect(*arguments: Any, **named: Any) -> None:
            await real(*arguments, **named)
            self._stop.reached("effect_done")

        return effect


class _DyingRunner:
    def __init__(self, real: RunsJobs, stop: StopPoint) -> None:
        self._real = real
        self._stop = stop

    async def run(self, job: Job, attempt: Attempt) -> None:
        self._stop.reached("job_taken")
        await self._real.run(job, attempt)
        self._stop.reached("job_done")

    async def give_up(self, job: Job, attempt: Attempt, error: str) -> None:
        await self._real.give_up(job, attempt, error)

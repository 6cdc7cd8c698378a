"""How a read model follows the event log: batches, set-based statements, the checkpoint with them.

The same code keeps a model live (`workers/projector.py`) and builds it anew (`rebuild.py`).
"""

import asyncio
from collections.abc import Callable, Collection, Coroutine, Sequence
from typing import Generic, Protocol, TypeVar

import msgspec
import psycopg

from domain.event import Event, Recorded, before_unknown

BATCH = 1000
"""Events per transaction: larger ones gain nothing, smaller ones cost a replay its speed."""

T = TypeVar("T")

FIRST_WAIT_SECONDS = 0.002
LONGEST_WAIT_SECONDS = 0.05


# Durable at once: a follower believes its own position, so a crash must not take it back.
_TAKE_CHECKPOINT = """
SELECT position FROM checkpoints
WHERE follower = %s FOR UPDATE SKIP LOCKED
"""


class EventReader(Protocol):
    """The log, in its one order. `adapters/event_reader.py`."""

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """The next events above the position that no earlier one can still come before.

        Events of a type this version does not know are among them.
        """
        ...

    async def read_only(
        self, after: int, limit: int, types: Collection[type[Event]]
    ) -> tuple[Sequence[Recorded], int, int]:
        """Of the next events those of the types, with where all of them end and how many they are.

        Those of a type this version does not know are among them. (…, after, 0) at the end.
        """
        ...

    async def horizon(self) -> int:
        """The position below which the log is settled."""
        ...


class Statement(msgspec.Struct, frozen=True):
    """One set-based change of a read model. `%b::type[]` takes a column of values."""

    sql: str
    parameters: Sequence[object] = ()
    repeated: str | None = None
    """The same for rows of which some are there already; None where `sql` may be repeated.

    To ask for conflicts costs an insert a quarter, and a checkpoint that is written with the rows
    lets none happen.
    """


class Projection(Protocol):
    """What a read model makes of events. No side effects: it is run again for every rebuild."""

    @property
    def name(self) -> str:
        """The read model and the follower, with its version: `file_list_v2`."""
        ...

    @property
    def event_types(self) -> Collection[type[Event]] | None:
        """The events that change it, so that a rebuild leaves out the others; None for all."""
        ...

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """The changes a batch amounts to, in the order they are to be made. Pure."""
        ...


class Follower:
    """Takes one read model along the log, on a connection of its own."""

    def __init__(
        self,
        projection: Projection,
        reader: EventReader,
        *,
        checkpoint: str | None = None,
        batch: int = BATCH,
        types: Collection[type[Event]] | None = None,
    ) -> None:
        """`checkpoint` is the projection's name unless the model is being rebuilt.

        `types` leaves other events unread. The live followers read all, since they share it.
        """
        self.projection = projection
        self.checkpoint = checkpoint or projection.name
        self.position = 0
        """Of the last event known to be applied, by this follower or another."""
        self.waits_for: str | None = None
        """The stored type, unknown to this version, of the event it stands before."""
        self._reader = reader
        self._batch = batch
        self._types = types
        self._reading = _Ahead[_Read](self._read)
        self._folding = _Ahead[_Changes | None](self._changes)

    async def start(self, connection: psycopg.AsyncConnection) -> None:
        """Find the checkpoint, making it if the model is new."""
        await connection.execute(
            "INSERT INTO checkpoints (follower) VALUES (%s) ON CONFLICT DO NOTHING",
            (self.checkpoint,),
        )
        self.position = await checkpoint_of(connection, self.checkpoint)

    async def step(self, connection: psycopg.AsyncConnection) -> int:
        """Apply the next batch; how many events it had.

        0: caught up, or another follower is at work and this one stands by, or it `waits_for` a
        newer version to take over.
        """
        changes = await self._next()
        if changes is not None and not changes.events:
            # A follower of a newer version may have gone past it.
            self.position = await checkpoint_of(connection, self.checkpoint)
            changes = await self._anew()
        self.waits_for = None
        if changes is None:
            return 0
        if not changes.events:
            self.waits_for = changes.waits_for
            return 0
        try:
            return await self._apply(connection, changes)
        except psycopg.errors.UniqueViolation:
            # Applied before, by a follower whose checkpoint was taken back or lost. Read anew: the
            # attempt may have found the checkpoint elsewhere.
            again = await self._anew()
            if again is None or not again.events:
                return 0
            return await self._apply(connection, again, repeated=True)

    async def _apply(
        self, connection: psycopg.AsyncConnection, changes: "_Changes", *, repeated: bool = False
    ) -> int:
        # Two round trips instead of five.
        async with connection.pipeline(), connection.transaction():
            cursor = await connection.execute(_TAKE_CHECKPOINT, (self.checkpoint,))
            row = await cursor.fetchone()
            if row is None:
                return 0
            if row[0] != self.position:
                # Another follower went on, or a crash of the server took the last commits back.
                self.position = row[0]
                others = await self._anew()
                if others is None or not others.events:
                    return 0
                changes = others
            for statement in changes.statements:
                sql = (statement.repeated if repeated else None) or statement.sql
                await connection.execute(sql, statement.parameters)
            await connection.execute(
                "UPDATE checkpoints SET position = %s, at = now() WHERE follower = %s",
                (changes.last, self.checkpoint),
            )
        self.position = changes.last
        return changes.events

    async def _next(self) -> "_Changes | None":
        changes = await self._folding.take(self.position)
        if changes is not None and changes.events == self._batch:
            # More is waiting: it is folded while this batch is written.
            self._folding.begin(changes.last)
        return changes

    async def _anew(self) -> "_Changes | None":
        await self.close()
        return await self._changes(self.position)

    async def _changes(self, after: int) -> "_Changes | None":
        batch, last, events = await self._reading.take(after)
        if events == self._batch:
            # And the one behind it is fetched while this one is folded, which blocks: the query
            # has to be on its way before.
            self._reading.begin(last)
            await asyncio.sleep(0)
        known, unknown = before_unknown(batch)
        if unknown is not None:
            last, events = known[-1].position if known else after, len(known)
        elif not events:
            return None
        return _Changes(events, last, self.projection.fold(known) if known else (), unknown)

    async def _read(self, after: int) -> "_Read":
        if self._types is not None:
            return await self._reader.read_only(after, self._batch, self._types)
        batch = await self._reader.read(after, self._batch)
        return batch, batch[-1].position if batch else after, len(batch)

    async def close(self) -> None:
        """Let go of what was read ahead."""
        await self._folding.close()
        await self._reading.close()


_Read = tuple[Sequence[Recorded], int, int]
"""As of `EventReader.read_only`."""


class _Ahead(Generic[T]):
    """Work on what comes behind a position, begun before it is asked for."""

    def __init__(self, work: Callable[[int], Coroutine[None, None, T]]) -> None:
        self._work = work
        self._begun: tuple[int, asyncio.Task[T]] | None = None

    def begin(self, after: int) -> None:
        """Once a position, which is taken before the next is begun."""
        self._begun = after, asyncio.create_task(self._work(after))

    async def take(self, after: int) -> T:
        """What was begun for this position; what was begun for another is let go of."""
        if self._begun is not None and self._begun[0] == after:
            (_, task), self._begun = self._begun, None
            return await task
        await self.close()
        return await self._work(after)

    async def close(self) -> None:
        """Let go of what was begun."""
        if self._begun is not None:
            (_, task), self._begun = self._begun, None
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


class _Changes(msgspec.Struct, frozen=True):
    """What a batch amounts to."""

    events: int
    """0 when the next one is unknown."""
    last: int
    statements: Sequence[Statement]
    waits_for: str | None
    """The unknown type that cut the batch short."""


async def checkpoint_of(connection: psycopg.AsyncConnection, follower: str) -> int:
    """The position a follower has reached; 0 when it has never run."""
    cursor = await connection.execute(
        "SELECT position FROM checkpoints WHERE follower = %s", (follower,)
    )
    row = await cursor.fetchone()
    return int(row[0]) if row else 0

"""A read model built beside the live one: for a rebuild, which switches, and for a comparison.

The model's own DDL runs in a schema of its own, and the log is replayed into it in short
transactions: a long writing one would hold every follower back (ADR 2). Whoever is stopped leaves
the schema and its checkpoint; the next one with the same DDL and projection goes on from there.
"""

import hashlib
import inspect
from collections.abc import Callable, Collection, Sequence

import msgspec
import psycopg
from psycopg import sql

from domain.event import Event, Recorded
from projections.projection import EventReader, Follower, Projection

WORKER_ROLE = "media_worker"
REPLAY_BATCH = 5000

Progress = Callable[[int, int], None]
"""Told the position reached and the position to reach."""


class RebuildRefused(Exception):
    """The rebuild was not begun or not switched; the live model is as it was."""


class _Left(msgspec.Struct, frozen=True):
    """What the schema's comment tells whoever takes it up."""

    fingerprint: str
    indexes: dict[str, str]
    """By name: what is quicker made of all rows at once than row by row."""


class Shadow:
    """The tables beside the live ones, on a connection of the role that runs migrations."""

    def __init__(
        self,
        projection: Projection,
        reader: EventReader,
        connection: psycopg.AsyncConnection,
        *,
        schema: str,
        ddl: str,
    ) -> None:
        """`ddl` is the text of the model's migration."""
        self.schema = schema
        self.follower = Follower(
            projection, reader, checkpoint=schema, batch=REPLAY_BATCH, types=projection.event_types
        )
        self._reader = reader
        self._connection = connection
        self._ddl = ddl
        self._fingerprint = _fingerprint(projection, ddl)
        self._indexes: dict[str, str] = {}

    async def prepare(self) -> None:
        """Take up what was stopped, or begin anew; from here on unqualified names mean our tables.

        Raises RebuildRefused when another one is at work.
        """
        cursor = await self._connection.execute(
            "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (self.schema,)
        )
        row = await cursor.fetchone()
        if row is None or not row[0]:
            raise RebuildRefused("Somebody is at this read model already.")
        left = await self._left()
        if left is None or left.fingerprint != self._fingerprint:
            left = await self._make_tables()
        self._indexes = left.indexes
        await self._look_into(local=False)

    async def replay(self, progress: Progress, *, until: int | None = None) -> None:
        """Apply the log, as far as it goes or up to a position. Raises RebuildRefused."""
        await self.become_worker()
        await self.follower.start(self._connection)
        goal = await self._reader.horizon() if until is None else until
        progress(self.follower.position, goal)
        while await self.follower.step(self._connection):
            progress(self.follower.position, max(goal, self.follower.position))
        self.refuse_unknown()
        await self._connection.execute("RESET ROLE")

    async def follow(self) -> None:
        """Apply what came since, in short transactions."""
        await self.become_worker()
        while await self.follower.step(self._connection):
            pass
        self.refuse_unknown()
        await self._connection.execute("RESET ROLE")

    async def become_worker(self, *, local: bool = False) -> None:
        """The tables answer to the follower's role only, even to their owner."""
        scope = sql.SQL("SET LOCAL ROLE {}" if local else "SET ROLE {}")
        await self._connection.execute(scope.format(sql.Identifier(WORKER_ROLE)))

    def refuse_unknown(self) -> None:
        """Raise RebuildRefused where the log holds what this version cannot fold."""
        if self.follower.waits_for is not None:
            raise RebuildRefused(
                f"The log holds {self.follower.waits_for}, which this version does not know:"
                " rebuild with the version that wrote it."
            )

    async def tables(self) -> list[str]:
        """The names of the model's tables."""
        cursor = await self._connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename",
            (self.schema,),
        )
        return [name for (name,) in await cursor.fetchall()]

    async def drop(self) -> None:
        """Leave nothing behind."""
        await self._connection.execute("RESET ROLE")
        await self._connection.execute(
            sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(self.schema))
        )
        await self._connection.execute(
            "DELETE FROM checkpoints WHERE follower = %s", (self.schema,)
        )

    async def make_indexes(self) -> None:
        """Make the indexes that were left out; those that stand from an earlier try are kept."""
        cursor = await self._connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index"
            " JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE relnamespace = %s::regnamespace AND indisvalid",
            (self.schema,),
        )
        valid = {name for (name,) in await cursor.fetchall()}
        for name, definition in self._indexes.items():
            if name not in valid:
                await self._connection.execute(f"DROP INDEX IF EXISTS {name}".encode())
                # Unlike the plain form it has no transaction id while it builds.
                concurrently = definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
                await self._connection.execute(concurrently.encode())

    async def _left(self) -> _Left | None:
        cursor = await self._connection.execute(
            "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s",
            (self.schema,),
        )
        row = await cursor.fetchone()
        try:
            return msgspec.json.decode(row[0], type=_Left) if row and row[0] else None
        except msgspec.MsgspecError:
            return None

    async def _make_tables(self) -> _Left:
        name = sql.Identifier(self.schema)
        await self.drop()
        async with self._connection.transaction():
            await self._connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
            await self._connection.execute(
                sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(name, sql.Identifier(WORKER_ROLE))
            )
            await self._look_into(local=True)
            await self._connection.execute(self._ddl.encode())
            left = _Left(self._fingerprint, await self._drop_indexes())
            comment = sql.Literal(msgspec.json.encode(left).decode())
            await self._connection.execute(
                sql.SQL("COMMENT ON SCHEMA {} IS {}").format(name, comment)
            )
        return left

    async def _drop_indexes(self) -> dict[str, str]:
        cursor = await self._connection.execute(
            "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
            " JOIN pg_class ON pg_class.oid = indexrelid"
            " WHERE relnamespace = %s::regnamespace AND NOT indisunique ORDER BY 1",
            (self.schema,),
        )
        indexes: dict[str, str] = dict(await cursor.fetchall())
        for name in indexes:
            await self._connection.execute(f"DROP INDEX {name}".encode())
        return indexes

    async def _look_into(self, *, local: bool) -> None:
        await self._connection.execute(
            "SELECT set_config('search_path', %s, %s)", (f'"{self.schema}", public', local)
        )


class Until:
    """A log that ends at a position. `projections.projection.EventReader`."""

    def __init__(self, reader: EventReader, position: int) -> None:
        self._reader = reader
        self._position = position

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """Those of the next events that are not behind the end."""
        events = await self._reader.read(after, limit)
        return [recorded for recorded in events if recorded.position <= self._position]

    async def read_only(
        self, after: int, limit: int, types: Collection[type[Event]]
    ) -> tuple[Sequence[Recorded], int, int]:
        """Of these, those of the types, where they end, and how many."""
        if after >= self._position:
            return [], after, 0
        events, last, count = await self._reader.read_only(after, limit, types)
        if last <= self._position:
            return events, last, count
        kept = [recorded for recorded in events if recorded.position <= self._position]
        return kept, self._position, count

    async def horizon(self) -> int:
        """Just behind the end."""
        return self._position + 1


def _fingerprint(projection: Projection, ddl: str) -> str:
    """Of the tables and of what fills them: rows of another version are not gone on with."""
    module = inspect.getmodule(type(projection))
    source = inspect.getsource(module) if module is not None else repr(type(projection))
    return hashlib.sha256(f"{ddl}\n{source}".encode()).hexdigest()

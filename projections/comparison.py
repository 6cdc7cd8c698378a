"""Compare a live read model with one built anew from the log. Called by `./dev verify`.

The live rows are read in one snapshot, together with their checkpoint; the log is replayed beside
them up to just there. Nothing live is held up: the snapshot writes nothing, so it has no
transaction id for followers to wait for.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

import msgspec
import psycopg
from psycopg import sql

from projections.projection import EventReader, Projection, checkpoint_of
from projections.shadow import WORKER_ROLE, Progress, Shadow, Until

SHOWN = 20
"""Differences that are told one by one; the others are counted."""
FETCH_ROWS = 2000
SECOND_LOOK_SECONDS = 1.0


class Difference(msgspec.Struct, frozen=True):
    """One row that is not what the log makes of it."""

    table: str
    key: str
    """The primary key, as PostgreSQL writes a row."""
    live: str | None
    """The row, or None where only the log knows it."""
    rebuilt: str | None


class Compared(msgspec.Struct, frozen=True):
    """What a comparison found."""

    position: int
    """Up to which the log was compared."""
    rows: int
    """How many the log makes."""
    differences: int
    shown: Sequence[Difference]


async def compare(
    projection: Projection,
    reader: EventReader,
    *,
    database_url: str,
    ddl: str,
    progress: Progress = lambda _reached, _goal: None,
) -> Compared:
    """Compare every row of the model. One that was stopped is taken up where it stood.

    `ddl` is the text of the model's migration. Connects as the role that runs migrations.
    Raises RebuildRefused when another one is running or the log holds what this version ignores.
    """
    connection = await psycopg.AsyncConnection.connect(
        database_url, autocommit=True, application_name="media-verify"
    )

    def shadow_at(position: int) -> Shadow:
        log = Until(reader, position)
        return Shadow(projection, log, connection, schema=f"verify_{projection.name}", ddl=ddl)

    async with connection:
        compared = await _compare_once(
            connection, database_url, projection.name, shadow_at, progress
        )
        if compared.differences:
            # A workspace's removal closes its rows to the replay before the live follower has come
            # to it: what is still wrong when both have passed is wrong.
            await asyncio.sleep(SECOND_LOOK_SECONDS)
            compared = await _compare_once(
                connection, database_url, projection.name, shadow_at, progress
            )
        await shadow_at(compared.position).drop()
        return compared


async def _compare_once(
    connection: psycopg.AsyncConnection,
    database_url: str,
    name: str,
    shadow_at: Callable[[int], Shadow],
    progress: Progress,
) -> Compared:
    async with _snapshot(database_url) as snapshot:
        position = await checkpoint_of(snapshot, name)
        shadow = shadow_at(position)
        await shadow.prepare()
        try:
            if await checkpoint_of(connection, shadow.schema) > position:
                # The live model was put back since, by a restore.
                await shadow.drop()
                await shadow.prepare()
            await shadow.replay(progress, until=position)
        finally:
            await shadow.follower.close()
        rows, count, shown = 0, 0, list[Difference]()
        await shadow.become_worker()
        for table in await shadow.tables():
            live = _rows(snapshot, "public", table)
            rebuilt = _rows(connection, shadow.schema, table)
            async with aclosing(live), aclosing(rebuilt):
                async for key, live_row, rebuilt_row in _merge(live, rebuilt):
                    rows += rebuilt_row is not None
                    if live_row != rebuilt_row:
                        count += 1
                        if len(shown) < SHOWN:
                            shown.append(Difference(table, key, live_row, rebuilt_row))
        await connection.execute("RESET ROLE")
        return Compared(position, rows, count, shown)


@asynccontextmanager
async def _snapshot(database_url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """One state of the database for as long as the block lasts."""
    connection = await psycopg.AsyncConnection.connect(
        database_url, autocommit=True, application_name="media-verify"
    )
    async with connection:
        await connection.execute("SET transaction_timeout = 0")
        await connection.execute("SET idle_in_transaction_session_timeout = 0")
        await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(WORKER_ROLE)))
        yield connection
        await connection.execute("ROLLBACK")


async def _rows(
    connection: psycopg.AsyncConnection, schema: str, table: str
) -> AsyncGenerator[tuple[str, str], None]:
    """Key and row, both as text, in the order of the keys' bytes."""
    found = await connection.execute(
        "SELECT attname FROM pg_index"
        " JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY (indkey)"
        " WHERE indisprimary AND indrelid = %s::regclass"
        " ORDER BY array_position(indkey::int2[], attnum)",
        (f'"{schema}"."{table}"',),
    )
    columns = sql.SQL(", ").join([sql.Identifier("t", name) for (name,) in await found.fetchall()])
    key = sql.SQL("(ROW({})::text)").format(columns)
    statement = sql.SQL('SELECT {}, t::text FROM {} AS t ORDER BY {} COLLATE "C"').format(
        key, sql.Identifier(schema, table), key
    )
    async with connection.cursor(f"verify_{schema}", withhold=connection.autocommit) as cursor:
        cursor.itersize = FETCH_ROWS
        await cursor.execute(statement)
        async for one, row in cursor:
            yield one, row


async def _merge(
    live: AsyncIterator[tuple[str, str]], rebuilt: AsyncIterator[tuple[str, str]]
) -> AsyncIterator[tuple[str, str | None, str | None]]:
    """Each key once, with the rows of both sides. Text of Python sorts as its UTF-8 bytes do."""
    left, right = await anext(live, None), await anext(rebuilt, None)
    while left is not None or right is not None:
        key = min(side[0] for side in (left, right) if side is not None)
        live_row = rebuilt_row = None
        if left is not None and left[0] == key:
            live_row, left = left[1], await anext(live, None)
        if right is not None and right[0] == key:
            rebuilt_row, right = right[1], await anext(rebuilt, None)
        yield key, live_row, rebuilt_row

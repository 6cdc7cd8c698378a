"""Build a read model anew beside the live one, then switch. Called by `./dev rebuild NAME`.

The model's own DDL runs in a schema `rebuild_<name>`, the log is replayed into it, and one short
transaction puts the new tables in the place of the old ones. Readers wait at most LOCK_TIMEOUT.
No step is one long writing transaction: it would hold every follower back (ADR 2).
"""

import asyncio
from collections.abc import Callable

import psycopg
from psycopg import errors, sql

from projections.projection import EventReader, Follower, Projection, checkpoint_of

WORKER_ROLE = "media_worker"
LOCK_TIMEOUT = "100ms"
"""How long readers may queue behind a switch that waits for the tables."""
SWITCH_ATTEMPTS = 100
REPLAY_BATCH = 5000

Progress = Callable[[int, int], None]
"""Told the position reached and the position to reach."""


class RebuildRefused(Exception):
    """The rebuild was not begun or not switched; the live model is as it was."""


async def rebuild(
    projection: Projection,
    reader: EventReader,
    *,
    database_url: str,
    ddl: str,
    progress: Progress = lambda _reached, _goal: None,
) -> int:
    """Rebuild and switch; the position the new model has reached.

    `ddl` is the text of the model's migration. Connects as the role that runs migrations. What an
    earlier, broken rebuild left is thrown away.
    Raises RebuildRefused when another one is running or the tables cannot be had.
    """
    schema = f"rebuild_{projection.name}"
    follower = Follower(
        projection, reader, checkpoint=schema, batch=REPLAY_BATCH, types=projection.event_types
    )
    connection = await psycopg.AsyncConnection.connect(
        database_url, autocommit=True, application_name="media-rebuild"
    )
    async with connection:
        await _take_lock(connection, schema)
        await _make_tables(connection, schema, ddl)
        try:
            indexes = await _drop_indexes(connection, schema)
            await _replay(follower, reader, connection, progress)
            for definition in indexes:
                # Unlike the plain form it has no transaction id while it builds.
                concurrently = definition.replace(" INDEX ", " INDEX CONCURRENTLY ", 1)
                await connection.execute(concurrently.encode())
            return await _switch(follower, connection, schema)
        finally:
            await follower.close()
            await _drop(connection, schema)


async def _take_lock(connection: psycopg.AsyncConnection, schema: str) -> None:
    cursor = await connection.execute(
        "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (schema,)
    )
    row = await cursor.fetchone()
    if row is None or not row[0]:
        raise RebuildRefused("This read model is being rebuilt already.")


async def _make_tables(connection: psycopg.AsyncConnection, schema: str, ddl: str) -> None:
    name = sql.Identifier(schema)
    await _drop(connection, schema)
    async with connection.transaction():
        await connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        await connection.execute(
            sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(name, sql.Identifier(WORKER_ROLE))
        )
        await _look_into(connection, schema, local=True)
        await connection.execute(ddl.encode())
    # From here on, unqualified names mean the new tables.
    await _look_into(connection, schema, local=False)


async def _drop_indexes(connection: psycopg.AsyncConnection, schema: str) -> list[str]:
    """Drop what is quicker made of all rows at once than row by row; the definitions."""
    cursor = await connection.execute(
        "SELECT indexrelid::regclass::text, pg_get_indexdef(indexrelid) FROM pg_index"
        " JOIN pg_class ON pg_class.oid = indexrelid"
        " WHERE relnamespace = %s::regnamespace AND NOT indisunique ORDER BY 1",
        (schema,),
    )
    indexes = await cursor.fetchall()
    for name, _ in indexes:
        await connection.execute(f"DROP INDEX {name}".encode())
    return [definition for _, definition in indexes]


async def _look_into(connection: psycopg.AsyncConnection, schema: str, *, local: bool) -> None:
    await connection.execute(
        "SELECT set_config('search_path', %s, %s)", (f'"{schema}", public', local)
    )


async def _replay(
    follower: Follower,
    reader: EventReader,
    connection: psycopg.AsyncConnection,
    progress: Progress,
) -> None:
    # The tables answer to the follower's role only, even to their owner.
    await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(WORKER_ROLE)))
    await follower.start(connection)
    goal = await reader.horizon()
    progress(follower.position, goal)
    while await follower.step(connection):
        progress(follower.position, max(goal, follower.position))
    _refuse_unknown(follower)
    await connection.execute("RESET ROLE")


async def _follow(follower: Follower, connection: psycopg.AsyncConnection) -> None:
    """Apply what came since, in short transactions, so that the switch finds little left."""
    await connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(WORKER_ROLE)))
    while await follower.step(connection):
        pass
    _refuse_unknown(follower)
    await connection.execute("RESET ROLE")


def _refuse_unknown(follower: Follower) -> None:
    if follower.waits_for is not None:
        raise RebuildRefused(
            f"The log holds {follower.waits_for}, which this version does not know:"
            " rebuild with the version that wrote it."
        )


async def _switch(follower: Follower, connection: psycopg.AsyncConnection, schema: str) -> int:
    tables = await _tables(connection, schema)
    for table in tables:
        # A new table has no statistics, and its first readers would get the plans of an empty one.
        await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(schema, table)))
    for attempt in range(SWITCH_ATTEMPTS):
        await _follow(follower, connection)
        try:
            async with connection.transaction():
                await connection.execute(
                    "SELECT set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,)
                )
                await _catch_up(follower, connection)
                for table in tables:
                    await _replace(connection, schema, table)
                await connection.execute(
                    "UPDATE checkpoints SET position = %s, at = now() WHERE follower = %s",
                    (follower.position, follower.projection.name),
                )
        except errors.LockNotAvailable:
            # Undone with the transaction, the last events included.
            follower.position = await checkpoint_of(connection, follower.checkpoint)
            await asyncio.sleep(min(0.02 * 2**attempt, 1))
        else:
            return follower.position
    raise RebuildRefused("The tables are in use without a pause; try again later.")


async def _catch_up(follower: Follower, connection: psycopg.AsyncConnection) -> None:
    """Hold the live follower still and apply what it has applied since."""
    live = follower.projection.name
    await connection.execute(
        "INSERT INTO checkpoints (follower) VALUES (%s) ON CONFLICT DO NOTHING", (live,)
    )
    await connection.execute("SELECT FROM checkpoints WHERE follower = %s FOR UPDATE", (live,))
    await connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(WORKER_ROLE)))
    while await follower.step(connection):
        pass
    _refuse_unknown(follower)
    await connection.execute("RESET ROLE")


async def _tables(connection: psycopg.AsyncConnection, schema: str) -> list[str]:
    cursor = await connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", (schema,)
    )
    return [name for (name,) in await cursor.fetchall()]


async def _replace(connection: psycopg.AsyncConnection, schema: str, table: str) -> None:
    live, new = sql.Identifier("public", table), sql.Identifier(schema, table)
    await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(live))
    await connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA public").format(new))


async def _drop(connection: psycopg.AsyncConnection, schema: str) -> None:
    await connection.execute("RESET ROLE")
    await connection.execute(
        sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema))
    )
    await connection.execute("DELETE FROM checkpoints WHERE follower = %s", (schema,))

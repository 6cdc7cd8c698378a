"""Build a read model anew beside the live one, then switch. Called by `./dev rebuild NAME`.

The log is replayed into a `Shadow`, and one short transaction puts the new tables in the place of
the old ones. Readers wait at most LOCK_TIMEOUT.
"""

import asyncio

import psycopg
from psycopg import errors, sql

from projections.projection import EventReader, Projection, checkpoint_of
from projections.shadow import Progress, RebuildRefused, Shadow

LOCK_TIMEOUT = "100ms"
"""How long readers may queue behind a switch that waits for the tables."""
SWITCH_ATTEMPTS = 100


async def rebuild(
    projection: Projection,
    reader: EventReader,
    *,
    database_url: str,
    ddl: str,
    progress: Progress = lambda _reached, _goal: None,
) -> int:
    """Rebuild and switch; the position the new model has reached.

    `ddl` is the text of the model's migration. Connects as the role that runs migrations. One that
    was stopped or killed is taken up where it stood.
    Raises RebuildRefused when another one is running or the tables cannot be had.
    """
    connection = await psycopg.AsyncConnection.connect(
        database_url, autocommit=True, application_name="media-rebuild"
    )
    async with connection:
        shadow = Shadow(
            projection, reader, connection, schema=f"rebuild_{projection.name}", ddl=ddl
        )
        try:
            await shadow.prepare()
            try:
                await shadow.replay(progress)
                await shadow.make_indexes()
                return await _switch(shadow, connection)
            except RebuildRefused:
                await shadow.drop()
                raise
        finally:
            await shadow.follower.close()


async def _switch(shadow: Shadow, connection: psycopg.AsyncConnection) -> int:
    follower, tables = shadow.follower, await shadow.tables()
    for table in tables:
        # A new table has no statistics, and its first readers would get the plans of an empty one.
        await connection.execute(sql.SQL("ANALYZE {}").format(sql.Identifier(shadow.schema, table)))
    for attempt in range(SWITCH_ATTEMPTS):
        # So that the switch finds little left.
        await shadow.follow()
        try:
            async with connection.transaction():
                await connection.execute(
                    "SELECT set_config('lock_timeout', %s, true)", (LOCK_TIMEOUT,)
                )
                await _catch_up(shadow, connection)
                for table in tables:
                    await _replace(connection, shadow.schema, table)
                await connection.execute(
                    "UPDATE checkpoints SET position = %s, at = now() WHERE follower = %s",
                    (follower.position, follower.projection.name),
                )
                # With the switch: who took up an emptied schema would write into the live tables.
                await shadow.drop()
        except errors.LockNotAvailable:
            # Undone with the transaction, the last events included.
            follower.position = await checkpoint_of(connection, follower.checkpoint)
            await asyncio.sleep(min(0.02 * 2**attempt, 1))
        else:
            return follower.position
    raise RebuildRefused("The tables are in use without a pause; try again later.")


async def _catch_up(shadow: Shadow, connection: psycopg.AsyncConnection) -> None:
    """Hold the live follower still and apply what it has applied since."""
    live = shadow.follower.projection.name
    await connection.execute(
        "INSERT INTO checkpoints (follower) VALUES (%s) ON CONFLICT DO NOTHING", (live,)
    )
    await connection.execute("SELECT FROM checkpoints WHERE follower = %s FOR UPDATE", (live,))
    await shadow.become_worker(local=True)
    while await shadow.follower.step(connection):
        pass
    shadow.refuse_unknown()
    await connection.execute("RESET ROLE")


async def _replace(connection: psycopg.AsyncConnection, schema: str, table: str) -> None:
    live, new = sql.Identifier("public", table), sql.Identifier(schema, table)
    await connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(live))
    await connection.execute(sql.SQL("ALTER TABLE {} SET SCHEMA public").format(new))

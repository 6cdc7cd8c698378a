"""Loading a dump into a fresh cluster, so that positions go on from where they stood.

Called by the operator's `./dev restore`; the drill is in docs/operations.md.
"""

import asyncio
from pathlib import Path

import psycopg

from adapters.postgres import database_errors
from adapters.postgres_migrations import MIGRATIONS

ROLES = MIGRATIONS / "0000_roles.sql"


class RestoreError(Exception):
    """The dump was not loaded; the message says why, and nothing of it stays."""


async def restore(url: str, dump: Path, *, psql: str = "psql") -> int:
    """Load a plain `pg_dump` into an empty database; the position every new event is above.

    `url` names the owner of all tables to be. Raises RestoreError or DatabaseUnavailable.
    """
    with database_errors():
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            cursor = await connection.execute("SELECT to_regclass('events')")
            if await cursor.fetchone() != (None,):
                raise RestoreError("The database holds an event log already; take an empty one.")
            await connection.execute(ROLES.read_bytes())
    await _load(url, dump, psql)
    with database_errors():
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("SELECT raise_log_epoch()")
            cursor = await connection.execute("SELECT coalesce(max(position), 0) FROM events")
            row = await cursor.fetchone()
    return int(row[0]) if row else 0


async def _load(url: str, dump: Path, psql: str) -> None:
    options = ("--no-psqlrc", "--quiet", "--single-transaction", "--set=ON_ERROR_STOP=1")
    process = await asyncio.create_subprocess_exec(
        psql,
        *options,
        f"--dbname={url}",
        f"--file={dump}",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, complaint = await process.communicate()
    if process.returncode != 0:
        raise RestoreError(f"{dump.name} was not loaded: {complaint.decode(errors='replace')}")

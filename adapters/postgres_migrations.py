"""Forward-only migrations: numbered .sql files, one transaction each, under an advisory lock.

Run by `workers/migrate.py` before a new version starts, and by the tests.
"""

import asyncio
import hashlib
import time
from pathlib import Path

import psycopg
from psycopg import errors

from adapters.postgres_connection import LIVENESS
from domain.errors import DatabaseUnavailable

MIGRATIONS = Path(__file__).parent / "migrations"

# "media" in ASCII: two migrations of one database wait for each other, whoever starts them.
ADVISORY_LOCK = 0x6D65646961

LOCK_SECONDS = 1
"""How long one attempt holds up, at most, the traffic behind a lock that it waits for."""
LOCK_PATIENCE_SECONDS = 120.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0

JOURNAL = """
CREATE TABLE IF NOT EXISTS schema_migrations (
  name text PRIMARY KEY,
  checksum text NOT NULL,
  at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationError(Exception):
    """A migration cannot be applied; the message says which and why. The files before it stay."""


async def migrate(url: str, directory: Path = MIGRATIONS) -> list[str]:
    """Apply what the database has not seen yet; the names of the files that were applied.

    Raises MigrationError or DatabaseUnavailable. A file that fails changes nothing.
    """
    files = migration_files(directory)
    try:
        connection = await psycopg.AsyncConnection.connect(
            url, autocommit=True, application_name="media-migrate", **LIVENESS
        )
    except psycopg.OperationalError as error:
        raise DatabaseUnavailable("The database does not answer.") from error
    async with connection:
        # Held by the session, not a transaction: an open one would hold followers back.
        await connection.execute("SELECT pg_advisory_lock(%s)", (ADVISORY_LOCK,))
        await connection.execute(JOURNAL)
        cursor = await connection.execute("SELECT name, checksum FROM schema_migrations")
        applied: dict[str, str] = dict(await cursor.fetchall())
        _refuse_changed_files(files, applied)
        done = []
        for path in files:
            if path.name not in applied:
                await _apply(connection, path.name, path.read_bytes())
                done.append(path.name)
        return done


def migration_files(directory: Path = MIGRATIONS) -> list[Path]:
    """The migration files in their order. Raises MigrationError for a name that has no place in it.

    A read model's file is also run alone, by a rebuild.
    """
    files = sorted(directory.glob("*.sql"))
    numbers = [path.name.split("_", 1)[0] for path in files]
    for path, number in zip(files, numbers, strict=True):
        if len(number) != 4 or not number.isdecimal():  # noqa: PLR2004 - as in 0001_event_log.sql
            raise MigrationError(f"{path.name} must begin with four digits and an underscore.")
        if numbers.count(number) > 1:
            raise MigrationError(f"Two migrations are numbered {number}.")
    return files


def _refuse_changed_files(files: list[Path], applied: dict[str, str]) -> None:
    for path in files:
        if path.name in applied and applied[path.name] != _checksum(path.read_bytes()):
            raise MigrationError(
                f"{path.name} was changed after it was applied to this database; "
                "restore it and put the change into a new file."
            )


async def _apply(connection: psycopg.AsyncConnection, name: str, script: bytes) -> None:
    """Apply one file. All who come after a lock that is waited for wait behind it: hence pauses."""
    give_up_at = time.monotonic() + LOCK_PATIENCE_SECONDS
    pause = FIRST_PAUSE_SECONDS
    while True:
        try:
            return await _apply_once(connection, name, script)
        except (errors.LockNotAvailable, errors.DeadlockDetected) as error:
            if time.monotonic() >= give_up_at:
                raise MigrationError(
                    f"{name} changed nothing: a long transaction keeps it from a lock. {error}"
                ) from error
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


async def _apply_once(connection: psycopg.AsyncConnection, name: str, script: bytes) -> None:
    try:
        async with connection.transaction():
            await connection.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'".encode())
            # Without parameters psycopg sends the whole file as one simple query.
            await connection.execute(script)
            await connection.execute(
                "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)",
                (name, _checksum(script)),
            )
    except (errors.LockNotAvailable, errors.DeadlockDetected):
        raise
    except psycopg.Error as error:
        raise MigrationError(f"{name} failed and changed nothing: {error}") from error


def _checksum(script: bytes) -> str:
    return hashlib.sha256(script).hexdigest()

"""How queries reach a read model: one statement for the owner, the checkpoint and the rows."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

import msgspec
import psycopg

from domain.errors import DatabaseUnavailable

T = TypeVar("T")


class Pool(Protocol):
    """What a query needs of `adapters/postgres_connection.py`."""

    async def fetch(self, sql: str, parameters: Mapping[str, object]) -> Sequence[tuple[Any, ...]]:
        """The rows of one autocommit statement, by the shortest way. Raises psycopg.Error."""
        ...

    def connection(self) -> AbstractAsyncContextManager[psycopg.AsyncConnection]:
        """A connection for as long as the block runs."""
        ...

    async def check(self) -> None:
        """Replace the connections that died."""
        ...


class Answer(msgspec.Struct, Generic[T], frozen=True):
    """What a query found, and the position its read model stood at in the same snapshot."""

    found: T
    position: int


@asynccontextmanager
async def connection(pool: Pool) -> AsyncIterator[psycopg.AsyncConnection]:
    """A connection of the pool. Raises DatabaseUnavailable for whatever goes wrong on it."""
    with database_errors():
        async with pool.connection() as one:
            yield one


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn every psycopg error, a pool's timeout included, into DatabaseUnavailable."""
    try:
        yield
    except psycopg.Error as error:
        why = error.sqlstate or type(error).__name__
        raise DatabaseUnavailable("The database does not answer.", reason=why) from error


def owned(follower: str, select: str) -> str:
    """The SELECT with `app.owner` set from `%(owner)s` and the checkpoint, in one statement.

    Its first column is the checkpoint. The SELECT compares with `c.owner`, which makes Postgres set
    the owner before the policies read it; without a row the others are null.
    """
    if "c.owner" not in select:
        raise ValueError("an owner-scoped SELECT must compare with c.owner")
    return (
        "SELECT c.position, q.* FROM (SELECT set_config('app.owner', %(owner)s, true) AS owner,"  # noqa: S608 - text of ours
        f" coalesce((SELECT position FROM checkpoints WHERE follower = '{follower}'), 0)"
        f" AS position OFFSET 0) AS c LEFT JOIN LATERAL ({select}) AS q ON true"
    )


async def fetch_owned(
    pool: Pool, sql: str, parameters: Mapping[str, object]
) -> Answer[Sequence[tuple[Any, ...]]]:
    """The rows of an `owned` statement, without the checkpoint. Raises DatabaseUnavailable."""
    with database_errors():
        rows = await pool.fetch(sql, parameters)
    position = rows[0][0]
    return Answer([row[1:] for row in rows if row[1] is not None], position)


_encode_time = msgspec.json.Encoder().encode
_WITH_MICROSECONDS = len('"2026-04-29T10:00:00.123000Z"')


def rfc3339(at: datetime) -> str:
    """The time in UTC with milliseconds, as api.md wants it."""
    # A page formats 100 of them: isoformat with a timespec takes 2 µs each, this a fifth of it.
    text = _encode_time(at).decode()
    if text[-2] != "Z":
        text = _encode_time(at.astimezone(UTC)).decode()
    return f"{text[1:24] if len(text) == _WITH_MICROSECONDS else text[1:20] + '.000'}Z"


def rfc3339_of_text(at: str) -> str:
    """The same for what PostgreSQL writes of a timestamptz: `2026-04-29 10:00:00.12+00`.

    Our connections are in UTC and in ISO style (`adapters/postgres.py`, startup_options).
    """
    milliseconds = f"{at[19:-3] or '.'}000"[:4]
    return f"{at[:10]}T{at[11:19]}{milliseconds}Z"

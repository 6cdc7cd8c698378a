"""Our single statements on the short way to PostgreSQL: prepared once a connection, no cursor.

A psycopg cursor spends some 150 µs of Python on each statement, its protocol layer in C a tenth of
that (docs/adr/0024). Used by `LivePool.fetch`, for autocommit statements of ours outside pipelines
and transactions; everything else goes the ordinary way.
"""

import asyncio
import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Protocol, TypeVar

import psycopg
from psycopg import errors, generators, pq
from psycopg.abc import PQGen, Transformer
from psycopg.waiting import Ready, Wait

T = TypeVar("T")

MOST_PREPARED = 100
"""Statements kept on one connection, as psycopg itself does."""
ATTEMPTS = 2
_FAILED = frozenset({pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.BAD_RESPONSE})
_PLACEHOLDER = re.compile(r"%(?:\((?P<name>\w+)\)s|(?P<other>.))")
_QUOTED = str.maketrans({"\\": r"\\", '"': r"\""})
_numbers = itertools.count(1)

Rows = list[tuple[Any, ...]]


class Connection(Protocol):
    """A connection that remembers what was prepared on it."""

    prepared: dict[bytes, None]
    silence_seconds: float

    @property
    def pgconn(self) -> pq.abc.PGconn:
        """The protocol's own."""
        ...

    @property
    def transformer(self) -> Transformer:
        """Loads results."""
        ...


class Statement:
    """One text, with `%(name)s` where psycopg would have it."""

    def __init__(self, sql: str) -> None:
        self.names: list[str] = []
        self.name = f"media_{next(_numbers)}".encode()
        self.sql = _PLACEHOLDER.sub(self._numbered, sql).encode()

    def _numbered(self, found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            if found["other"] != "%":
                raise ValueError(f"a placeholder needs a name: {found[0]}")
            return "%"
        if name not in self.names:
            self.names.append(name)
        return f"${self.names.index(name) + 1}"


statement_of = cache(Statement)
"""Texts are ours and few: constants, and those that the queries keep by sort and size."""


async def fetch(connection: Connection, sql: str, parameters: Mapping[str, object]) -> Rows:
    """The rows, loaded as psycopg does from its binary format. Raises psycopg.Error."""
    statement = statement_of(sql)
    values = [_text(parameters[name]) for name in statement.names]
    pgconn = connection.pgconn
    for attempt in range(ATTEMPTS):
        if statement.name not in connection.prepared:
            await _prepare(connection, statement)
        pgconn.send_query_prepared(statement.name, values, result_format=pq.Format.BINARY)
        result = await _result(connection)
        if result.status not in _FAILED:
            transformer = connection.transformer
            transformer.set_pgresult(result)
            return transformer.load_rows(0, result.ntuples, tuple)
        error = errors.error_from_result(result)
        # psycopg forgets them all after a ROLLBACK: nothing was carried out yet.
        if not isinstance(error, errors.InvalidSqlStatementName) or attempt:
            raise error
        connection.prepared.clear()
    raise AssertionError("unreachable")


async def _prepare(connection: Connection, statement: Statement) -> None:
    if len(connection.prepared) >= MOST_PREPARED:
        oldest = next(iter(connection.prepared))
        connection.pgconn.send_query(b"DEALLOCATE " + oldest)
        await _result(connection)
        del connection.prepared[oldest]
    connection.pgconn.send_prepare(statement.name, statement.sql)
    result = await _result(connection)
    if result.status in _FAILED:
        error = errors.error_from_result(result)
        if not isinstance(error, errors.DuplicatePreparedStatement):
            raise error
    connection.prepared[statement.name] = None


async def _result(connection: Connection) -> pq.abc.PGresult:
    """The one result of what was sent. Raises OperationalError when the connection broke."""
    results: Sequence[pq.abc.PGresult] = await _wait(
        generators.execute(connection.pgconn), connection
    )
    return results[-1]


async def _wait(gen: PQGen[T], connection: Connection) -> T:
    """Drive the protocol; a connection on which somebody stops waiting is of no more use."""
    pgconn = connection.pgconn
    try:
        wanted = next(gen)
        loop = asyncio.get_running_loop()
        descriptor = pgconn.socket
        deadline = loop.time() + connection.silence_seconds
        while True:
            waiter: asyncio.Future[Ready] = loop.create_future()
            timer = loop.call_at(deadline, _wake, waiter, Ready.NONE)
            loop.add_reader(descriptor, _wake, waiter, Ready.R)
            if wanted & Wait.W:
                loop.add_writer(descriptor, _wake, waiter, Ready.W)
            try:
                ready = await waiter
            finally:
                timer.cancel()
                loop.remove_reader(descriptor)
                if wanted & Wait.W:
                    loop.remove_writer(descriptor)
            wanted = gen.send(ready) if ready else gen.throw(_silence())
    except StopIteration as done:
        found: T = done.value
        return found
    except BaseException:
        pgconn.finish()
        raise


def _silence() -> psycopg.OperationalError:
    return psycopg.OperationalError("the server has been silent for too long")


def _wake(waiter: "asyncio.Future[Ready]", ready: Ready) -> None:
    if not waiter.done():
        waiter.set_result(ready)


def _text(value: object) -> bytes | None:
    """The value as PostgreSQL reads it, whose types the statement's own text says."""
    if value is None:
        return None
    text = _plain(value)
    if "\0" in text:  # libpq would cut it off there
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return text.encode()


def _plain(value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "t" if value else "f"
        case int():
            return str(value)
        case float():
            return repr(value)
        case datetime():
            return value.isoformat()
        case timedelta():
            return f"{value / timedelta(microseconds=1):.0f} microseconds"
        case list() | tuple():
            return f"{{{','.join(map(_element, value))}}}"
    raise TypeError(f"no parameter of a statement: {type(value).__name__}")


def _element(value: object) -> str:
    return "NULL" if value is None else f'"{_plain(value).translate(_QUOTED)}"'

"""Connections that notice when the server is gone, and a pool that gives out none that is dead.

Used by `adapters/postgres.py` and `adapters/postgres_leader.py`.
"""

import select
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any, TypeVar

import psycopg
from psycopg import adapt
from psycopg.abc import PQGen, Transformer
from psycopg_pool import AsyncConnectionPool

from adapters.prepared_statements import Rows, fetch

T = TypeVar("T")

LIVENESS: Mapping[str, Any] = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Connection parameters (seconds, the last in milliseconds): a server whose packets vanish is
given up after about 11 s, where the system's own defaults take two hours."""
SILENCE_GRACE_SECONDS = 2.0
"""How much longer than the server's own limit we wait for its word."""
RECONNECT_SECONDS = 2.0
"""How long the pool repeats an attempt by itself, ever more slowly. Short, since the next request
begins a new one: so the first after an outage does not wait for the end of a long pause."""


class BoundedConnection(psycopg.AsyncConnection):
    """Waits for no answer longer than `silence_seconds`; then it closes and is of no more use.

    The server's own limits, and the kernel's, do not help against a proxy that keeps the connection
    open and passes nothing on.
    """

    silence_seconds: float = 60.0

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self.prepared: dict[bytes, None] = {}
        """Names of the statements of `prepared_statements.py` that this connection knows."""

    @cached_property
    def transformer(self) -> Transformer:
        """Loads results; it keeps what it learnt of their types."""
        return adapt.Transformer(self)

    async def wait(self, gen: PQGen[T], interval: float = 0.1, timeout: float | None = None) -> T:  # noqa: ASYNC109 - theirs
        """As in psycopg. Raises OperationalError after the silence."""
        if timeout is not None:
            return await super().wait(gen, interval, timeout)
        deadline = time.monotonic() + self.silence_seconds
        try:
            return await super().wait(gen, interval, self.silence_seconds)
        except psycopg.OperationalError:
            if time.monotonic() >= deadline - 0.1:
                self.pgconn.finish()
            raise


class LivePool(AsyncConnectionPool[BoundedConnection]):
    """A pool that looks at a connection before it gives it out, without asking the server."""

    async def fetch(self, sql: str, parameters: Mapping[str, object]) -> Rows:
        """The rows of one autocommit statement, by the shortest way. Raises psycopg.Error."""
        one = await self.getconn()
        try:
            return await fetch(one, sql, parameters)
        finally:
            await self.putconn(one)

    async def getconn(self, timeout: float | None = None) -> BoundedConnection:  # noqa: ASYNC109 - theirs
        """A connection that the server has not ended. Raises PoolTimeout."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            one = await super().getconn(deadline - time.monotonic())
            if not _has_word_of_its_end(one):
                return one
            await one.close()
            await self.putconn(one)  # which puts a new one in its place


def _has_word_of_its_end(connection: psycopg.AsyncConnection) -> bool:
    """Whether something arrived while nobody had asked: the server's farewell, or the end."""
    waiting = select.poll()
    waiting.register(connection.pgconn.socket, select.POLLIN)
    return bool(waiting.poll(0))


def bounded(silence_seconds: float) -> Any:
    """A `configure` for a pool of BoundedConnection."""

    async def configure(connection: BoundedConnection) -> None:
        connection.silence_seconds = silence_seconds

    return configure

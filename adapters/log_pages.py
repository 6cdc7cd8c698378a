"""Pages of the log by type and owner, and waiting for more. Used by `GET /internal/events`."""

import asyncio
from collections.abc import Collection, Sequence

import msgspec

from adapters.event_mapper import COLUMNS, EVENT_TYPES, recorded_from_row
from adapters.event_reader import SPAN, PostgresEventReader
from adapters.postgres import Pool, connection
from adapters.redis_hints import PositionHints
from domain.errors import DatabaseUnavailable
from domain.event import Event, Recorded

SCANNED = 10_000
"""Events of the log one page looks at, whatever it finds."""
RETRY_SECONDS = 1.0

# Only the wanted events are fetched.
PAGE = f"""{SPAN}
SELECT wanted.*, span.reached, span.events FROM span LEFT JOIN LATERAL (
  SELECT {COLUMNS} FROM events
  WHERE position > %(after)s AND position <= span.reached AND type = ANY (%(types)s)
    AND (%(owner)s::text IS NULL OR owner = %(owner)s)
  ORDER BY position LIMIT %(limit)s
) AS wanted ON true
ORDER BY wanted.position
"""  # noqa: S608 - text of ours


class LogPage(msgspec.Struct, frozen=True):
    """Events that match, oldest first."""

    events: Sequence[Recorded]
    reached: int
    """Where the next page begins; nothing can appear behind it any more."""
    more: bool
    """Whether the log goes on from there already."""


async def log_page(
    pool: Pool, *, after: int, limit: int, types: Collection[type[Event]], owner: str | None
) -> LogPage:
    """The next events of the types, of one owner if named. For the role media_worker."""
    parameters = {
        "after": after,
        "limit": limit,
        "scanned": SCANNED,
        "types": EVENT_TYPES.stored_as(types),
        "owner": owner,
    }
    async with connection(pool) as one:
        cursor = one.cursor(binary=True)
        await cursor.execute(PAGE, parameters)
        rows = await cursor.fetchall()
    *_, reached, scanned = rows[0]
    events = [recorded_from_row(row) for row in rows if row[0] is not None]
    if len(events) == limit:
        last = events[-1].position
        return LogPage(events, last, last < reached or scanned == SCANNED)
    return LogPage(events, reached or after, scanned == SCANNED)


class LogWatch:
    """Tells any number of waiters that the log has grown, with one look at it for all."""

    def __init__(self, pool: Pool, hints: PositionHints, draining: asyncio.Event) -> None:
        self._reader = PostgresEventReader(pool)
        self._hints = hints
        self._draining = draining
        self._head = 0
        self._waiting = 0
        self._grown = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    async def beyond(self, position: int, *, seconds: float) -> bool:
        """Wait until the settled log has more than this; False when it did not in time."""
        self._waiting += 1
        if self._watching is None or self._watching.done():
            self._watching = asyncio.create_task(self._watch())
        try:
            async with asyncio.timeout(seconds):
                while self._head <= position and not self._draining.is_set():
                    await self._grown.wait()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
        return self._head > position

    async def _watch(self) -> None:
        while self._waiting:
            try:
                head = await self._reader.head()
            except DatabaseUnavailable:
                # Whoever waits finds out by itself when its time is over.
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if head > self._head or self._draining.is_set():
                self._head = max(head, self._head)
                grown, self._grown = self._grown, asyncio.Event()
                grown.set()
            await self._hints.wait(self._head)

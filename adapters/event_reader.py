"""Reading the log in its one order, for followers: projections and the reactor."""

import asyncio
from collections.abc import Collection, Sequence

from adapters.event_mapper import COLUMNS, EVENT_TYPES, recorded_from_row
from adapters.postgres import Pool, connection
from domain.event import Event, Recorded

POLL_SECONDS = 0.05
"""The truth; a hint only makes it faster."""

# Below the horizon every transaction has ended: what is not seen there will never be. It cuts what
# was read and does not bound the reading: of a range PostgreSQL without fresh statistics expects
# few rows, and sorts the whole rest of the log for every batch. The last condition is asked once:
# while a long transaction holds the horizon, nothing is read.
READ = f"""
SELECT * FROM (
  SELECT {COLUMNS} FROM events WHERE position > %(after)s ORDER BY position LIMIT %(limit)s
) AS next
WHERE position < (SELECT log_horizon()) AND (SELECT log_horizon()) >
  (SELECT position FROM events WHERE position > %(after)s ORDER BY position LIMIT 1)
ORDER BY position
"""  # noqa: S608 - text of ours

# Found in the index alone.
SPAN = """
WITH span AS MATERIALIZED (
  SELECT max(position) AS reached, count(*) AS events FROM (
    SELECT position FROM events WHERE position > %(after)s ORDER BY position LIMIT %(scanned)s
  ) AS next WHERE position < (SELECT log_horizon())
)
"""

# Only the wanted events are fetched and decoded, and what this version does not know, since nobody
# can say whether that is wanted.
READ_ONLY = f"""{SPAN}
SELECT {COLUMNS}, span.reached, span.events FROM span LEFT JOIN events
  ON events.position > %(after)s AND events.position <= span.reached
  AND (events.type = ANY (%(types)s) OR events.type <> ALL (%(known)s))
ORDER BY position
"""  # noqa: S608 - text of ours


class PostgresEventReader:
    """`projections.projection.EventReader`, for a pool of the role media_worker."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        """At most `limit` events after the position, oldest first; never one that has a gap."""
        async with connection(self._pool) as one:
            cursor = one.cursor(binary=True)
            await cursor.execute(READ, {"after": after, "limit": limit}, prepare=True)
            return [recorded_from_row(row) for row in await cursor.fetchall()]

    async def read_only(
        self, after: int, limit: int, types: Collection[type[Event]]
    ) -> tuple[Sequence[Recorded], int, int]:
        """Of the next `limit` events those of the types; where all of them end; how many.

        Unknown ones are among those of the types.
        """
        parameters = {
            "after": after,
            "scanned": limit,
            "types": EVENT_TYPES.stored_as(types),
            "known": EVENT_TYPES.names(),
        }
        async with connection(self._pool) as one:
            cursor = one.cursor(binary=True)
            await cursor.execute(READ_ONLY, parameters, prepare=True)
            rows = await cursor.fetchall()
        *_, reached, events = rows[0]
        wanted = [recorded_from_row(row) for row in rows if row[0] is not None]
        return wanted, reached or after, events

    async def horizon(self) -> int:
        """No event can still appear below this position."""
        async with connection(self._pool) as one:
            row = await (await one.execute("SELECT log_horizon()")).fetchone()
        return int(row[0]) if row else 0

    async def head(self) -> int:
        """The position of the newest event that `read` would give; 0 in an empty log."""
        async with connection(self._pool) as one:
            cursor = await one.execute(
                "SELECT coalesce(max(position), 0) FROM events "
                "WHERE position < (SELECT log_horizon())"
            )
            row = await cursor.fetchone()
        return int(row[0]) if row else 0


async def wait_for_more(
    hint: asyncio.Event | None = None, *, seconds: float = POLL_SECONDS
) -> None:
    """Return when the hint is set, which this clears, and after `seconds` at the latest."""
    if hint is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await hint.wait()
    except TimeoutError:
        return
    hint.clear()

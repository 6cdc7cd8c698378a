"""Where the log stood at a time, found without an index on times. Used by the publisher."""

from datetime import datetime

from adapters.postgres import Pool, connection

_HEAD = "SELECT coalesce(max(position), 0) FROM events WHERE position < (SELECT log_horizon())"
_NEXT = "SELECT position, at FROM events WHERE position > %s ORDER BY position LIMIT 1"


async def position_at(pool: Pool, at: datetime) -> int:
    """The position of the last event before the time; 0 when there is none. For media_worker.

    Halves the log some fifty times, each a look into the primary key: times rise with positions,
    but for the seconds between a command's time and its append.
    """
    async with connection(pool) as one:
        row = await (await one.execute(_HEAD)).fetchone()
        low, high = 0, int(row[0]) if row else 0
        while low < high:
            middle = (low + high) // 2
            found = await (await one.execute(_NEXT, (middle,), prepare=True)).fetchone()
            if found is None or found[0] > high or found[1] >= at:
                high = middle
            else:
                low = int(found[0])
    return low

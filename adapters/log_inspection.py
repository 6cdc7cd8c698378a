"""The log and its followers as an operator asks for them: `./dev log` and `./dev projections`."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from adapters.event_mapper import COLUMNS, recorded_from_row
from adapters.postgres import Pool, connection
from domain.event import Recorded


class LogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which events; None lets all through."""

    owner: str | None = None
    stream: str | None = None
    type_part: str | None = None
    """Any part of the stored type."""
    since: datetime | None = None
    until: datetime | None = None
    upto: int | None = None
    """The last position that counts."""


_WHERE = """
WHERE (%(owner)s::text IS NULL OR owner = %(owner)s)
  AND (%(stream)s::text IS NULL OR stream = %(stream)s)
  AND (%(type_part)s::text IS NULL OR strpos(type, %(type_part)s) > 0)
  AND (%(since)s::timestamptz IS NULL OR at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR at < %(until)s)
  AND (%(upto)s::bigint IS NULL OR position <= %(upto)s::bigint)
"""
_NEWEST = (
    f"SELECT {COLUMNS} FROM events {_WHERE} AND position < (SELECT log_horizon())"  # noqa: S608
    " ORDER BY position DESC LIMIT %(limit)s"
)
# The horizon cuts what was read, as in `event_reader.READ`.
AFTER = (
    f"SELECT * FROM (SELECT {COLUMNS} FROM events {_WHERE} AND position > %(after)s"  # noqa: S608
    " ORDER BY position LIMIT %(limit)s) AS next"
    " WHERE position < (SELECT log_horizon()) ORDER BY position"
)

# Positions are sparse: how many events lie behind must be counted.
_FOLLOWERS = """
SELECT lag.follower, lag.reached, lag.behind_seconds,
  (SELECT count(*) FROM events WHERE position > lag.reached AND position < (SELECT log_horizon())),
  lag.next_type
FROM follower_lag() AS lag ORDER BY lag.follower
"""


async def newest_events(pool: Pool, wanted: LogFilter, *, limit: int) -> list[Recorded]:
    """The last events that match, oldest first. For the role media_worker."""
    parameters = msgspec.structs.asdict(wanted) | {"limit": limit}
    async with connection(pool) as one:
        rows = await (await one.execute(_NEWEST, parameters)).fetchall()
    return [recorded_from_row(row) for row in reversed(rows)]


async def events_after(
    pool: Pool, wanted: LogFilter, position: int, *, limit: int
) -> list[Recorded]:
    """The next events that match, oldest first. For the role media_worker."""
    parameters = msgspec.structs.asdict(wanted) | {"limit": limit, "after": position}
    async with connection(pool) as one:
        rows = await (await one.execute(AFTER, parameters)).fetchall()
    return [recorded_from_row(row) for row in rows]


class FollowerStatus(msgspec.Struct, frozen=True):
    """Where a follower stands."""

    follower: str
    position: int
    behind_seconds: float
    """Age of the oldest event it has not taken."""
    behind_events: int
    next_type: str | None
    """The stored type of the event it stands before; None when it has taken all."""


async def followers(pool: Pool) -> Sequence[FollowerStatus]:
    """Every follower that ever ran, by name. For the role media_worker."""
    async with connection(pool) as one:
        rows = await (await one.execute(_FOLLOWERS)).fetchall()
    return [FollowerStatus(*row) for row in rows]

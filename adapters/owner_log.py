"""The log as one owner may read it: under row-level security, for a pool of the role media_api.

Used by a file's history and by questions about the past (`api/time_travel.py`).
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from adapters.event_mapper import COLUMNS, EVENT_TYPES, recorded_from_row
from adapters.postgres import Pool, connection, owned
from domain.event import Event, Recorded

CHUNK = 2_000
"""Events one statement looks at: some 20 ms of our time, then others have theirs."""

_STREAMS = owned(
    f"SELECT {COLUMNS} FROM events WHERE owner = c.owner AND stream = ANY (%(streams)s::text[])"  # noqa: S608
    " AND position <= %(upto)s ORDER BY stream, version"
)

# The condition of events_owner_position (migration 0016), word for word: it needs it.
_IN_A_LIBRARY = """type NOT IN (
  'media_file.upload_requested.v1', 'media_file.verification_deferred.v1',
  'media_file.upload_rejected.v1', 'media_file.upload_expired.v1',
  'media_file.upload_cancelled.v1', 'media_file.objects_purged.v1',
  'media_file.purge_failed.v1', 'media_file.purge_retried.v1'
)"""
# The span is found in the index; then only what is wanted of it is fetched and decoded, and what
# this version does not know, since nobody can say whether that is wanted.
_LIBRARY = owned(
    f"""
    WITH span AS MATERIALIZED (
      SELECT max(position) AS reached, count(*) AS events FROM (
        SELECT position FROM events
        WHERE owner = c.owner AND position > %(after)s AND position <= %(upto)s
          AND {_IN_A_LIBRARY}
        ORDER BY position LIMIT %(limit)s
      ) AS next
    )
    SELECT {", ".join(f"e.{column}" for column in COLUMNS.split(", "))}, span.reached, span.events
    FROM span LEFT JOIN LATERAL (
      SELECT * FROM events
      WHERE owner = c.owner AND position > %(after)s AND position <= span.reached
        AND {_IN_A_LIBRARY}
        AND (type = ANY (%(types)s) OR type <> ALL (%(known)s))
    ) AS e ON true
    ORDER BY e.position
    """  # noqa: S608 - text of ours
)


async def streams_of(
    pool: Pool, owner: str, streams: Collection[str], *, upto: int
) -> Mapping[str, Sequence[Recorded]]:
    """The history of each of the owner's streams up to a position; [] for what is not theirs."""
    histories: dict[str, list[Recorded]] = {stream: [] for stream in streams}
    parameters = {"owner": owner, "streams": list(histories), "upto": upto}
    async with connection(pool) as one:
        rows = await (await one.execute(_STREAMS, parameters, binary=True)).fetchall()
    for row in rows:
        histories[row[0]].append(recorded_from_row(row))
    return histories


class LibraryEvents(msgspec.Struct, frozen=True):
    """Events of an owner that made a library what it was, oldest first."""

    events: Sequence[Recorded]
    """Those of the types asked for, and those nobody here knows."""
    reached: int
    """Where the next ones begin."""
    scanned: int
    """How many were looked at."""


async def library_events(
    pool: Pool,
    owner: str,
    types: Collection[type[Event]],
    *,
    after: int,
    upto: int,
    limit: int = CHUNK,
) -> LibraryEvents:
    """The next of them behind one position, up to another. Raises DatabaseUnavailable."""
    parameters = {
        "owner": owner,
        "after": after,
        "upto": upto,
        "limit": limit,
        "types": EVENT_TYPES.stored_as(types),
        "known": EVENT_TYPES.names(),
    }
    async with connection(pool) as one:
        cursor = await one.execute(_LIBRARY, parameters, binary=True, prepare=True)
        rows = await cursor.fetchall()
    *_, reached, scanned = rows[0]
    events = [recorded_from_row(row) for row in rows if row[0] is not None]
    return LibraryEvents(events, reached or after, scanned)


async def position_at(pool: Pool, at: datetime) -> int:
    """The last settled position whose event is not later than the time; 0 before the first."""
    async with connection(pool) as one:
        row = await (await one.execute("SELECT log_position_at(%s)", (at,))).fetchone()
    return int(row[0]) if row else 0


async def horizon(pool: Pool) -> int:
    """No event can still appear below this position."""
    async with connection(pool) as one:
        row = await (await one.execute("SELECT log_horizon()")).fetchone()
    return int(row[0]) if row else 0

"""Read model `audit_trail_v1`: who did what to a file, also after it is gone. Read by history."""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

import msgspec

from domain.event import Event, Recorded, UnknownEvent
from domain.object_key import MEDIA_ID_PREFIX
from projections.projection import Statement, columns
from projections.reading import Answer, Pool, connection, fetch_owned, owned, rfc3339

_INSERT = """
INSERT INTO audit_trail_v1 (owner, stream, version, position, type, at, actor, access, data)
SELECT owner, stream, version, position, type, at, actor, access, data::jsonb FROM unnest(
  %b::text[], %b::text[], %b::integer[], %b::bigint[], %b::text[], %b::timestamptz[], %b::text[],
  %b::text[], %b::text[]
) AS new (owner, stream, version, position, type, at, actor, access, data)
ON CONFLICT (owner, stream, version) DO NOTHING
"""

_encode = msgspec.json.Encoder().encode


class AuditTrailProjection:
    """Every event, one row."""

    name: ClassVar[str] = "audit_trail_v1"
    event_types: ClassVar[tuple[type[Event], ...] | None] = None

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """One statement."""
        rows = [
            (
                recorded.owner,
                recorded.stream,
                recorded.version,
                recorded.position,
                stored_type(recorded.event),
                recorded.at,
                recorded.actor,
                str(recorded.access),
                _encode(told(recorded.event)).decode(),
            )
            for recorded in batch
        ]
        return [Statement(_INSERT, columns(rows))]


def stored_type(event: Event) -> str:
    """The type string in the log, also of an event this version does not know."""
    return event.stored_type if isinstance(event, UnknownEvent) else event.TYPE


def told(event: Event) -> dict[str, Any]:
    """The event's data as the API tells it: camelCase, times with milliseconds."""
    if isinstance(event, UnknownEvent):
        data: Mapping[str, Any] = event.data
    else:
        data = {name: getattr(event, name) for name in event.__struct_fields__}
    return {
        _camel(name): rfc3339(value) if isinstance(value, datetime) else value
        for name, value in data.items()
    }


@cache
def _camel(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


class HistoryEntry(msgspec.Struct, frozen=True):
    """One event of a file, as `GET /files/{id}/history` shows it."""

    position: str
    version: int
    type: str
    at: str
    actor: str
    access: str
    data: msgspec.Raw


_HISTORY = owned(
    AuditTrailProjection.name,
    """
    SELECT version, position, type, at, actor, access, data::text FROM audit_trail_v1
    WHERE owner = c.owner AND stream = %(stream)s ORDER BY version
    """,
)


async def history(pool: Pool, owner: str, stream: str) -> Answer[list[HistoryEntry]]:
    """What happened to the owner's file, oldest first; empty when it is not the owner's."""
    answer = await fetch_owned(pool, _HISTORY, {"owner": owner, "stream": stream})
    entries = [
        HistoryEntry(
            str(position), version, type_, rfc3339(at), actor, access, msgspec.Raw(data.encode())
        )
        for version, position, type_, at, actor, access, data in answer.found
    ]
    return Answer(entries, answer.position)


_FILES_OF = """
SELECT stream FROM audit_trail_v1
WHERE owner = %s AND stream > %s AND version = 1 AND starts_with(stream, %s)
ORDER BY stream LIMIT %s
"""


async def files_of(pool: Pool, owner: str, *, after: str = "", limit: int = 1000) -> list[str]:
    """Ids of all files the owner ever had, in pages by id. For the role media_worker."""
    parameters = (owner, after or MEDIA_ID_PREFIX, MEDIA_ID_PREFIX, limit)
    async with connection(pool) as one:
        cursor = await one.execute(_FILES_OF, parameters)
        return [stream for (stream,) in await cursor.fetchall()]

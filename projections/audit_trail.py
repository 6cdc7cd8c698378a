"""Read model `audit_trail_v2`: who did what, when and in which request, also after a file is gone.

Read by a file's history; `audit_pages.py` lists it. Every event of the log is one row.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any, ClassVar

import msgspec

from domain.event import Event, Recorded, UnknownEvent
from domain.object_key import MEDIA_ID_PREFIX
from projections.columns import columns
from projections.projection import Statement
from projections.reading import Answer, Pool, connection, fetch_owned, owned, rfc3339

_INSERT = """
INSERT INTO audit_trail_v2 (
  owner, position, stream, version, type, at, actor, access, command_id, correlation_id, data)
SELECT owner, position, stream, version, type, at, actor, access, command_id, correlation_id,
       data::jsonb
FROM unnest(
  %b::text[], %b::bigint[], %b::text[], %b::integer[], %b::text[], %b::timestamptz[], %b::text[],
  %b::text[], %b::text[], %b::text[], %b::text[]
) AS new (
  owner, position, stream, version, type, at, actor, access, command_id, correlation_id, data)
ON CONFLICT (owner, position) DO NOTHING
"""

_encode = msgspec.json.Encoder().encode


class AuditTrailProjection:
    """Every event, one row."""

    name: ClassVar[str] = "audit_trail_v2"
    event_types: ClassVar[tuple[type[Event], ...] | None] = None

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """One statement."""
        rows = [
            (
                recorded.owner,
                recorded.position,
                recorded.stream,
                recorded.version,
                stored_type(recorded.event),
                recorded.at,
                recorded.actor,
                str(recorded.access),
                recorded.command_id,
                recorded.correlation_id,
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
        camel(name): rfc3339(value) if isinstance(value, datetime) else value
        for name, value in data.items()
    }


@cache
def camel(name: str) -> str:
    """A field's name as the API spells it."""
    return re.sub(r"_([a-z0-9])", lambda match: match[1].upper(), name)


class HistoryRow(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a file as the trail has it."""

    position: str
    version: int
    type: str
    at: str
    actor: str
    access: str
    command_id: str
    request_id: str
    data: msgspec.Raw


_HISTORY = owned(
    AuditTrailProjection.name,
    """
    SELECT version, position, type, at, actor, access, command_id, correlation_id, data::text
    FROM audit_trail_v2 WHERE owner = c.owner AND stream = %(stream)s ORDER BY version
    """,
)


async def history(pool: Pool, owner: str, stream: str) -> Answer[list[HistoryRow]]:
    """What happened to the owner's file, oldest first; empty when it is not the owner's."""
    answer = await fetch_owned(pool, _HISTORY, {"owner": owner, "stream": stream})
    rows = [
        HistoryRow(
            position=str(position),
            version=version,
            type=type_,
            at=rfc3339(at),
            actor=actor,
            access=access,
            command_id=command_id,
            request_id=correlation_id,
            data=msgspec.Raw(data.encode()),
        )
        for version, position, type_, at, actor, access, command_id, correlation_id, data in (
            answer.found
        )
    ]
    return Answer(rows, answer.position)


_COUNTS = owned(
    AuditTrailProjection.name,
    """
    SELECT type, count(*) FROM audit_trail_v2
    WHERE owner = c.owner AND type = ANY (%(types)s) AND position <= %(upto)s GROUP BY type
    """,
)


async def counts(
    pool: Pool, owner: str, types: Sequence[str], *, upto: int
) -> Answer[Mapping[str, int]]:
    """How many events of each stored type the owner has up to a position; none is left out."""
    parameters = {"owner": owner, "types": list(types), "upto": upto}
    answer = await fetch_owned(pool, _COUNTS, parameters)
    return Answer(dict(answer.found), answer.position)


_FILES_OF = """
SELECT stream FROM audit_trail_v2
WHERE owner = %s AND stream > %s AND version = 1 AND starts_with(stream, %s)
ORDER BY stream LIMIT %s
"""


async def files_of(pool: Pool, owner: str, *, after: str = "", limit: int = 1000) -> list[str]:
    """Ids of all files the owner ever had, in pages by id. For the role media_worker."""
    parameters = (owner, after or MEDIA_ID_PREFIX, MEDIA_ID_PREFIX, limit)
    async with connection(pool) as one:
        cursor = await one.execute(_FILES_OF, parameters)
        return [stream for (stream,) in await cursor.fetchall()]

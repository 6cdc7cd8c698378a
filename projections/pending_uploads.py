"""Read model `pending_uploads_v1`: uploads under way. Read by file detail and the expiry sweep."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar, TypeAlias

import msgspec

from domain.event import Event, Recorded
from domain.media_file_events import (
    UploadCancelled,
    UploadCompleted,
    UploadExpired,
    UploadRejected,
    UploadRequested,
)
from domain.tenant import TenantRemoved
from projections.columns import columns
from projections.file_resource import FileResource, category_of, from_row
from projections.projection import Statement
from projections.reading import Answer, Pool, connection, fetch_owned, owned

PENDING = "pending_upload"

Row: TypeAlias = tuple[object, ...]

_UPSERT = """
INSERT INTO pending_uploads_v1 (
  owner, media_id, service_code, file_name, file_size, mime_type, category, key, is_public,
  uploaded_by, requested_at)
SELECT * FROM unnest(
  %b::text[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[],
  %b::boolean[], %b::text[], %b::timestamptz[]
) AS new (
  owner, media_id, service_code, file_name, file_size, mime_type, category, key, is_public,
  uploaded_by, requested_at)
WHERE NOT EXISTS (SELECT FROM removed_tenants AS removed WHERE removed.owner = new.owner)
ON CONFLICT (owner, media_id) DO NOTHING
"""

_DELETE = """
DELETE FROM pending_uploads_v1 AS upload
USING unnest(%b::text[], %b::text[]) AS gone (owner, media_id)
WHERE upload.owner = gone.owner AND upload.media_id = gone.media_id
"""

_DELETE_OWNERS = "DELETE FROM pending_uploads_v1 WHERE owner = ANY (%b::text[])"


class PendingUploadsProjection:
    """An upload is here from the request until it is completed or over."""

    name: ClassVar[str] = "pending_uploads_v1"
    event_types: ClassVar[tuple[type[Event], ...] | None] = (
        UploadRequested,
        UploadCompleted,
        UploadRejected,
        UploadExpired,
        UploadCancelled,
        TenantRemoved,
    )

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """At most one statement each for tenants removed, uploads ended and uploads begun."""
        begun: dict[str, Row] = {}
        ended: dict[str, str] = {}
        removed: list[str] = []
        for recorded in batch:
            match recorded.event:
                case UploadRequested() as event:
                    begun[recorded.stream] = _row(recorded, event)
                case UploadCompleted() | UploadRejected() | UploadExpired() | UploadCancelled():
                    if begun.pop(recorded.stream, None) is None:
                        ended[recorded.stream] = recorded.owner
                case TenantRemoved():
                    removed.append(recorded.owner)
                    begun = {id_: row for id_, row in begun.items() if row[0] != recorded.owner}
        statements = []
        if removed:
            statements.append(Statement(_DELETE_OWNERS, (removed,)))
        if ended:
            statements.append(Statement(_DELETE, (list(ended.values()), list(ended))))
        if begun:
            statements.append(Statement(_UPSERT, columns(list(begun.values()))))
        return statements


def _row(recorded: Recorded, event: UploadRequested) -> Row:
    return (
        recorded.owner,
        recorded.stream,
        event.service_code,
        event.file_name,
        event.file_size,
        event.mime_type,
        category_of(event.mime_type),
        event.key,
        event.is_public,
        event.uploaded_by,
        recorded.at,
    )


_BY_ID = owned(
    PendingUploadsProjection.name,
    """
    SELECT media_id, owner, service_code, file_name, file_size, mime_type, category, key, is_public,
           uploaded_by, requested_at::text, requested_at::text AS updated_at
    FROM pending_uploads_v1
    WHERE owner = c.owner AND media_id = %(id)s AND uploaded_by = %(uploader)s
    """,
)


async def by_id(
    pool: Pool, owner: str, media_id: str, *, uploaded_by: str, public_base_url: str
) -> Answer[FileResource | None]:
    """The owner's pending upload of this id, if this user began it; or None."""
    parameters = {"owner": owner, "id": media_id, "uploader": uploaded_by}
    answer = await fetch_owned(pool, _BY_ID, parameters)
    if not answer.found:
        return Answer(None, answer.position)
    row = answer.found[0]
    file = from_row(row, status=PENDING, public_base_url=public_base_url)
    return Answer(file, answer.position)


class OverdueUpload(msgspec.Struct, frozen=True):
    """A pending upload whose time is over."""

    media_id: str
    owner: str
    requested_at: datetime


_BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_OVERDUE = """
SELECT media_id, owner, requested_at FROM pending_uploads_v1
WHERE requested_at < %s AND (requested_at, media_id) > (%s, %s)
ORDER BY requested_at, media_id LIMIT %s
"""


async def overdue(
    pool: Pool, before: datetime, *, after: OverdueUpload | None = None, limit: int = 1000
) -> list[OverdueUpload]:
    """Uploads of all owners requested before the time, oldest first. For the role media_worker."""
    behind = (after.requested_at, after.media_id) if after else (_BEGINNING, "")
    async with connection(pool) as one:
        cursor = await one.execute(_OVERDUE, (before, *behind, limit))
        return [OverdueUpload(*row) for row in await cursor.fetchall()]


class PendingCount(msgspec.Struct, frozen=True):
    """Pending uploads of all owners."""

    all: int
    stale: int
    """Asked for before the time, and not completed since."""


_COUNT = """
SELECT count(*), count(*) FILTER (WHERE requested_at < %s) FROM pending_uploads_v1
"""


async def count(pool: Pool, before: datetime) -> PendingCount:
    """How many there are, for metrics. For the role media_worker."""
    async with connection(pool) as one:
        row = await (await one.execute(_COUNT, (before,))).fetchone()
    return PendingCount(*row) if row else PendingCount(0, 0)

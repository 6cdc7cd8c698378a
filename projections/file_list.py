"""Read model `file_list_v1`: the uploaded files of an owner. Read by file routes and resolve."""

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import msgspec

from domain.event import Event, Recorded
from domain.media_file_events import FileDeleted, UploadCompleted
from domain.tenant import TenantRemoved
from projections.file_resource import (
    FILE_COLUMNS,
    FileResource,
    category_of,
    from_row,
    url_of,
)
from projections.folded_name import fold, search_text
from projections.projection import Statement, columns
from projections.reading import Answer, Pool, connection, fetch_owned, owned

UPLOADED = "uploaded"

Row: TypeAlias = tuple[object, ...]

_UPSERT = """
INSERT INTO file_list_v1 (
  owner, media_id, service_code, file_name, folded_name, search_text, file_size, mime_type,
  category, key, is_public, uploaded_by, created_at, updated_at)
SELECT * FROM unnest(
  %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::text[],
  %b::text[], %b::text[], %b::boolean[], %b::text[], %b::timestamptz[], %b::timestamptz[]
) AS new (
  owner, media_id, service_code, file_name, folded_name, search_text, file_size, mime_type,
  category, key, is_public, uploaded_by, created_at, updated_at)
-- What slipped in after its tenant's removal never shows.
WHERE NOT EXISTS (SELECT FROM removed_tenants AS removed WHERE removed.owner = new.owner)
ON CONFLICT (media_id) DO UPDATE SET
  file_name = excluded.file_name, folded_name = excluded.folded_name,
  search_text = excluded.search_text, file_size = excluded.file_size, key = excluded.key,
  is_public = excluded.is_public, updated_at = excluded.updated_at
"""

_DELETE = """
DELETE FROM file_list_v1 AS file USING unnest(%b::text[], %b::text[]) AS gone (owner, media_id)
WHERE file.owner = gone.owner AND file.media_id = gone.media_id
"""

_DELETE_OWNERS = "DELETE FROM file_list_v1 WHERE owner = ANY (%b::text[])"


class FileListProjection:
    """Uploaded files come, deleted ones go, and all of a removed tenant's at once."""

    name: ClassVar[str] = "file_list_v1"
    event_types: ClassVar[tuple[type[Event], ...] | None] = (
        UploadCompleted,
        FileDeleted,
        TenantRemoved,
    )

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """At most one statement each for tenants removed, files deleted and files uploaded."""
        uploaded: dict[str, Row] = {}
        deleted: dict[str, str] = {}
        removed: list[str] = []
        for recorded in batch:
            match recorded.event:
                case UploadCompleted() as event:
                    uploaded[recorded.stream] = _row(recorded, event)
                case FileDeleted():
                    if uploaded.pop(recorded.stream, None) is None:
                        deleted[recorded.stream] = recorded.owner
                case TenantRemoved():
                    removed.append(recorded.owner)
                    uploaded = {id_: r for id_, r in uploaded.items() if r[0] != recorded.owner}
        statements = []
        if removed:
            statements.append(Statement(_DELETE_OWNERS, (removed,)))
        if deleted:
            statements.append(Statement(_DELETE, (list(deleted.values()), list(deleted))))
        if uploaded:
            statements.append(Statement(_UPSERT, columns(list(uploaded.values()))))
        return statements


def _row(recorded: Recorded, event: UploadCompleted) -> Row:
    folded = fold(event.file_name)
    requested_at = event.requested_at
    return (
        recorded.owner,
        recorded.stream,
        event.service_code,
        event.file_name,
        folded,
        search_text(folded),
        event.file_size,
        event.mime_type,
        category_of(event.mime_type),
        event.key,
        event.is_public,
        event.uploaded_by,
        # Cursors carry milliseconds: what they compare with has no more.
        requested_at.replace(microsecond=requested_at.microsecond // 1000 * 1000),
        recorded.at,
    )


_BY_ID = owned(
    FileListProjection.name,
    f"SELECT {FILE_COLUMNS} FROM file_list_v1 WHERE owner = c.owner AND media_id = %(id)s",  # noqa: S608
)
_RECENT = owned(
    FileListProjection.name,
    f"SELECT {FILE_COLUMNS} FROM file_list_v1 WHERE owner = c.owner"  # noqa: S608
    " ORDER BY created_at DESC, media_id DESC LIMIT 8",
)


async def by_id(
    pool: Pool, owner: str, media_id: str, *, public_base_url: str
) -> Answer[FileResource | None]:
    """The owner's uploaded file of this id, or None."""
    answer = await fetch_owned(pool, _BY_ID, {"owner": owner, "id": media_id})
    files = _files(answer.found, public_base_url)
    return Answer(files[0] if files else None, answer.position)


async def recent(pool: Pool, owner: str, *, public_base_url: str) -> Answer[list[FileResource]]:
    """The owner's 8 newest files (api.md, stats)."""
    answer = await fetch_owned(pool, _RECENT, {"owner": owner})
    return Answer(_files(answer.found, public_base_url), answer.position)


def _files(rows: Sequence[tuple[object, ...]], public_base_url: str) -> list[FileResource]:
    return [from_row(row, status=UPLOADED, public_base_url=public_base_url) for row in rows]  # type: ignore[arg-type]


class ResolvedFile(msgspec.Struct, frozen=True, rename="camel"):
    """What another service may know of a file (api.md, resolve)."""

    url: str | None
    mime_type: str
    file_name: str
    file_size: int


class Resolution(msgspec.Struct, frozen=True):
    """The answer of `/internal/resolve`."""

    resolved: dict[str, ResolvedFile]
    missing: list[str]


_RESOLVE = """
SELECT position, file.* FROM (
  SELECT coalesce((SELECT position FROM checkpoints WHERE follower = 'file_list_v1'), 0) AS position
) AS checkpoint LEFT JOIN resolve_files(%(ids)s::text[], %(tenant)s::text) AS file ON true
"""


async def resolve(
    pool: Pool, media_ids: Sequence[str], *, tenant_id: str | None, public_base_url: str
) -> Answer[Resolution]:
    """Files by exact id across tenants, or of one; whatever is not uploaded is missing."""
    parameters = {"ids": list(media_ids), "tenant": tenant_id}
    async with connection(pool) as one:
        rows = await (await one.execute(_RESOLVE, parameters, binary=True)).fetchall()
    resolved = {
        id_: ResolvedFile(
            url_of(key, is_public=is_public, public_base_url=public_base_url), mime, name, size
        )
        for _, id_, name, size, mime, key, is_public in rows
        if id_ is not None
    }
    missing = [id_ for id_ in dict.fromkeys(media_ids) if id_ not in resolved]
    return Answer(Resolution(resolved, missing), rows[0][0])

"""Read model `file_list_v2`: the uploaded files of an owner. Read by file routes and resolve."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from domain.event import Event, Recorded
from domain.media_file_events import FileDeleted, UploadCompleted
from domain.placement_events import FilePurgeRequested, FileRestored, VisibilityChanged
from domain.rendition_events import (
    InspectionFailed,
    MediaInspected,
    PosterStored,
    RenditionFailed,
    RenditionStored,
)
from domain.tenant import TenantRemoved
from projections.file_resource import (
    FAILED,
    FILE_COLUMNS,
    FileResource,
    category_of,
    from_row,
    url_of,
)
from projections.file_rows import ANEW, FileRows, LibraryRows, Values
from projections.folded_name import fold, search_text
from projections.projection import Statement
from projections.reading import Answer, Pool, connection, fetch_owned, owned
from projections.variants import NONE as NO_VARIANTS
from projections.variants import Variants, stored_of, variant_id

UPLOADED = "uploaded"
FOUND = (
    "width", "height", "duration_ms", "page_count", "sha256", "placeholder", "dominant_color",
)  # fmt: skip
"""Columns that an inspection fills, named as in the event."""
NO_RENDITIONS: Values = {"inspection": None, "renditions": {ANEW: True}}
"""Of a file that left the place they stood in."""


class FileListProjection:
    """Uploaded files come, deleted ones go into the bin or for good; a tenant's all at once."""

    name: ClassVar[str] = "file_list_v2"
    event_types: ClassVar[tuple[type[Event], ...] | None] = (
        UploadCompleted,
        FileDeleted,
        FileRestored,
        VisibilityChanged,
        FilePurgeRequested,
        TenantRemoved,
        MediaInspected,
        InspectionFailed,
        RenditionStored,
        RenditionFailed,
        PosterStored,
    )

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """What `FileRows` makes of it."""
        rows = FileRows()
        for recorded in batch:
            take(rows, recorded)
        return rows.statements()


def take(rows: LibraryRows, recorded: Recorded) -> None:
    """What one fact means to a library: for the list, and for libraries as they were."""
    owner, media_id = recorded.owner, recorded.stream
    match recorded.event:
        case UploadCompleted() as event:
            rows.add(_uploaded(recorded, event))
        case FileDeleted(bin_until=None) | FilePurgeRequested():
            rows.remove(owner, media_id)
        case FileDeleted() as event:
            rows.change(owner, media_id, **_binned(recorded, event), **NO_RENDITIONS)
        case FileRestored():
            rows.change(owner, media_id, **NOT_BINNED, updated_at=recorded.at)
        case VisibilityChanged() as event:
            rows.change(
                owner,
                media_id,
                is_public=event.is_public,
                updated_at=recorded.at,
                **NO_RENDITIONS,
            )
        case TenantRemoved():
            rows.remove_owner(owner)
        case MediaInspected() as event:
            found = msgspec.structs.asdict(event)
            known = {name: found[name] for name in FOUND}
            rows.change(owner, media_id, **known, inspection=None, updated_at=recorded.at)
        case InspectionFailed() as event:
            failure = f"{FAILED}{event.reason}"
            rows.change(owner, media_id, inspection=failure, updated_at=recorded.at)
        case RenditionStored() | RenditionFailed() as event:
            made = {variant_id(event.preset, event.format): stored_of(event)}
            rows.change(owner, media_id, renditions=made, updated_at=recorded.at)
        case PosterStored():
            rows.change(owner, media_id, updated_at=recorded.at)


def _uploaded(recorded: Recorded, event: UploadCompleted) -> Values:
    folded = fold(event.file_name)
    requested_at = event.requested_at
    return {
        "owner": recorded.owner,
        "media_id": recorded.stream,
        "service_code": event.service_code,
        "file_name": event.file_name,
        "folded_name": folded,
        "search_text": search_text(folded),
        "file_size": event.file_size,
        "mime_type": event.mime_type,
        "category": category_of(event.mime_type),
        "key": event.key,
        "is_public": event.is_public,
        "uploaded_by": event.uploaded_by,
        # Cursors carry milliseconds: what they compare with has no more.
        "created_at": requested_at.replace(microsecond=requested_at.microsecond // 1000 * 1000),
        "updated_at": recorded.at,
    }


NOT_BINNED: Values = {"deleted_at": None, "deleted_by": None, "bin_until": None}


def _binned(recorded: Recorded, event: FileDeleted) -> Values:
    at = recorded.at
    return {
        # As created_at: a cursor may compare with it.
        "deleted_at": at.replace(microsecond=at.microsecond // 1000 * 1000),
        "deleted_by": recorded.actor.removeprefix("user:"),
        "bin_until": event.bin_until,
        "updated_at": at,
    }


_BY_ID = owned(
    FileListProjection.name,
    f"SELECT {FILE_COLUMNS} FROM file_list_v2"  # noqa: S608
    " WHERE owner = c.owner AND media_id = %(id)s AND deleted_at IS NULL",
)
_RECENT = owned(
    FileListProjection.name,
    f"SELECT {FILE_COLUMNS} FROM file_list_v2 WHERE owner = c.owner AND deleted_at IS NULL"  # noqa: S608
    " ORDER BY created_at DESC, media_id DESC LIMIT 8",
)


async def by_id(
    pool: Pool,
    owner: str,
    media_id: str,
    *,
    public_base_url: str,
    variants: Variants = NO_VARIANTS,
) -> Answer[FileResource | None]:
    """The owner's uploaded file of this id, or None."""
    answer = await fetch_owned(pool, _BY_ID, {"owner": owner, "id": media_id})
    files = _files(answer.found, public_base_url, variants)
    return Answer(files[0] if files else None, answer.position)


async def recent(
    pool: Pool, owner: str, *, public_base_url: str, variants: Variants = NO_VARIANTS
) -> Answer[list[FileResource]]:
    """The owner's 8 newest files (api.md, stats)."""
    answer = await fetch_owned(pool, _RECENT, {"owner": owner})
    return Answer(_files(answer.found, public_base_url, variants), answer.position)


def _files(
    rows: Sequence[tuple[object, ...]], public_base_url: str, variants: Variants
) -> list[FileResource]:
    return [
        from_row(row, status=UPLOADED, public_base_url=public_base_url, variants=variants)  # type: ignore[arg-type]
        for row in rows
    ]


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
  SELECT coalesce((SELECT position FROM checkpoints WHERE follower = 'file_list_v2'), 0) AS position
) AS checkpoint LEFT JOIN resolve_files_v2(%(ids)s::text[], %(tenant)s::text) AS file ON true
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


_IDS = "SELECT media_id FROM file_list_v2 WHERE media_id > %s ORDER BY media_id LIMIT %s"


async def every_id(pool: Pool, *, after: str, limit: int = 1000) -> list[str]:
    """Ids of the files there are, those in the bin too, across owners. For media_worker."""
    async with connection(pool) as one:
        cursor = await one.execute(_IDS, (after, limit))
        return [media_id for (media_id,) in await cursor.fetchall()]

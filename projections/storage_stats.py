"""Read model `storage_stats_v1`: files and bytes of an owner. Read by `GET /files/stats`."""

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from domain.event import Event, Recorded
from domain.media_file_events import (
    FileDeleted,
    UploadCancelled,
    UploadCompleted,
    UploadExpired,
    UploadRejected,
    UploadRequested,
)
from domain.media_type import Category
from domain.placement_events import FileRestored
from domain.tenant import TenantRemoved
from projections.columns import columns
from projections.file_resource import FileResource, category_of
from projections.projection import Statement
from projections.reading import Answer, Pool, connection, fetch_owned, owned

CATEGORIES: tuple[Category, ...] = ("image", "video", "document")

_NOT_REMOVED = "NOT EXISTS (SELECT FROM removed_tenants AS removed WHERE removed.owner = new.owner)"

_COUNT = f"""
INSERT INTO storage_stats_v1 AS stats (owner, service_code, category, files, bytes)
SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::bigint[], %b::bigint[])
  AS new (owner, service_code, category, files, bytes)
WHERE {_NOT_REMOVED}
ON CONFLICT (owner, service_code, category) DO UPDATE SET
  files = stats.files + excluded.files, bytes = stats.bytes + excluded.bytes
"""  # noqa: S608 - text of ours

_COUNT_PENDING = f"""
INSERT INTO storage_stats_v1_pending AS stats (owner, uploads)
SELECT * FROM unnest(%b::text[], %b::bigint[]) AS new (owner, uploads)
WHERE {_NOT_REMOVED}
ON CONFLICT (owner) DO UPDATE SET uploads = stats.uploads + excluded.uploads
"""  # noqa: S608 - text of ours

_DELETE_OWNERS = "DELETE FROM storage_stats_v1 WHERE owner = ANY (%b::text[])"
_DELETE_PENDING = "DELETE FROM storage_stats_v1_pending WHERE owner = ANY (%b::text[])"


class StorageStatsProjection:
    """Adds up what comes and goes; the checkpoint keeps anything from being counted twice."""

    name: ClassVar[str] = "storage_stats_v1"
    event_types: ClassVar[tuple[type[Event], ...] | None] = (
        UploadRequested,
        UploadCompleted,
        UploadRejected,
        UploadExpired,
        UploadCancelled,
        FileDeleted,
        FileRestored,
        TenantRemoved,
    )

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """One statement per table, with the sums of the whole batch."""
        files: defaultdict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0])
        pending: defaultdict[str, int] = defaultdict(int)
        removed: list[str] = []

        def count(
            owner: str, event: UploadCompleted | FileDeleted | FileRestored, sign: int
        ) -> None:
            sums = files[owner, event.service_code, category_of(event.mime_type)]
            sums[0] += sign
            sums[1] += sign * event.file_size

        for recorded in batch:
            owner = recorded.owner
            match recorded.event:
                case UploadRequested():
                    pending[owner] += 1
                case UploadCompleted() as event:
                    pending[owner] -= 1
                    count(owner, event, 1)
                case UploadRejected() | UploadExpired() | UploadCancelled():
                    pending[owner] -= 1
                case FileDeleted() as event:
                    count(owner, event, -1)
                case FileRestored() as event:
                    count(owner, event, 1)
                case TenantRemoved():
                    removed.append(owner)
        gone = set(removed)
        sums = [(*key, *value) for key, value in files.items() if key[0] not in gone]
        uploads = [(owner, value) for owner, value in pending.items() if owner not in gone]
        statements = []
        if removed:
            statements.append(Statement(_DELETE_OWNERS, (removed,)))
            statements.append(Statement(_DELETE_PENDING, (removed,)))
        if sums:
            statements.append(Statement(_COUNT, columns(sums)))
        if uploads:
            statements.append(Statement(_COUNT_PENDING, columns(uploads)))
        return statements


class Usage(msgspec.Struct):
    """Files and their bytes."""

    files: int = 0
    bytes: int = 0


class StorageStats(msgspec.Struct, rename="camel", kw_only=True):
    """What an owner stores (api.md, stats). `recent` is the file list's to fill."""

    total_files: int = 0
    total_bytes: int = 0
    by_type: dict[Category, Usage]
    by_service: dict[str, Usage]
    pending_uploads: int = 0
    recent: list[FileResource] = msgspec.field(default_factory=list)


_STATS = owned(
    StorageStatsProjection.name,
    """
    SELECT service_code, category, files, bytes FROM storage_stats_v1
    WHERE owner = c.owner AND files > 0
    UNION ALL
    SELECT '', '', uploads, 0 FROM storage_stats_v1_pending WHERE owner = c.owner
    """,
)


async def stats(pool: Pool, owner: str) -> Answer[StorageStats]:
    """What the owner stores. Raises DatabaseUnavailable."""
    answer = await fetch_owned(pool, _STATS, {"owner": owner})
    result = StorageStats(by_type={category: Usage() for category in CATEGORIES}, by_service={})
    for service, category, files, size in answer.found:
        if not service:
            result.pending_uploads = files
            continue
        result.total_files += files
        result.total_bytes += size
        for usage in (
            result.by_type[category],
            result.by_service.setdefault(service, Usage()),
        ):
            usage.files += files
            usage.bytes += size
    return Answer(result, answer.position)


class Totals(msgspec.Struct, frozen=True):
    """What all owners store together."""

    files: int
    bytes: int


_TOTALS = """
SELECT coalesce(sum(files), 0)::bigint, coalesce(sum(bytes), 0)::bigint FROM storage_stats_v1
"""


async def totals(pool: Pool) -> Totals:
    """The sums over all owners, for metrics. For the role media_worker."""
    async with connection(pool) as one:
        row = await (await one.execute(_TOTALS)).fetchone()
    return Totals(*row) if row else Totals(0, 0)

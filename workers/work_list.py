"""The WorkList port over the read models.

What the sweep, the removal of workspaces and the scheduler find to do.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from adapters.postgres import Pool, connection
from application.jobs import (
    ClearRenditions,
    DeriveRendition,
    FetchSource,
    InspectFile,
    Job,
    PlaceObjects,
    PurgeCache,
    PurgeObjects,
    RemoveTenantFiles,
    ScanUpload,
    VerifyUpload,
)
from projections import audit_trail, bin_pages, pending_uploads, unfinished_work
from projections.projection import checkpoint_of
from projections.unfinished_work import UnfinishedWork


class ReadModelWorkList:
    """`application.ports.WorkList`, for a pool of the role media_worker."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def overdue_uploads(self, before: datetime) -> AsyncIterator[str]:
        """Ids of uploads and ingests that are pending and were requested before the time."""
        unfetched = ""
        while ids := await unfinished_work.unfetched(self._pool, before, after=unfetched):
            for media_id in ids:
                yield media_id
            unfetched = ids[-1]
        last = None
        while page := await pending_uploads.overdue(self._pool, before, after=last):
            for upload in page:
                yield upload.media_id
            last = page[-1]

    async def overdue_bins(self, before: datetime) -> AsyncIterator[str]:
        """Ids of files whose time in the bin was over at the time."""
        last = None
        while page := await bin_pages.overdue(self._pool, before, after=last):
            for binned in page:
                yield binned.media_id
            last = page[-1]

    async def unfinished_jobs(self, before: datetime, limit: int) -> Sequence[Job]:
        """Jobs whose effect was due before the time and is not yet in the log, oldest first."""
        return [_job(work) for work in await unfinished_work.due(self._pool, before, limit)]

    async def files_of(self, owner: str) -> AsyncIterator[str]:
        """Ids of all files the owner ever had."""
        last = ""
        while page := await audit_trail.files_of(self._pool, owner, after=last):
            for media_id in page:
                yield media_id
            last = page[-1]

    async def caught_up(self, position: int) -> bool:
        """Whether `files_of` knows every file that was asked for up to the position."""
        follower = audit_trail.AuditTrailProjection.name
        async with connection(self._pool) as one:
            return await checkpoint_of(one, follower) >= position


def _job(work: UnfinishedWork) -> Job:
    match work.kind:
        case "purge":
            # The very job that `policies.react` sent, so that the queue knows it again.
            settled = work.not_before is None or work.not_before <= work.due_at
            not_before = None if settled else work.not_before
            return PurgeObjects(media_id=work.stream, not_before=not_before)
        case "place":
            # At once: until it is recorded the bytes may stand where everybody can read them.
            return PlaceObjects(media_id=work.stream)
        case "cache":
            return PurgeCache(media_id=work.stream, not_before=work.not_before)
        case "verify":
            return VerifyUpload(media_id=work.stream)
        case "scan":
            return ScanUpload(media_id=work.stream)
        case "fetch":
            return FetchSource(media_id=work.stream)
        case "tenant_removal":
            return RemoveTenantFiles(tenant_id=work.stream.removeprefix("tenant_"))
        case "inspect":
            return InspectFile(media_id=work.stream)
        case "clear":
            return ClearRenditions(media_id=work.stream)
        case kind:
            _, preset, mime_type = kind.split(" ")
            return DeriveRendition(media_id=work.stream, preset=preset, format=mime_type)

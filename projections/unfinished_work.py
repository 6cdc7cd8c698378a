"""Read model `unfinished_work_v3`: facts whose effect is not in the log yet.

Read by the scheduler, which has the work asked for again, and by `./dev failures`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

import msgspec

from domain.event import Event, Recorded
from domain.media_file_events import (
    FileDeleted,
    IngestCancelled,
    IngestFailed,
    IngestRequested,
    ObjectsPurged,
    PurgeFailed,
    PurgeRetried,
    UploadCancelled,
    UploadCompleted,
    UploadExpired,
    UploadRejected,
    VerificationDeferred,
)
from domain.placement_events import (
    FilePurgeRequested,
    FileRestored,
    ObjectsPlaced,
    PlacementFailed,
    PlacementRequested,
    VisibilityChanged,
)
from domain.scan_events import ScanFailed, ScanPassed, ScanRequested
from domain.tenant import TenantFilesRemoved, TenantRemoved
from projections import unfinished_caches, unfinished_renditions
from projections.columns import columns
from projections.projection import Statement
from projections.reading import Pool, connection
from projections.work_notes import Key, Work, WorkKind

_DELETE = """
DELETE FROM unfinished_work_v3 AS work
USING unnest(%b::text[], %b::text[], %b::text[]) AS done (owner, stream, kind)
WHERE work.owner = done.owner AND work.stream = done.stream AND work.kind = done.kind
"""

_UPSERT = """
INSERT INTO unfinished_work_v3 (owner, stream, kind, due_at, not_before, failure, failed_at)
SELECT * FROM unnest(
  %b::text[], %b::text[], %b::text[], %b::timestamptz[], %b::timestamptz[], %b::text[],
  %b::timestamptz[])
ON CONFLICT (owner, stream, kind) DO UPDATE SET
  due_at = excluded.due_at, not_before = excluded.not_before, failure = excluded.failure,
  failed_at = excluded.failed_at
"""

_MARK = """
UPDATE unfinished_work_v3 AS work
SET failure = mark.failure, failed_at = mark.failed_at,
    due_at = coalesce(mark.due_at, work.due_at)
FROM unnest(%b::text[], %b::text[], %b::text[], %b::timestamptz[], %b::text[], %b::timestamptz[])
  AS mark (owner, stream, kind, due_at, failure, failed_at)
WHERE work.owner = mark.owner AND work.stream = mark.stream AND work.kind = mark.kind
"""


_DELETE_DERIVED = """
DELETE FROM unfinished_work_v3 AS work USING unnest(%b::text[], %b::text[]) AS gone (owner, stream)
WHERE work.owner = gone.owner AND work.stream = gone.stream AND work.kind LIKE 'derive %%'
"""


class UnfinishedWorkProjection:
    """Work comes with the fact that calls for it and goes with the fact that it is done."""

    name: ClassVar[str] = "unfinished_work_v3"
    event_types: ClassVar[tuple[type[Event], ...] | None] = (
        IngestRequested,
        IngestFailed,
        IngestCancelled,
        VerificationDeferred,
        ScanRequested,
        ScanPassed,
        ScanFailed,
        UploadCompleted,
        UploadRejected,
        UploadExpired,
        UploadCancelled,
        FileDeleted,
        FileRestored,
        VisibilityChanged,
        PlacementRequested,
        ObjectsPlaced,
        PlacementFailed,
        FilePurgeRequested,
        ObjectsPurged,
        PurgeFailed,
        PurgeRetried,
        TenantRemoved,
        TenantFilesRemoved,
        *unfinished_renditions.EVENTS,
        *unfinished_caches.EVENTS,
    )

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """At most one statement each for work done, due, and failed or retried."""
        work = Work()
        for recorded in batch:
            _note(work, recorded)
            unfinished_renditions.note_renditions(work, recorded)
            unfinished_caches.note_caches(work, recorded)
        statements = []
        if work.over:
            statements.append(Statement(_DELETE_DERIVED, columns(list(work.over))))
        if work.done:
            statements.append(Statement(_DELETE, columns(list(work.done))))
        if work.due:
            statements.append(
                Statement(_UPSERT, columns([(*key, *change) for key, change in work.due.items()]))
            )
        if work.marks:
            statements.append(
                Statement(_MARK, columns([(*key, *mark) for key, mark in work.marks.items()]))
            )
        return statements


def _note(work: Work, recorded: Recorded) -> None:
    owner, stream, at = recorded.owner, recorded.stream, recorded.at
    if _note_placement(work, recorded) or _note_tenant(work, recorded):
        return
    match recorded.event:
        case IngestRequested():
            work.begin((owner, stream, "fetch"), at=at)
        case IngestFailed() | IngestCancelled():
            work.finish((owner, stream, "fetch"))
        case VerificationDeferred():
            # Of an ingest it comes with the fetched bytes.
            work.finish((owner, stream, "fetch"))
            work.begin((owner, stream, "verify"), at=at)
        case ScanRequested() | ScanPassed() | ScanFailed():
            _note_scan(work, recorded)
        case UploadCompleted():
            work.finish((owner, stream, "verify"))
        case (
            UploadRejected()
            | UploadExpired()
            | UploadCancelled()
            | FileDeleted()
            | FilePurgeRequested() as ending
        ):
            work.finish((owner, stream, "verify"))
            work.finish((owner, stream, "scan"))
            work.finish((owner, stream, "place"))
            work.begin((owner, stream, "purge"), at=at, not_before=ending.settles_at)
        case ObjectsPurged():
            work.finish((owner, stream, "purge"))
        case PurgeFailed() as failed:
            work.fail((owner, stream, "purge"), at=at, failure=failed.error)
        case PurgeRetried():
            work.retry((owner, stream, "purge"), at=at)


def _note_tenant(work: Work, recorded: Recorded) -> bool:
    key: Key = (recorded.owner, recorded.stream, "tenant_removal")
    match recorded.event:
        case TenantRemoved():
            work.begin(key, at=recorded.at)
        case TenantFilesRemoved():
            work.finish(key)
        case _:
            return False
    return True


def _note_scan(work: Work, recorded: Recorded) -> None:
    key: Key = (recorded.owner, recorded.stream, "scan")
    match recorded.event:
        case ScanRequested():
            # Verified next, once it has passed; an operator who asks again makes it due anew.
            work.finish((recorded.owner, recorded.stream, "verify"))
            work.begin(key, at=recorded.at)
        case ScanPassed():
            work.finish(key)
        case ScanFailed() as failed:
            work.fail(key, at=recorded.at, failure=failed.error)


def _note_placement(work: Work, recorded: Recorded) -> bool:
    """Whether the fact is one of bytes on their way, which then is noted."""
    key: Key = (recorded.owner, recorded.stream, "place")
    at = recorded.at
    match recorded.event:
        case (
            FileDeleted(bin_until=datetime())
            | FileRestored()
            | VisibilityChanged()
            | PlacementRequested() as moved
        ):
            work.begin(key, at=at, not_before=moved.settles_at)
        case ObjectsPlaced():
            work.finish(key)
        case PlacementFailed() as failed:
            work.fail(key, at=at, failure=failed.error)
        case _:
            return False
    return True


class UnfinishedWork(msgspec.Struct, frozen=True):
    """Something that is due and not done."""

    owner: str
    stream: str
    kind: WorkKind
    due_at: datetime
    not_before: datetime | None
    """Of a purge: until then something may still write, so it is repeated after."""


class FailedWork(msgspec.Struct, frozen=True):
    """Something that was tried as often as allowed; an operator must look."""

    owner: str
    stream: str
    kind: WorkKind
    failure: str
    failed_at: datetime


# What may stay where nobody should read it is tried on, whoever has been told of it.
_DUE = """
SELECT owner, stream, kind, due_at, not_before FROM unfinished_work_v3
WHERE (failure IS NULL OR kind = 'place') AND due_at <= %s ORDER BY due_at LIMIT %s
"""
_UNFETCHED = """
SELECT stream FROM unfinished_work_v3
WHERE kind = 'fetch' AND due_at < %s AND stream > %s ORDER BY stream LIMIT %s
"""
_FAILURES = """
SELECT owner, stream, kind, failure, failed_at FROM unfinished_work_v3
WHERE failure IS NOT NULL ORDER BY failed_at DESC LIMIT %s
"""


class WorkCount(msgspec.Struct, frozen=True):
    """How much work of one kind there is, of all owners."""

    waiting: int = 0
    failed: int = 0
    """For good: an operator must look."""


_COUNTS = """
SELECT kind, count(*) FILTER (WHERE failure IS NULL), count(*) FILTER (WHERE failure IS NOT NULL)
FROM unfinished_work_v3 GROUP BY kind
"""


async def counts(pool: Pool) -> dict[WorkKind, WorkCount]:
    """How much work there is, by kind; kinds without any are left out. For media_worker."""
    async with connection(pool) as one:
        cursor = await one.execute(_COUNTS)
        return {
            kind: WorkCount(waiting, failed) for kind, waiting, failed in await cursor.fetchall()
        }


async def due(pool: Pool, before: datetime, limit: int) -> list[UnfinishedWork]:
    """Work of all owners that was due before the time, oldest first. For the role media_worker."""
    async with connection(pool) as one:
        cursor = await one.execute(_DUE, (before, limit))
        return [UnfinishedWork(*row) for row in await cursor.fetchall()]


async def unfetched(
    pool: Pool, before: datetime, *, after: str = "", limit: int = 1000
) -> list[str]:
    """Ids of ingests of all owners, asked for before the time and not fetched, in pages by id.

    For the role media_worker.
    """
    async with connection(pool) as one:
        cursor = await one.execute(_UNFETCHED, (before, after, limit))
        return [stream for (stream,) in await cursor.fetchall()]


async def failures(pool: Pool, limit: int = 100) -> list[FailedWork]:
    """Work of all owners that failed for good, newest first. For the role media_worker."""
    async with connection(pool) as one:
        cursor = await one.execute(_FAILURES, (limit,))
        return [FailedWork(*row) for row in await cursor.fetchall()]

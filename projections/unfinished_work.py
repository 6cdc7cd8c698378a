"""Read model `unfinished_work_v3`: facts whose effect is not in the log yet.

Read by the scheduler, which has the work asked for again, and by `./dev failures`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias

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
    VisibilityChanged,
)
from domain.tenant import TenantFilesRemoved, TenantRemoved
from projections.projection import Statement, columns
from projections.reading import Pool, connection

WorkKind = Literal["purge", "place", "verify", "fetch", "tenant_removal"]
_Key: TypeAlias = tuple[str, str, WorkKind]
"""Owner, stream, kind."""
_Change: TypeAlias = tuple[datetime, datetime | None, str | None, datetime | None]
"""Due at, not before, failure, failed at."""
_Mark: TypeAlias = tuple[datetime | None, str | None, datetime | None]
"""Due at if that changes, failure, failed at."""

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


class _Work:
    """What a batch makes of the list."""

    def __init__(self) -> None:
        self.done: dict[_Key, None] = {}
        self.due: dict[_Key, _Change] = {}
        self.marks: dict[_Key, _Mark] = {}

    def begin(self, key: _Key, *, at: datetime, not_before: datetime | None = None) -> None:
        self.due[key] = (at, not_before, None, None)

    def finish(self, key: _Key) -> None:
        self.due.pop(key, None)
        self.marks.pop(key, None)
        self.done[key] = None

    def fail(self, key: _Key, *, at: datetime, failure: str) -> None:
        if key in self.due:
            due_at, not_before, _, _ = self.due[key]
            self.due[key] = (due_at, not_before, failure, at)
        else:
            # A retry earlier in the batch has moved the due time.
            self.marks[key] = (self.marks.get(key, (None,))[0], failure, at)

    def retry(self, key: _Key, *, at: datetime) -> None:
        if key in self.due:
            _, not_before, _, _ = self.due[key]
            self.due[key] = (at, not_before, None, None)
        else:
            self.marks[key] = (at, None, None)


class UnfinishedWorkProjection:
    """Work comes with the fact that calls for it and goes with the fact that it is done."""

    name: ClassVar[str] = "unfinished_work_v3"
    event_types: ClassVar[tuple[type[Event], ...] | None] = (
        IngestRequested,
        IngestFailed,
        IngestCancelled,
        VerificationDeferred,
        UploadCompleted,
        UploadRejected,
        UploadExpired,
        UploadCancelled,
        FileDeleted,
        FileRestored,
        VisibilityChanged,
        ObjectsPlaced,
        PlacementFailed,
        FilePurgeRequested,
        ObjectsPurged,
        PurgeFailed,
        PurgeRetried,
        TenantRemoved,
        TenantFilesRemoved,
    )

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """At most one statement each for work done, due, and failed or retried."""
        work = _Work()
        for recorded in batch:
            _note(work, recorded)
        statements = []
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


def _note(work: _Work, recorded: Recorded) -> None:
    owner, stream, at = recorded.owner, recorded.stream, recorded.at
    if _note_placement(work, recorded):
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
            work.finish((owner, stream, "place"))
            work.begin((owner, stream, "purge"), at=at, not_before=ending.settles_at)
        case ObjectsPurged():
            work.finish((owner, stream, "purge"))
        case PurgeFailed() as failed:
            work.fail((owner, stream, "purge"), at=at, failure=failed.error)
        case PurgeRetried():
            work.retry((owner, stream, "purge"), at=at)
        case TenantRemoved():
            work.begin((owner, stream, "tenant_removal"), at=at)
        case TenantFilesRemoved():
            work.finish((owner, stream, "tenant_removal"))


def _note_placement(work: _Work, recorded: Recorded) -> bool:
    """Whether the fact is one of bytes on their way, which then is noted."""
    key: _Key = (recorded.owner, recorded.stream, "place")
    at = recorded.at
    match recorded.event:
        case FileDeleted(bin_until=datetime()) | FileRestored() | VisibilityChanged() as moved:
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


_FAILURE_COUNT = "SELECT count(*) FROM unfinished_work_v3 WHERE failure IS NOT NULL"


async def failure_count(pool: Pool) -> int:
    """How much work of all owners failed for good. For the role media_worker."""
    async with connection(pool) as one:
        row = await (await one.execute(_FAILURE_COUNT)).fetchone()
    return int(row[0]) if row else 0


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

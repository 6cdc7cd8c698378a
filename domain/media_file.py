"""MediaFile: one uploaded file, from the permission to upload it to the removal of its bytes.

IngestRequested → UploadRequested | IngestFailed | IngestCancelled
UploadRequested → UploadCompleted | UploadExpired | UploadRejected | UploadCancelled
(ScanRequested → ScanPassed | ScanFailed between, where there is a scanner: domain/scanning.py)
UploadCompleted → FileDeleted → FileRestored, any number of times (`domain/bin.py`)
every ending → ObjectsPurged (PurgeFailed → PurgeRetried between)
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Self

import msgspec

from domain.derived import Derived, changes_resource
from domain.errors import Infected, MediaNotFound, UploadIncomplete, UploadMismatch, recalled
from domain.errors import UploadExpired as UploadHasExpired
from domain.event import Event, Recorded
from domain.media_file_changes import Status, bin_changes, ingest_changes
from domain.media_file_events import (
    INFECTED,
    Ending,
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
    UploadRequested,
    VerificationDeferred,
)
from domain.placement import Binned, Home, Placement
from domain.scan_events import Scan

__all__ = ["UPLOAD_URL_LIFETIME", "VERIFICATION_TIME_LIMIT", "MediaFile", "Status"]

UPLOAD_URL_LIFETIME = timedelta(hours=1)
"""Spec 6.7."""
VERIFICATION_TIME_LIMIT = timedelta(seconds=60)
"""No verification writes an object later than this after it began; what is deleted while one
may still run is purged once more when it no longer can."""


class MediaFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file as its events tell it. Decisions return events and change nothing."""

    id: str
    owner: str
    file_name: str
    file_size: int
    mime_type: str
    service_code: str
    key: str
    is_public: bool
    uploaded_by: str
    sha256: str | None
    status: Status
    created_at: datetime
    updated_at: datetime
    version: int
    position: int
    completed_at: datetime | None = None
    settles_at: datetime | None = None
    rejection: str | None = None
    rejection_code: str = UploadMismatch.code
    deferred: bool = False
    purged: bool = False
    purge_failed: bool = False
    derived: Derived = Derived()
    scan: Scan = Scan()
    in_bin: Binned | None = None
    """None in the library, and once it left the bin for good."""
    placement: Placement = Placement()

    @classmethod
    def from_history(cls, history: Iterable[Recorded]) -> Self | None:
        """Fold a stream; None when it is empty."""
        file: Self | None = None
        for recorded in history:
            file = cls.evolve(file, recorded)
        return file

    @classmethod
    def evolve(cls, file: Self | None, recorded: Recorded) -> Self:
        """The state after one more event."""
        if file is None:
            return cls._begun(recorded)

        def ended(status: Status, event: Ending) -> dict[str, object]:
            return {"status": status, "settles_at": event.settles_at, "updated_at": recorded.at}

        changes = ingest_changes(recorded) | bin_changes(recorded)
        if changes_resource(recorded):
            changes = {"updated_at": recorded.at}
        match recorded.event:
            case VerificationDeferred():
                changes = {"deferred": True}
            case UploadCompleted() as completed:
                changes = {
                    "status": Status.UPLOADED,
                    "file_size": completed.file_size,
                    "completed_at": recorded.at,
                    "updated_at": recorded.at,
                }
            case UploadRejected() as rejected:
                changes = ended(Status.REJECTED, rejected) | _rejection(rejected)
            case UploadExpired() as expired:
                changes = ended(Status.EXPIRED, expired)
            case UploadCancelled() | FileDeleted() as deleted:
                changes = ended(Status.DELETED, deleted) | changes
            case ObjectsPurged():
                changes = {"purged": True, "purge_failed": False}
            case PurgeFailed():
                changes = {"purge_failed": True}
            case PurgeRetried():
                changes = {"purge_failed": False}
        changes["derived"] = file.derived.evolve(recorded)
        return msgspec.structs.replace(
            file,
            version=recorded.version,
            position=recorded.position,
            scan=file.scan.evolve(recorded),
            placement=file.placement.after(recorded),
            **changes,
        )

    @classmethod
    def _begun(cls, recorded: Recorded) -> Self:
        begun = recorded.event
        if isinstance(begun, IngestRequested):
            name, size, mime_type, key, sha256 = begun.file_name or "", 0, "", "", None
        elif isinstance(begun, UploadRequested):
            name, size, mime_type = begun.file_name, begun.file_size, begun.mime_type
            key, sha256 = begun.key, begun.sha256
        else:
            raise ValueError(f"{recorded.stream} does not begin with a request")  # noqa: TRY004 - a broken stream
        return cls(
            id=recorded.stream,
            owner=recorded.owner,
            file_name=name,
            file_size=size,
            mime_type=mime_type,
            service_code=begun.service_code,
            key=key,
            is_public=begun.is_public,
            uploaded_by=begun.uploaded_by,
            sha256=sha256,
            status=Status.PENDING,
            created_at=recorded.at,
            updated_at=recorded.at,
            version=recorded.version,
            position=recorded.position,
        )

    @property
    def ended(self) -> bool:
        """Whether the life of the file is over and its bytes are to go."""
        over = {Status.REJECTED, Status.EXPIRED, Status.DELETED}
        return self.status in over and self.in_bin is None

    @property
    def belongs(self) -> Home | None:
        """The bucket its bytes are to stand in; None where they are nowhere yet, or no more."""
        if self.in_bin is not None:
            return "private"
        if self.status is not Status.UPLOADED:
            return None
        return "public" if self.is_public else "private"

    def last_write(self, *, at: datetime) -> datetime:
        """When nothing that began before can still be writing an object of this uploaded file.

        A second, slower complete may still be copying, but only one that began before the first
        was recorded: which is up to one limit after `completed_at`, the time at which the first
        began, and the second then has a limit of its own. So may a placement.
        """
        completed = (self.completed_at or at) + 2 * VERIFICATION_TIME_LIMIT
        return max(at, completed, self.placement.last_write(at=at))

    @property
    def awaits_source(self) -> bool:
        """Whether an ingest has not fetched the bytes yet: type, size and key are unknown."""
        return self.status is Status.PENDING and not self.key

    def check_completable(self, *, at: datetime, pending_lifetime: timedelta) -> None:
        """Raise what a complete at this time must answer before any byte is looked at."""
        match self.status:
            case Status.REJECTED:
                raise recalled(self.rejection_code, self.rejection or "The upload was rejected.")
            case Status.EXPIRED:
                raise UploadHasExpired("The upload was not completed in time.")
            case Status.DELETED:
                raise MediaNotFound(self.id)
            case Status.PENDING if self._is_late(at, pending_lifetime):
                raise UploadHasExpired("The upload was not completed in time.")
            case _:
                return

    def refuse_missing_object(self, *, at: datetime) -> UploadIncomplete | UploadHasExpired:
        """What to answer when nothing is stored: too early, or the URL's hour is over."""
        if at >= self.created_at + UPLOAD_URL_LIFETIME:
            return UploadHasExpired("Upload expired, please try again.")
        return UploadIncomplete("The file has not been uploaded yet.")

    def complete(self, *, served_bytes: int) -> list[Event]:
        """Decide that the verified bytes are the file. [] when they already are."""
        if self.status is Status.UPLOADED:
            return []
        if self.status is not Status.PENDING:
            raise ValueError(f"complete of a file that is {self.status}")
        return [
            UploadCompleted(
                file_name=self.file_name,
                file_size=served_bytes,
                mime_type=self.mime_type,
                service_code=self.service_code,
                key=self.key,
                is_public=self.is_public,
                uploaded_by=self.uploaded_by,
                requested_at=self.created_at,
            )
        ]

    def defer_verification(self) -> list[Event]:
        """Decide that a worker finishes the verification."""
        if self.status is not Status.PENDING or self.deferred or self.scan.waiting:
            return []
        return [VerificationDeferred()]

    def reject(self, *, reason: str, detail: str, at: datetime) -> list[Event]:
        """Decide that the bytes are not what was declared."""
        if self.status is not Status.PENDING:
            return []
        return [
            UploadRejected(
                key=self.key,
                reason=reason,
                detail=detail,
                settles_at=at + VERIFICATION_TIME_LIMIT,
            )
        ]

    def expire(self, *, at: datetime, pending_lifetime: timedelta) -> list[Event]:
        """Decide that the time for completing is over. [] when it is not, or the file moved on."""
        if self.status is not Status.PENDING or not self._is_late(at, pending_lifetime):
            return []
        if self.awaits_source:
            late = "The source was not fetched in time."
            return [IngestFailed(code=UploadHasExpired.code, detail=late)]
        return [UploadExpired(key=self.key, settles_at=at + VERIFICATION_TIME_LIMIT)]

    def _is_late(self, at: datetime, pending_lifetime: timedelta) -> bool:
        return at >= self.scan.extended(self.created_at + pending_lifetime)

    def delete(
        self, *, at: datetime, reason: str = "user", bin_for: timedelta = timedelta(0)
    ) -> list[Event]:
        """Decide to delete an uploaded file, or to cancel a pending upload.

        The file can be restored for the time `bin_for`; 0: its bytes go at once.
        Raises MediaNotFound when there is nothing left to delete.
        """
        match self.status:
            case Status.PENDING if self.awaits_source:
                return [IngestCancelled(reason=reason)]
            case Status.PENDING:
                settles_at = at + VERIFICATION_TIME_LIMIT
                return [UploadCancelled(key=self.key, reason=reason, settles_at=settles_at)]
            case Status.UPLOADED:
                return [
                    FileDeleted(
                        file_name=self.file_name,
                        file_size=self.file_size,
                        mime_type=self.mime_type,
                        service_code=self.service_code,
                        key=self.key,
                        is_public=self.is_public,
                        reason=reason,
                        settles_at=self.last_write(at=at),
                        bin_until=at + bin_for if bin_for else None,
                    )
                ]
            case _:
                raise MediaNotFound(self.id)

    def record_purge(self, *, at: datetime) -> list[Event]:
        """Decide that the bytes are gone for good, once nothing can write them any more."""
        if not self.ended or self.purged or self.settles_at is None or at < self.settles_at:
            return []
        return [ObjectsPurged(key=self.key)]

    def record_purge_failure(self, *, error: str) -> list[Event]:
        """Decide that the removal of the bytes has failed for good."""
        if not self.ended or self.purged or self.purge_failed:
            return []
        return [PurgeFailed(key=self.key, error=error)]

    def retry_purge(self) -> list[Event]:
        """Decide to try the removal of the bytes again, after it had failed."""
        return [PurgeRetried(key=self.key)] if self.purge_failed else []


def _rejection(rejected: UploadRejected) -> dict[str, object]:
    code = Infected.code if rejected.reason == INFECTED else UploadMismatch.code
    return {"rejection": rejected.detail, "rejection_code": code}

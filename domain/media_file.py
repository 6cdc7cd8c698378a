"""MediaFile: one uploaded file, from the permission to upload it to the removal of its bytes.

IngestRequested → UploadRequested | IngestFailed | IngestCancelled
UploadRequested → UploadCompleted | UploadExpired | UploadRejected | UploadCancelled
UploadCompleted → FileDeleted; every ending → ObjectsPurged (PurgeFailed → PurgeRetried between)
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

import msgspec

from domain.derived import Derived, changes_resource
from domain.errors import MediaNotFound, UploadIncomplete, UploadMismatch, recalled
from domain.errors import UploadExpired as UploadHasExpired
from domain.event import Event, Recorded
from domain.media_file_events import (
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

UPLOAD_URL_LIFETIME = timedelta(hours=1)
"""Spec 6.7."""
VERIFICATION_TIME_LIMIT = timedelta(seconds=60)
"""No verification writes an object later than this after it began; what is deleted while one
may still run is purged once more when it no longer can."""


class Status(StrEnum):
    """Where a file is in its life."""

    PENDING = "pending_upload"
    UPLOADED = "uploaded"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DELETED = "deleted"


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

        changes = _ingest_changes(recorded)
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
                changes = ended(Status.REJECTED, rejected) | {"rejection": rejected.detail}
            case UploadExpired() as expired:
                changes = ended(Status.EXPIRED, expired)
            case UploadCancelled() | FileDeleted() as deleted:
                changes = ended(Status.DELETED, deleted)
            case ObjectsPurged():
                changes = {"purged": True, "purge_failed": False}
            case PurgeFailed():
                changes = {"purge_failed": True}
            case PurgeRetried():
                changes = {"purge_failed": False}
        changes["derived"] = file.derived.evolve(recorded)
        return msgspec.structs.replace(
            file, version=recorded.version, position=recorded.position, **changes
        )

    @classmethod
    def _begun(cls, recorded: Recorded) -> Self:
        match recorded.event:
            case IngestRequested() as asked:
                return cls(
                    id=recorded.stream,
                    owner=recorded.owner,
                    file_name=asked.file_name or "",
                    file_size=0,
                    mime_type="",
                    service_code=asked.service_code,
                    key="",
                    is_public=asked.is_public,
                    uploaded_by=asked.uploaded_by,
                    sha256=None,
                    status=Status.PENDING,
                    created_at=recorded.at,
                    updated_at=recorded.at,
                    version=recorded.version,
                    position=recorded.position,
                )
            case UploadRequested() as requested:
                return cls(
                    id=recorded.stream,
                    owner=recorded.owner,
                    file_name=requested.file_name,
                    file_size=requested.file_size,
                    mime_type=requested.mime_type,
                    service_code=requested.service_code,
                    key=requested.key,
                    is_public=requested.is_public,
                    uploaded_by=requested.uploaded_by,
                    sha256=requested.sha256,
                    status=Status.PENDING,
                    created_at=recorded.at,
                    updated_at=recorded.at,
                    version=recorded.version,
                    position=recorded.position,
                )
        raise ValueError(f"{recorded.stream} does not begin with a request")

    @property
    def ended(self) -> bool:
        """Whether the life of the file is over and its bytes are to go."""
        return self.status in {Status.REJECTED, Status.EXPIRED, Status.DELETED}

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
            case Status.PENDING if at >= self.created_at + pending_lifetime:
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
        if self.status is not Status.PENDING or self.deferred:
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
        if self.status is not Status.PENDING or at < self.created_at + pending_lifetime:
            return []
        if self.awaits_source:
            late = "The source was not fetched in time."
            return [IngestFailed(code=UploadHasExpired.code, detail=late)]
        return [UploadExpired(key=self.key, settles_at=at + VERIFICATION_TIME_LIMIT)]

    def delete(self, *, at: datetime, reason: str = "user") -> list[Event]:
        """Decide to delete an uploaded file, or to cancel a pending upload.

        Raises MediaNotFound when there is nothing left to delete.
        """
        match self.status:
            case Status.PENDING if self.awaits_source:
                return [IngestCancelled(reason=reason)]
            case Status.PENDING:
                settles_at = at + VERIFICATION_TIME_LIMIT
                return [UploadCancelled(key=self.key, reason=reason, settles_at=settles_at)]
            case Status.UPLOADED:
                # A second, slower complete may still be copying, but only one that began before
                # the first was recorded: which is up to one limit after `completed_at`, the time
                # at which the first began, and the second then has a limit of its own.
                last_write = (self.completed_at or at) + 2 * VERIFICATION_TIME_LIMIT
                return [
                    FileDeleted(
                        file_name=self.file_name,
                        file_size=self.file_size,
                        mime_type=self.mime_type,
                        service_code=self.service_code,
                        key=self.key,
                        is_public=self.is_public,
                        reason=reason,
                        settles_at=max(at, last_write),
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


def _ingest_changes(recorded: Recorded) -> dict[str, object]:
    """What an event of an ingest changes before its bytes are verified as any others are."""
    match recorded.event:
        case UploadRequested() as fetched:
            return {
                "file_name": fetched.file_name,
                "file_size": fetched.file_size,
                "mime_type": fetched.mime_type,
                "key": fetched.key,
                "sha256": fetched.sha256,
                "updated_at": recorded.at,
            }
        case IngestFailed() as failed:
            return {
                "status": Status.EXPIRED
                if failed.code == UploadHasExpired.code
                else Status.REJECTED,
                "rejection": failed.detail,
                "rejection_code": failed.code,
                "updated_at": recorded.at,
            }
        case IngestCancelled():
            return {"status": Status.DELETED, "updated_at": recorded.at}
    return {}

"""The facts of a file's life, as they are stored. Never edited: a change is a new version."""

from datetime import datetime
from typing import ClassVar

from domain.event import Event
from domain.placement_events import PLACEMENT_EVENTS, FilePurgeRequested

INFECTED = "infected"
"""The reason of a rejection by the malware scanner."""


class IngestRequested(Event, frozen=True, kw_only=True):
    """Someone asked for a copy of what a URL leads to; a worker fetches it."""

    TYPE: ClassVar[str] = "media_file.ingest_requested.v1"
    source: str
    """The URL without its query and fragment, which may hold secrets; one with credentials is
    refused."""
    service_code: str
    is_public: bool
    uploaded_by: str
    file_name: str | None
    """None when the source is to name the file."""


class IngestFailed(Event, frozen=True, kw_only=True):
    """The source could not be taken over; nothing was stored."""

    TYPE: ClassVar[str] = "media_file.ingest_failed.v1"
    code: str
    """`SSRF_BLOCKED`, `REDIRECT_LOOP`, `FILE_TOO_LARGE`, `UNSUPPORTED_MIME`, `SOURCE_UNAVAILABLE`,
    or `UPLOAD_EXPIRED` when nobody could fetch it in time."""
    detail: str


class IngestCancelled(Event, frozen=True, kw_only=True):
    """The ingest was called off before its source was fetched."""

    TYPE: ClassVar[str] = "media_file.ingest_cancelled.v1"
    reason: str
    """`user` or `tenant_removed`."""


class UploadRequested(Event, frozen=True, kw_only=True):
    """A file of this name, type and size is to stand in incoming, put there by a URL or ingest."""

    TYPE: ClassVar[str] = "media_file.upload_requested.v1"
    file_name: str
    file_size: int
    mime_type: str
    service_code: str
    key: str
    is_public: bool
    uploaded_by: str
    sha256: str | None


class VerificationDeferred(Event, frozen=True, kw_only=True):
    """A worker verifies the bytes: they were ingested, or a request may wait no longer."""

    TYPE: ClassVar[str] = "media_file.verification_deferred.v1"


class UploadCompleted(Event, frozen=True, kw_only=True):
    """The bytes were verified and stand under their key, in the public or the private bucket."""

    TYPE: ClassVar[str] = "media_file.upload_completed.v1"
    file_name: str
    file_size: int
    """Of the served bytes."""
    mime_type: str
    service_code: str
    key: str
    is_public: bool
    uploaded_by: str
    requested_at: datetime


class UploadRejected(Event, frozen=True, kw_only=True):
    """The stored bytes were not what was declared; the upload is over and the bytes are removed."""

    TYPE: ClassVar[str] = "media_file.upload_rejected.v1"
    key: str
    reason: str
    """A stable code. Of the object: `size`, `type`, `sha256`. Of its bytes: `content` (not of the
    declared type), `truncated`, `damaged`, `polyglot` (an archive too), `encrypted`, `svg` (a
    drawing that declares entities or reaches outside), `limits` (too many pixels, frames or
    pages). Of the decoder: `time`, `memory`, `crash`. Of the scanner: `infected`."""
    detail: str
    settles_at: datetime


class UploadExpired(Event, frozen=True, kw_only=True):
    """Nobody completed the upload in time."""

    TYPE: ClassVar[str] = "media_file.upload_expired.v1"
    key: str
    settles_at: datetime


class UploadCancelled(Event, frozen=True, kw_only=True):
    """The upload was called off before it was completed."""

    TYPE: ClassVar[str] = "media_file.upload_cancelled.v1"
    key: str
    reason: str
    """`user` or `tenant_removed`."""
    settles_at: datetime


class FileDeleted(Event, frozen=True, kw_only=True):
    """The file left the library, for the bin or for good."""

    TYPE: ClassVar[str] = "media_file.file_deleted.v2"
    file_name: str
    file_size: int
    mime_type: str
    service_code: str
    key: str
    is_public: bool
    reason: str
    """`user` or `tenant_removed`."""
    settles_at: datetime
    """From then on nothing that began before can still be writing an object of this file."""
    bin_until: datetime | None
    """Until then it can be restored; None: its bytes are to be removed from every bucket."""


class ObjectsPurged(Event, frozen=True, kw_only=True):
    """No bucket holds a byte of the file any more."""

    TYPE: ClassVar[str] = "media_file.objects_purged.v1"
    key: str


class PurgeFailed(Event, frozen=True, kw_only=True):
    """Removing the bytes was tried as often as allowed, in vain; an operator must look."""

    TYPE: ClassVar[str] = "media_file.purge_failed.v1"
    key: str
    error: str


class PurgeRetried(Event, frozen=True, kw_only=True):
    """An operator asked for the removal of the bytes to be tried again."""

    TYPE: ClassVar[str] = "media_file.purge_retried.v1"
    key: str


Ending = UploadRejected | UploadExpired | UploadCancelled | FileDeleted | FilePurgeRequested

MEDIA_FILE_EVENTS: tuple[type[Event], ...] = (
    IngestRequested,
    IngestFailed,
    IngestCancelled,
    UploadRequested,
    VerificationDeferred,
    UploadCompleted,
    UploadRejected,
    UploadExpired,
    UploadCancelled,
    FileDeleted,
    ObjectsPurged,
    PurgeFailed,
    PurgeRetried,
    *PLACEMENT_EVENTS,
)

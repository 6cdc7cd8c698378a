"""What single events change in a `MediaFile`, by capability; its own `evolve` does the rest."""

from datetime import datetime
from enum import StrEnum

from domain.errors import UploadExpired as UploadHasExpired
from domain.event import Recorded
from domain.media_file_events import (
    FileDeleted,
    IngestCancelled,
    IngestFailed,
    UploadRequested,
)
from domain.placement import Binned
from domain.placement_events import FilePurgeRequested, FileRestored, VisibilityChanged


class Status(StrEnum):
    """Where a file is in its life."""

    PENDING = "pending_upload"
    UPLOADED = "uploaded"
    REJECTED = "rejected"
    EXPIRED = "expired"
    DELETED = "deleted"


def ingest_changes(recorded: Recorded) -> dict[str, object]:
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


def bin_changes(recorded: Recorded) -> dict[str, object]:
    """What an event of the bin, or of a file's visibility, changes (`domain/bin.py`)."""
    at = recorded.at
    match recorded.event:
        case FileDeleted(bin_until=datetime() as until):
            return {"in_bin": Binned(at, recorded.actor, until)}
        case FilePurgeRequested() as purged:
            return {"in_bin": None, "settles_at": purged.settles_at}
        case FileRestored():
            restored = {"status": Status.UPLOADED, "in_bin": None, "settles_at": None}
            return {**restored, "updated_at": at}
        case VisibilityChanged() as changed:
            return {"is_public": changed.is_public, "updated_at": at}
    return {}

"""The whole pipeline on one screen: whenever this happened, that is to be done. Pure."""

from collections.abc import Sequence
from datetime import datetime

from application.jobs import (
    DiscardIncoming,
    FetchSource,
    Job,
    PlaceObjects,
    PurgeObjects,
    RemoveTenantFiles,
    VerifyUpload,
)
from domain.event import Recorded
from domain.media_file_events import (
    FileDeleted,
    IngestRequested,
    PurgeRetried,
    UploadCancelled,
    UploadCompleted,
    UploadExpired,
    UploadRejected,
    VerificationDeferred,
)
from domain.placement_events import FilePurgeRequested, FileRestored, VisibilityChanged
from domain.tenant import TenantRemoved


def react(recorded: Recorded) -> Sequence[Job]:
    """The jobs an event calls for."""
    stream = recorded.stream
    match recorded.event:
        case IngestRequested():
            return [FetchSource(media_id=stream)]
        case UploadCompleted() as event:
            return [DiscardIncoming(media_id=stream, key=event.key)]
        case VerificationDeferred():
            return [VerifyUpload(media_id=stream)]
        case FileDeleted(bin_until=datetime()) | FileRestored() | VisibilityChanged() as event:
            return _until_settled(PlaceObjects, recorded, event.settles_at)
        case UploadRejected() | UploadExpired() | UploadCancelled() | FileDeleted() as event:
            return _until_settled(PurgeObjects, recorded, event.settles_at)
        case FilePurgeRequested() as event:
            return _until_settled(PurgeObjects, recorded, event.settles_at)
        case PurgeRetried():
            return [PurgeObjects(media_id=stream)]
        case TenantRemoved():
            return [RemoveTenantFiles(tenant_id=stream.removeprefix("tenant_"))]
    return []


def _until_settled(
    kind: type[PlaceObjects | PurgeObjects], recorded: Recorded, settles_at: datetime
) -> Sequence[Job]:
    """At once, and once more when nothing that began before can still be writing."""
    now = kind(media_id=recorded.stream)
    if settles_at <= recorded.at:
        return [now]
    return [now, kind(media_id=recorded.stream, not_before=settles_at)]

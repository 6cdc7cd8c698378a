"""The whole pipeline on one screen: whenever this happened, that is to be done. Pure."""

from collections.abc import Sequence

from application.jobs import (
    ClearRenditions,
    DeriveRendition,
    DiscardIncoming,
    FetchSource,
    InspectFile,
    Job,
    PurgeObjects,
    RemoveTenantFiles,
    ScanUpload,
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
from domain.rendition import has_renditions
from domain.rendition_events import RenditionRequested, RenditionStored
from domain.scan_events import ScanRequested
from domain.tenant import TenantRemoved


def react(recorded: Recorded) -> Sequence[Job]:
    """The jobs an event calls for."""
    stream = recorded.stream
    match recorded.event:
        case IngestRequested():
            return [FetchSource(media_id=stream)]
        case UploadCompleted() as event:
            return [DiscardIncoming(media_id=stream, key=event.key), InspectFile(media_id=stream)]
        case RenditionRequested() as event:
            return [DeriveRendition(media_id=stream, preset=event.preset, format=event.format)]
        case RenditionStored(replaces=str()):
            return [ClearRenditions(media_id=stream)]
        case VerificationDeferred():
            return [VerifyUpload(media_id=stream)]
        case ScanRequested():
            return [ScanUpload(media_id=stream)]
        case UploadRejected() | UploadExpired() | UploadCancelled() | FileDeleted() as event:
            jobs: list[Job] = [PurgeObjects(media_id=stream)]
            if event.settles_at > recorded.at:
                jobs.append(PurgeObjects(media_id=stream, not_before=event.settles_at))
            if isinstance(event, FileDeleted) and has_renditions(event.mime_type):
                jobs.append(ClearRenditions(media_id=stream))
            return jobs
        case PurgeRetried():
            return [PurgeObjects(media_id=stream)]
        case TenantRemoved():
            return [RemoveTenantFiles(tenant_id=stream.removeprefix("tenant_"))]
    return []

"""The whole pipeline on one screen: whenever this happened, that is to be done. Pure."""

from collections.abc import Sequence
from datetime import datetime

from application.jobs import (
    ClearRenditions,
    DeriveRendition,
    DiscardIncoming,
    FetchSource,
    InspectFile,
    Job,
    PurgeCache,
    PurgeObjects,
    RemoveTenantFiles,
    VerifyUpload,
)
from domain.cache_events import CachePurged, CachePurgeRequested
from domain.event import Recorded
from domain.media_file_events import (
    FileDeleted,
    IngestRequested,
    ObjectsPurged,
    PurgeRetried,
    UploadCancelled,
    UploadCompleted,
    UploadExpired,
    UploadRejected,
    VerificationDeferred,
)
from domain.rendition import has_renditions
from domain.rendition_events import RenditionRequested, RenditionsRemoved, RenditionStored
from domain.tenant import TenantRemoved


def react(recorded: Recorded) -> Sequence[Job]:
    """The jobs an event calls for."""
    return [*_react(recorded), *_caches(recorded)]


def _caches(recorded: Recorded) -> Sequence[Job]:
    """Caches are told whenever what they keep is no longer what they would be given."""
    stream = recorded.stream
    match recorded.event:
        case FileDeleted(is_public=True) | ObjectsPurged() | CachePurgeRequested():
            return [PurgeCache(media_id=stream)]
        case RenditionsRemoved(keys=keys) if keys:
            return [PurgeCache(media_id=stream)]
        case CachePurged(again_at=datetime() as again_at):
            return [PurgeCache(media_id=stream, not_before=again_at)]
    return []


def _react(recorded: Recorded) -> Sequence[Job]:
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

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
    PlaceObjects,
    PurgeCache,
    PurgeObjects,
    RemoveTenantFiles,
    ScanUpload,
    VerifyUpload,
)
from domain.cache_events import CachePurged, CachePurgeRequested
from domain.event import Event, Recorded
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
from domain.placement_events import (
    FilePurgeRequested,
    FileRestored,
    ObjectsPlaced,
    PlacementRequested,
    VisibilityChanged,
)
from domain.rendition import is_pictured
from domain.rendition_events import RenditionRequested, RenditionsRemoved, RenditionStored
from domain.scan_events import ScanRequested
from domain.tenant import TenantRemoved


def react(recorded: Recorded) -> Sequence[Job]:
    """The jobs an event calls for."""
    return [*_react(recorded), *_caches(recorded)]


def _caches(recorded: Recorded) -> Sequence[Job]:
    """Caches are told whenever what they keep is no longer what they would be given."""
    stream = recorded.stream
    match recorded.event:
        case FileDeleted(is_public=True) | FileRestored(is_public=True) | VisibilityChanged():
            return [PurgeCache(media_id=stream)]
        case ObjectsPlaced() | ObjectsPurged() | CachePurgeRequested():
            # The first two where a purge waits for them; else the job finds nothing to do.
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
        case ScanRequested():
            return [ScanUpload(media_id=stream)]
        case (
            FileDeleted(bin_until=datetime())
            | FileRestored()
            | VisibilityChanged()
            | PlacementRequested() as event
        ):
            jobs = _until_settled(PlaceObjects, recorded, event.settles_at)
            return [*jobs, *_renditions(stream, event)]
        case UploadRejected() | UploadExpired() | UploadCancelled() | FileDeleted() as event:
            jobs = _until_settled(PurgeObjects, recorded, event.settles_at)
            return [*jobs, *_renditions(stream, event)]
        case FilePurgeRequested() as event:
            return _until_settled(PurgeObjects, recorded, event.settles_at)
        case PurgeRetried():
            return [PurgeObjects(media_id=stream)]
        case TenantRemoved():
            return [RemoveTenantFiles(tenant_id=stream.removeprefix("tenant_"))]
    return []


def _renditions(stream: str, event: Event) -> Sequence[Job]:
    """They belong to one place of the file: removed when it leaves it, made anew where it is."""
    clear, inspect = ClearRenditions(media_id=stream), InspectFile(media_id=stream)
    match event:
        case FileDeleted(key=key) if is_pictured(key):
            return [clear]
        case VisibilityChanged(key=key) if is_pictured(key):
            return [clear, inspect]
        case FileRestored(key=key) if is_pictured(key):
            return [inspect]
    return []


def _until_settled(
    kind: type[PlaceObjects | PurgeObjects], recorded: Recorded, settles_at: datetime
) -> Sequence[Job]:
    """At once, and once more when nothing that began before can still be writing."""
    now = kind(media_id=recorded.stream)
    if settles_at <= recorded.at:
        return [now]
    return [now, kind(media_id=recorded.stream, not_before=settles_at)]

"""What caches have not been told yet. Used by `unfinished_work.py`."""

from domain.cache_events import CachePurged, CachePurgeFailed, CachePurgeRequested
from domain.event import Event, Recorded
from domain.media_file_events import FileDeleted
from domain.placement_events import FileRestored, VisibilityChanged
from domain.rendition_events import RenditionsRemoved
from projections.work_notes import Key, Work

EVENTS: tuple[type[Event], ...] = (CachePurgeRequested, CachePurged, CachePurgeFailed)


def note_caches(work: Work, recorded: Recorded) -> None:
    """A purge comes due with what calls for it, as in `domain/cache_purge.py`."""
    key: Key = (recorded.owner, recorded.stream, "cache")
    match recorded.event:
        case (
            FileDeleted(is_public=True)
            | FileRestored(is_public=True)
            | VisibilityChanged()
            | CachePurgeRequested()
        ):
            work.begin(key, at=recorded.at)
        case RenditionsRemoved(keys=keys) if keys:
            work.begin(key, at=recorded.at)
        case CachePurged(again_at=None):
            work.finish(key)
        case CachePurged(again_at=again_at):
            work.begin(key, at=recorded.at, not_before=again_at)
        case CachePurgeFailed() as failed:
            work.fail(key, at=recorded.at, failure=failed.error)

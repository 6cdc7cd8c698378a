"""What is unfinished about inspections and renditions. Used by `unfinished_work.py`."""

from domain.event import Event, Recorded
from domain.media_file_events import FileDeleted, ObjectsPurged, UploadCompleted
from domain.placement_events import FileRestored, VisibilityChanged
from domain.rendition import is_pictured
from domain.rendition_events import (
    InspectionFailed,
    MediaInspected,
    RenditionFailed,
    RenditionRequested,
    RenditionsRemoved,
    RenditionStored,
)
from projections.work_notes import DERIVE, Work

EVENTS: tuple[type[Event], ...] = (
    MediaInspected,
    InspectionFailed,
    RenditionRequested,
    RenditionStored,
    RenditionFailed,
    RenditionsRemoved,
)


def derive_kind(preset: str, mime_type: str) -> str:
    """The kind of work that one rendition is."""
    return f"{DERIVE}{preset} {mime_type}"


def note_renditions(work: Work, recorded: Recorded) -> None:
    """Inspections and renditions come due and are done; what is left of them is cleared away."""
    owner, stream, at = recorded.owner, recorded.stream, recorded.at
    match recorded.event:
        case UploadCompleted():
            work.begin((owner, stream, "inspect"), at=at)
        case FileDeleted() | VisibilityChanged() as left:
            work.finish((owner, stream, "inspect"))
            work.end_renditions(owner, stream)
            if is_pictured(left.key):
                work.begin((owner, stream, "clear"), at=at)
                if isinstance(left, VisibilityChanged):
                    work.begin((owner, stream, "inspect"), at=at)
        case FileRestored() as back if is_pictured(back.key):
            work.begin((owner, stream, "inspect"), at=at)
        case MediaInspected() | InspectionFailed():
            work.finish((owner, stream, "inspect"))
        case RenditionRequested() as asked:
            work.begin((owner, stream, derive_kind(asked.preset, asked.format)), at=at)
        case RenditionStored() | RenditionFailed() as made:
            work.finish((owner, stream, derive_kind(made.preset, made.format)))
            if isinstance(made, RenditionStored) and made.replaces is not None:
                work.begin((owner, stream, "clear"), at=at)
        case RenditionsRemoved() | ObjectsPurged():
            work.finish((owner, stream, "clear"))

"""Undo: what takes back what one command did to one file, or why that is not possible.

The inverse is decided on the whole stream: what happened since may stand in the way.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum

from domain import bin as bin_
from domain.event import Event, Recorded
from domain.media_file import MediaFile, Status
from domain.media_file_events import FileDeleted, IngestCancelled, UploadCancelled
from domain.placement_events import FileRestored, VisibilityChanged

UNDOABLE = (FileDeleted, FileRestored, VisibilityChanged)
CANCELLED = (UploadCancelled, IngestCancelled)


class Obstacle(StrEnum):
    """Why a file keeps what was done to it; the codes of `UNDO_IMPOSSIBLE`."""

    CANCELLED = "CANCELLED"
    """It was an upload under way, which the command called off: there was no file yet."""
    NO_BIN = "NO_BIN"
    """It was deleted for good: there was no bin then."""
    PURGED = "PURGED"
    """Its bytes are gone, or its time in the bin is over."""
    CHANGED = "CHANGED"
    """Another command has restored, deleted or changed it since."""


def is_undoable(done: Sequence[Recorded]) -> bool:
    """Whether the events of one command on one file have an inverse at all."""
    return bool(done) and all(isinstance(one.event, UNDOABLE + CANCELLED) for one in done)


def undo(
    history: Sequence[Recorded], done: Recorded, *, at: datetime, bin_for: timedelta
) -> list[Event] | Obstacle:
    """The events that take one back, given all the events of its file."""
    file = MediaFile.from_history(history)
    if file is None:
        raise ValueError(f"{done.stream} has no history")
    match done.event:
        case UploadCancelled() | IngestCancelled():
            return Obstacle.CANCELLED
        case FileDeleted(bin_until=None):
            return Obstacle.NO_BIN
        case FileDeleted():
            if file.status is Status.DELETED and (file.in_bin is None or at >= file.in_bin.until):
                return Obstacle.PURGED
            if file.in_bin is None or file.placement.moved_by != done.command_id:
                return Obstacle.CHANGED
            return bin_.restore(file, at=at)
        case FileRestored():
            if _moved_on(file, done):
                return Obstacle.CHANGED
            return file.delete(at=at, bin_for=bin_for)
        case VisibilityChanged() as changed:
            if _moved_on(file, done):
                return Obstacle.CHANGED
            return bin_.change_visibility(file, is_public=not changed.is_public, at=at)
    raise ValueError(f"{done.event.TYPE} has no inverse")


def _moved_on(file: MediaFile, done: Recorded) -> bool:
    return file.status is not Status.UPLOADED or file.placement.moved_by != done.command_id

"""What was found in a file and made from it, as its events tell it: a part of MediaFile."""

from collections.abc import Mapping
from typing import Self

import msgspec

from domain.event import Recorded
from domain.media_file_events import FileDeleted, ObjectsPurged, UploadCompleted
from domain.placement_events import FileRestored, VisibilityChanged
from domain.rendition import is_pictured
from domain.rendition_events import (
    RENDITION_EVENTS,
    InspectionFailed,
    MediaInspected,
    PosterStored,
    RenditionFailed,
    RenditionRequested,
    RenditionsRemoved,
    RenditionStored,
)


class Derived(msgspec.Struct, frozen=True, kw_only=True):
    """Facts, poster and renditions of one file. All but the facts are void once it is deleted."""

    inspected: MediaInspected | None = None
    inspection_failure: InspectionFailed | None = None
    poster: PosterStored | None = None
    stored: Mapping[tuple[str, str], RenditionStored] = {}
    """By preset and MIME type."""
    failed: Mapping[tuple[str, str], RenditionFailed] = {}
    requested: Mapping[tuple[str, str], RenditionRequested] = {}
    """Asked for and neither stored nor failed."""
    due: bool = False
    """Whether the file is to be looked into, and what is made at once to be made."""
    obsolete: tuple[str, ...] = ()
    """Keys of objects that are to be removed."""
    to_clear: bool = False
    """Whether somebody is to look for what may be left of renditions."""
    life: int = 0
    """Version of the event since which renditions are made for where the file stands now."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Of the objects that belong to the file, poster included."""
        poster = () if self.poster is None else (self.poster.key,)
        return (*poster, *(one.key for one in self.stored.values()))

    def evolve(self, recorded: Recorded) -> Self:
        """The state after one more event of the file."""
        changes: dict[str, object] = {}
        match recorded.event:
            case UploadCompleted():
                changes = {"due": True, "life": recorded.version}
            case FileDeleted() as deleted:
                changes = self._void(recorded.version, deleted.key) | {"due": False}
            case VisibilityChanged() as moved:
                changes = self._void(recorded.version, moved.key)
            case FileRestored() as restored:
                changes = {"due": is_pictured(restored.key), "life": recorded.version}
            case ObjectsPurged():
                changes = {"obsolete": (), "to_clear": False}
            case MediaInspected() as inspected:
                changes = {"inspected": inspected, "inspection_failure": None, "due": False}
            case InspectionFailed() as failure:
                changes = {"inspection_failure": failure, "due": False}
            case PosterStored() as poster:
                changes = {"poster": poster}
            case RenditionsRemoved() as removed:
                left = tuple(key for key in self.obsolete if key not in removed.keys)
                changes = {"obsolete": left, "to_clear": bool(left)}
            case RenditionRequested() | RenditionStored() | RenditionFailed():
                changes = self._rendition(recorded.event)
        return msgspec.structs.replace(self, **changes)

    def _rendition(
        self, event: RenditionRequested | RenditionStored | RenditionFailed
    ) -> dict[str, object]:
        name = (event.preset, event.format)
        requested = {key: one for key, one in self.requested.items() if key != name}
        failed = {key: one for key, one in self.failed.items() if key != name}
        match event:
            case RenditionRequested():
                return {"requested": requested | {name: event}, "failed": failed}
            case RenditionFailed():
                return {"requested": requested, "failed": failed | {name: event}}
        old = self.stored.get(name)
        replaced = () if old is None or old.key == event.key else (old.key,)
        return {
            "requested": requested,
            "failed": failed,
            "stored": {**self.stored, name: event},
            "obsolete": (*self.obsolete, *replaced),
            "to_clear": self.to_clear or bool(replaced),
        }

    def _void(self, version: int, key: str) -> dict[str, object]:
        """The file leaves the place its renditions stand in."""
        return {
            "inspection_failure": None,
            "to_clear": is_pictured(key),
            "due": is_pictured(key),
            "poster": None,
            "stored": {},
            "failed": {},
            "requested": {},
            "obsolete": (*self.obsolete, *self.keys),
            "life": version,
        }


def changes_resource(recorded: Recorded) -> bool:
    """Whether the event is one of ours that changes what the file's resource shows."""
    shown = (RenditionRequested, RenditionsRemoved)
    return isinstance(recorded.event, RENDITION_EVENTS) and not isinstance(recorded.event, shown)

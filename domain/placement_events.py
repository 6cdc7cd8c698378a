"""Facts about where the bytes of a file belong, as they are stored. Never edited: a new version."""

from datetime import datetime
from typing import ClassVar

from domain.event import Event


class FileRestored(Event, frozen=True, kw_only=True):
    """The file came back out of the bin; its bytes belong where they were before."""

    TYPE: ClassVar[str] = "media_file.file_restored.v1"
    file_name: str
    file_size: int
    mime_type: str
    service_code: str
    key: str
    is_public: bool
    settles_at: datetime
    """From then on nothing that began before can still be writing an object of this file."""


class VisibilityChanged(Event, frozen=True, kw_only=True):
    """The file became public or private; its bytes belong into the other bucket."""

    TYPE: ClassVar[str] = "media_file.visibility_changed.v1"
    key: str
    is_public: bool
    settles_at: datetime
    """As in FileRestored."""


class PlacementRequested(Event, frozen=True, kw_only=True):
    """A check of the buckets found the bytes elsewhere: they are to be where they belong."""

    TYPE: ClassVar[str] = "media_file.placement_requested.v1"
    key: str
    settles_at: datetime
    """As in FileRestored."""


class ObjectsPlaced(Event, frozen=True, kw_only=True):
    """The bytes stand where they belong, and no late writer can change that."""

    TYPE: ClassVar[str] = "media_file.objects_placed.v1"
    key: str
    bucket: str
    """`public` or `private`."""


class PlacementFailed(Event, frozen=True, kw_only=True):
    """Moving the bytes was tried as often as a job may be, in vain; it is tried on."""

    TYPE: ClassVar[str] = "media_file.placement_failed.v1"
    key: str
    error: str


class FilePurgeRequested(Event, frozen=True, kw_only=True):
    """The file left the bin for good: its bytes are to be removed from every bucket."""

    TYPE: ClassVar[str] = "media_file.file_purge_requested.v1"
    key: str
    reason: str
    """`retention` (its time was over), `user`, `tenant_removed`, or `not_kept`: it could not be
    moved into the private bucket, and must not stay in the public one."""
    settles_at: datetime
    """As in FileRestored."""


PLACEMENT_EVENTS: tuple[type[Event], ...] = (
    FileRestored,
    VisibilityChanged,
    PlacementRequested,
    ObjectsPlaced,
    PlacementFailed,
    FilePurgeRequested,
)

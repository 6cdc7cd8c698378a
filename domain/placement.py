"""Where the bytes of a file belong, and since when: part of `MediaFile`, folded from its events.

Nothing here asks a bucket. `application/placement.py` makes it so.
"""

from datetime import datetime, timedelta
from typing import Literal, Self

import msgspec

from domain.event import Recorded
from domain.media_file_events import FileDeleted
from domain.placement_events import (
    FilePurgeRequested,
    FileRestored,
    ObjectsPlaced,
    PlacementFailed,
    PlacementRequested,
    VisibilityChanged,
)

Home = Literal["public", "private"]
"""The bucket a living or binned file stands in."""

PLACEMENT_TIME_LIMIT = timedelta(seconds=60)
"""No placement writes an object later than this after it read what the file is."""


class Binned(msgspec.Struct, frozen=True):
    """A file in the bin."""

    at: datetime
    by: str
    """Who deleted it, as recorded: `user:<id>`."""
    until: datetime
    """From then on it cannot be restored."""


class Placement(msgspec.Struct, frozen=True):
    """How far the bytes are where they belong."""

    moving: bool = False
    """Whether a fact has sent them elsewhere and ObjectsPlaced does not answer it yet."""
    settles_at: datetime | None = None
    """Of that fact."""
    placed_at: datetime | None = None
    failed: bool = False
    """Whether an operator sees that they do not arrive."""
    moved_by: str = ""
    """The command that last sent them, or would have sent them, elsewhere."""

    def after(self, recorded: Recorded) -> Self:
        """The same after one more event."""
        match recorded.event:
            case FileDeleted(bin_until=datetime()) | FileRestored() | VisibilityChanged() as moved:
                return msgspec.structs.replace(
                    self,
                    moving=True,
                    settles_at=moved.settles_at,
                    failed=False,
                    moved_by=recorded.command_id,
                )
            case PlacementRequested() as requested:
                return msgspec.structs.replace(
                    self, moving=True, settles_at=requested.settles_at, failed=False
                )
            case FileDeleted() | FilePurgeRequested():
                return msgspec.structs.replace(
                    self, moving=False, failed=False, moved_by=recorded.command_id
                )
            case ObjectsPlaced():
                return msgspec.structs.replace(
                    self, moving=False, failed=False, placed_at=recorded.at
                )
            case PlacementFailed():
                return msgspec.structs.replace(self, failed=True)
        return self

    def last_write(self, *, at: datetime) -> datetime:
        """When a placement under way, or one repeated late, has written its last object."""
        if self.moving:
            return at + PLACEMENT_TIME_LIMIT
        return at if self.placed_at is None else self.placed_at + PLACEMENT_TIME_LIMIT

"""Which facts are told outside, and under which name (docs/integration-events.md)."""

from collections.abc import Mapping
from typing import Final

from domain.event import Event
from domain.media_file_events import FileDeleted, UploadCompleted, UploadExpired, UploadRejected
from domain.placement_events import FileRestored, VisibilityChanged

INTEGRATION_TYPES: Final[Mapping[type[Event], str]] = {
    UploadCompleted: "media.uploaded",
    FileDeleted: "media.deleted",
    FileRestored: "media.restored",
    VisibilityChanged: "media.visibility_changed",
    UploadExpired: "media.expired",
    UploadRejected: "media.rejected",
}

PING_TYPE = "media.ping"
"""What a webhook is told to see whether messages arrive; of no file."""

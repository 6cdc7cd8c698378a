"""Which facts are told outside, and under which name (docs/integration-events.md)."""

from collections.abc import Mapping
from typing import Final

from domain.event import Event
from domain.media_file_events import FileDeleted, UploadCompleted, UploadExpired, UploadRejected

INTEGRATION_TYPES: Final[Mapping[type[Event], str]] = {
    UploadCompleted: "media.uploaded",
    FileDeleted: "media.deleted",
    UploadExpired: "media.expired",
    UploadRejected: "media.rejected",
}

"""The bin: decisions on files that were deleted and can come back, and on where bytes belong.

FileDeleted (with `bin_until`) → FileRestored | FilePurgeRequested → ObjectsPurged
"""

from datetime import datetime

from domain.errors import MediaNotFound, NotInBin
from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.placement_events import (
    FilePurgeRequested,
    FileRestored,
    ObjectsPlaced,
    PlacementFailed,
    PlacementRequested,
    VisibilityChanged,
)


def restore(file: MediaFile, *, at: datetime) -> list[Event]:
    """Decide to bring the file back. Raises MediaNotFound or NotInBin."""
    _check_in_bin(file, at)
    return [
        FileRestored(
            file_name=file.file_name,
            file_size=file.file_size,
            mime_type=file.mime_type,
            service_code=file.service_code,
            key=file.key,
            is_public=file.is_public,
            settles_at=file.last_write(at=at),
        )
    ]


def purge(file: MediaFile, *, at: datetime, reason: str = "user") -> list[Event]:
    """Decide that a file in the bin is to go for good. Raises MediaNotFound or NotInBin."""
    if file.in_bin is None:
        _check_in_bin(file, at)
    return [FilePurgeRequested(key=file.key, reason=reason, settles_at=file.last_write(at=at))]


def _check_in_bin(file: MediaFile, at: datetime) -> None:
    if file.status is Status.UPLOADED:
        raise NotInBin(file.id)
    if file.in_bin is None or at >= file.in_bin.until:
        raise MediaNotFound(file.id)


def end_retention(file: MediaFile, *, at: datetime) -> list[Event]:
    """Decide that the time in the bin is over. [] when it is not, or the file is not there."""
    if file.in_bin is None or at < file.in_bin.until:
        return []
    return purge(file, at=at, reason="retention")


def remove(file: MediaFile, *, at: datetime) -> list[Event]:
    """Decide that a file of a removed workspace goes, out of the library or out of the bin.

    Raises MediaNotFound when there is nothing left to remove.
    """
    if file.in_bin is not None:
        return purge(file, at=at, reason="tenant_removed")
    return file.delete(at=at, reason="tenant_removed")


def change_visibility(file: MediaFile, *, is_public: bool, at: datetime) -> list[Event]:
    """Decide that the file is public or private from now on. [] when it is so already.

    Raises MediaNotFound for what is not in the library.
    """
    if file.status is not Status.UPLOADED:
        raise MediaNotFound(file.id)
    if file.is_public is is_public:
        return []
    return [VisibilityChanged(key=file.key, is_public=is_public, settles_at=file.last_write(at=at))]


def request_placement(file: MediaFile, *, at: datetime) -> list[Event]:
    """Decide that the bytes are to be moved to where they belong; [] when they are under way."""
    if file.belongs is None or file.placement.moving:
        return []
    return [PlacementRequested(key=file.key, settles_at=file.last_write(at=at))]


def record_placement(file: MediaFile, *, at: datetime) -> list[Event]:
    """Decide that the bytes stand where they belong, as looked at from `at` on.

    [] before the last writer is gone, and when nobody asked.
    """
    settles_at = file.placement.settles_at
    if not file.placement.moving or file.belongs is None or settles_at is None or at < settles_at:
        return []
    return [ObjectsPlaced(key=file.key, bucket=file.belongs)]


def record_placement_failure(file: MediaFile, *, error: str) -> list[Event]:
    """Decide that an operator must see that the bytes do not arrive."""
    if not file.placement.moving or file.placement.failed:
        return []
    return [PlacementFailed(key=file.key, error=error)]


def not_kept(file: MediaFile, *, error: str, at: datetime) -> list[Event]:
    """Decide that a file that cannot be moved out of the public bucket is not kept at all."""
    if file.in_bin is None or not file.placement.moving:
        return []
    failed = [] if file.placement.failed else [PlacementFailed(key=file.key, error=error)]
    return [*failed, *purge(file, at=at, reason="not_kept")]

"""Scanning: what is decided of a file that must be scanned for malware before it is released."""

from typing import Literal

from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.media_file_events import VerificationDeferred
from domain.scan_events import ScanFailed, ScanPassed, ScanRequested

Processing = Literal["fetching", "verifying", "scanning"]


def processing_of(file: MediaFile) -> Processing | None:
    """What a worker is doing for a pending upload; None when it is the uploader's turn."""
    if file.status is not Status.PENDING:
        return None
    if file.awaits_source:
        return "fetching"
    if file.scan.waiting:
        return "scanning"
    return "verifying" if file.deferred else None


def request_scan(file: MediaFile) -> list[Event]:
    """Decide that a worker has the stored bytes scanned. [] when one does already."""
    if file.status is not Status.PENDING or file.awaits_source or file.scan.waiting:
        return []
    return [ScanRequested()]


def retry_scan(file: MediaFile) -> list[Event]:
    """Decide to scan again, after that had failed."""
    if file.status is not Status.PENDING or not file.scan.failed:
        return []
    return [ScanRequested()]


def pass_scan(file: MediaFile, passed: ScanPassed) -> list[Event]:
    """Decide that the bytes a worker had scanned may be verified, by another job."""
    if file.status is not Status.PENDING or not file.scan.waiting:
        return []
    return [passed, VerificationDeferred()]


def fail_scan(file: MediaFile, *, error: str) -> list[Event]:
    """Decide that the scan has failed for good, until an operator asks again."""
    if file.status is not Status.PENDING or not file.scan.waiting or file.scan.failed:
        return []
    return [ScanFailed(error=error)]

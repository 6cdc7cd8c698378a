"""The facts of malware scanning, and what they add up to. Never edited: a change is a new version.

They are written where a scanner is configured (`MEDIA_SCANNER`); docs/adr/0023-malware-scanning.md.
"""

from datetime import datetime, timedelta
from typing import ClassVar, Self

import msgspec

from domain.event import Event, Recorded

HELD_FOR_SCAN = timedelta(days=7)
"""How long an upload waits for its scan after that was last asked for, beyond its usual life:
its owner has done all there is to do, and an operator needs the time to see and to mend."""


class ScanRequested(Event, frozen=True, kw_only=True):
    """A worker has the bytes scanned: the scanner did not answer in time, or an operator asks."""

    TYPE: ClassVar[str] = "media_file.scan_requested.v1"


class ScanPassed(Event, frozen=True, kw_only=True):
    """The scanner has read the bytes to their end and knows nothing bad of them."""

    TYPE: ClassVar[str] = "media_file.scan_passed.v1"
    engine: str
    """What the scanner says of itself and of its signatures, with their date."""
    etag: str
    """Of the object that was scanned: no other is released."""
    scanned_bytes: int


class ScanFailed(Event, frozen=True, kw_only=True):
    """Scanning was tried as often as allowed, in vain; nothing is released, someone must look."""

    TYPE: ClassVar[str] = "media_file.scan_failed.v1"
    error: str


SCAN_EVENTS: tuple[type[Event], ...] = (ScanRequested, ScanPassed, ScanFailed)


class Scan(msgspec.Struct, frozen=True):
    """How far the scan of one file is."""

    asked_at: datetime | None = None
    """When a worker was last asked for it."""
    waiting: bool = False
    """Whether it was asked for and has not passed: until then nothing releases the file."""
    failed: bool = False
    """Whether it waits for an operator."""
    clean_etag: str | None = None

    def evolve(self, recorded: Recorded) -> Self:
        """The state after one more event."""
        match recorded.event:
            case ScanRequested():
                return msgspec.structs.replace(
                    self, asked_at=recorded.at, waiting=True, failed=False
                )
            case ScanPassed() as passed:
                return msgspec.structs.replace(
                    self, waiting=False, failed=False, clean_etag=passed.etag
                )
            case ScanFailed():
                return msgspec.structs.replace(self, failed=True)
        return self

    def extended(self, deadline: datetime) -> datetime:
        """When an upload with this deadline expires, seeing that it had to wait for its scan."""
        return deadline if self.asked_at is None else max(deadline, self.asked_at + HELD_FOR_SCAN)

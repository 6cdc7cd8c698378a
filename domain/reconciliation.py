"""Reconciliation: what stands in the buckets against what the log says. Pure.

A finding is a place to look. Nothing that may still be under way is one: neither what changed
within GRACE, nor what a job is known to be at.
"""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import ClassVar

import msgspec

from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.object_key import owner_of_key
from domain.placement import Home

GRACE = timedelta(hours=1)
"""What is younger may be the work of a request or job that has not said so yet."""


class FindingKind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    """A file of the library or the bin whose bytes stand in no bucket."""
    MISPLACED = "misplaced"
    """Bytes that are not where they belong: private ones in public, or only in the other bucket."""
    SIZE = "size"
    """The object is not as long as the log says."""
    HASH = "hash"
    """Its bytes are not those that were proven."""
    STRAY = "stray"
    """An object under a key of ours that no file has."""
    FOREIGN = "foreign"
    """An object under a key that this service never makes: told, and left alone."""


class Listed(msgspec.Struct, frozen=True):
    """An object as a listing of its bucket shows it."""

    bucket: Home
    key: str
    size: int
    modified_at: datetime


class Finding(msgspec.Struct, frozen=True):
    """One thing that is wrong."""

    kind: FindingKind
    bucket: Home
    key: str
    media_id: str | None
    detail: str


class StrayObjectFound(Event, frozen=True, kw_only=True):
    """A check of the buckets found an object that no file has; it is being removed."""

    TYPE: ClassVar[str] = "stored_object.stray_found.v1"
    bucket: str
    key: str
    size: int
    """In bytes."""


RECONCILIATION_EVENTS: tuple[type[Event], ...] = (StrayObjectFound,)


def judge_object(
    listed: Listed, media_id: str | None, file: MediaFile | None, *, at: datetime
) -> Finding | None:
    """What an object that stands in a bucket says; `file` is the one its key names."""

    def finding(kind: FindingKind, detail: str) -> Finding:
        return Finding(kind, listed.bucket, listed.key, media_id, detail)

    if media_id is None or owner_of_key(listed.key) is None:
        return finding(FindingKind.FOREIGN, "no key of this service")
    if listed.modified_at > at - GRACE:
        return None
    if file is None:
        return finding(FindingKind.STRAY, "the log knows no such file")
    if _under_way(file, at):
        return None
    if file.belongs is None:
        return finding(FindingKind.STRAY, "the file was purged") if file.purged else None
    original = listed.key == file.key
    if not original and listed.key not in file.derived.keys:
        return finding(FindingKind.STRAY, "neither the file nor a rendition it has")
    if listed.bucket == "public" and file.belongs == "private":
        return finding(FindingKind.MISPLACED, "anyone can read what belongs into private")
    if original and listed.size != file.file_size:
        return finding(FindingKind.SIZE, f"{listed.size} bytes stand, {file.file_size} are due")
    return None


def judge_file(file: MediaFile, standing: frozenset[Home], *, at: datetime) -> Finding | None:
    """What is missing of a file, by the buckets that hold its key."""
    if file.belongs is None or _under_way(file, at) or file.belongs in standing:
        return None
    if standing:
        (where,) = standing
        detail = f"stands in {where} only"
        return Finding(FindingKind.MISPLACED, file.belongs, file.key, file.id, detail)
    return Finding(FindingKind.MISSING, file.belongs, file.key, file.id, "no bucket has the bytes")


def judge_hash(file: MediaFile, sha256: str) -> Finding | None:
    """What the digest of the standing bytes says, where the proven one is known."""
    inspected = file.derived.inspected
    if inspected is None or file.belongs is None or inspected.sha256 == sha256:
        return None
    detail = f"SHA-256 {sha256}, proven {inspected.sha256}"
    return Finding(FindingKind.HASH, file.belongs, file.key, file.id, detail)


def _under_way(file: MediaFile, at: datetime) -> bool:
    """Whether a request or job may be about to change what stands."""
    if file.updated_at > at - GRACE or file.placement.moving:
        return True
    if file.status is Status.PENDING:
        return True
    return file.ended and not file.purged


def give_up_bytes(
    file: MediaFile, finding: Finding, *, at: datetime, bin_for: timedelta
) -> list[Event]:
    """Decide that a file whose bytes are not what was proven leaves the library.

    Damaged bytes go to the bin, so that a person may look at them; lost ones have none.
    """
    if file.belongs is None:
        return []
    if file.status is not Status.UPLOADED:
        return []
    if finding.kind is FindingKind.MISSING:
        return file.delete(at=at, reason="bytes_lost")
    return file.delete(at=at, reason="bytes_damaged", bin_for=bin_for)

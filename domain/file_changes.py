"""What each event changed of a file, field by field. Read by a file's history."""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from domain.event import Recorded
from domain.media_file import MediaFile

UNTOLD = frozenset(
    {
        "id",
        "owner",
        "version",
        "position",
        "created_at",
        "updated_at",
        "settles_at",
        "completed_at",
        "derived",
        "scan",
        "placement",
    }
)
"""Fields that identify a file or only keep the books: who, when and which event say the same, and
of what was found, derived, scanned or moved the events themselves."""


class FieldChange(msgspec.Struct, frozen=True):
    """One field before and after an event."""

    field: str
    """As `MediaFile` has it."""
    before: Any
    """None where there was no file yet."""
    after: Any


def field_changes(before: MediaFile | None, after: MediaFile) -> list[FieldChange]:
    """The fields that differ, in the order of the struct; of a new file those that are set."""
    unset = _DEFAULTS if before is None else None
    changes = []
    for name in MediaFile.__struct_fields__:
        if name in UNTOLD:
            continue
        now = getattr(after, name)
        if unset is not None:
            if now != unset.get(name) and now != "":
                changes.append(FieldChange(name, None, now))
        elif (was := getattr(before, name)) != now:
            changes.append(FieldChange(name, was, now))
    return changes


def changes_by_version(history: Iterable[Recorded]) -> Mapping[int, list[FieldChange]]:
    """The changes of every event of one file's whole stream, by the event's version."""
    file: MediaFile | None = None
    changes = {}
    for recorded in history:
        after = MediaFile.evolve(file, recorded)
        changes[recorded.version] = field_changes(file, after)
        file = after
    return changes


_DEFAULTS: Mapping[str, Any] = {
    field.name: field.default
    for field in msgspec.structs.fields(MediaFile)
    if field.default is not msgspec.NODEFAULT
}

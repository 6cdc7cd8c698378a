"""What a batch of facts makes of the list of unfinished work. Used by `unfinished_work.py`."""

from datetime import datetime
from typing import TypeAlias

WorkKind: TypeAlias = str
"""`purge`, `place`, `verify`, `scan`, `fetch`, `tenant_removal`, `inspect`, `clear`, `cache`, or
`derive` with preset and type."""
Key: TypeAlias = tuple[str, str, WorkKind]
"""Owner, stream, kind."""
Change: TypeAlias = tuple[datetime, datetime | None, str | None, datetime | None]
"""Due at, not before, failure, failed at."""
Mark: TypeAlias = tuple[datetime | None, str | None, datetime | None]
"""Due at if that changes, failure, failed at."""

DERIVE = "derive "
"""What the kind of work that one rendition is begins with."""


class Work:
    """What a batch makes of the list."""

    def __init__(self) -> None:
        self.over: dict[tuple[str, str], None] = {}
        """Files of which no rendition is to be made any more."""
        self.done: dict[Key, None] = {}
        self.due: dict[Key, Change] = {}
        self.marks: dict[Key, Mark] = {}

    def begin(self, key: Key, *, at: datetime, not_before: datetime | None = None) -> None:
        """It is due, whatever became of it before."""
        self.marks.pop(key, None)
        self.due[key] = (at, not_before, None, None)

    def finish(self, key: Key) -> None:
        """Its effect is in the log, or nobody wants it any more."""
        self.due.pop(key, None)
        self.marks.pop(key, None)
        self.done[key] = None

    def end_renditions(self, owner: str, stream: str) -> None:
        """No rendition of the file is wanted any more."""
        self.over[owner, stream] = None
        wanted = [
            key for key in self.due if key[:2] == (owner, stream) and key[2].startswith(DERIVE)
        ]
        for key in wanted:
            self.finish(key)

    def fail(self, key: Key, *, at: datetime, failure: str) -> None:
        """It was tried as often as allowed."""
        if key in self.due:
            due_at, not_before, _, _ = self.due[key]
            self.due[key] = (due_at, not_before, failure, at)
        else:
            # A retry earlier in the batch has moved the due time.
            self.marks[key] = (self.marks.get(key, (None,))[0], failure, at)

    def retry(self, key: Key, *, at: datetime) -> None:
        """An operator asks for it again."""
        if key in self.due:
            _, not_before, _, _ = self.due[key]
            self.due[key] = (at, not_before, None, None)
        else:
            self.marks[key] = (at, None, None)

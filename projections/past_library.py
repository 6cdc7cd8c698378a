"""What a library held at a position of the log: folded from its events, kept nowhere. Pure.

Holds of each file only what lists filter and sort by; the files of a page are told by their own
streams. Fed by `api/time_travel.py`.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from domain.event import Event, Recorded
from domain.media_file_events import FileDeleted, UploadCompleted
from domain.media_type import MEDIA_TYPES
from domain.tenant import TenantRemoved
from projections.file_pages import FileQuery, PageKey
from projections.file_resource import category_of
from projections.folded_name import fold
from projections.storage_stats import CATEGORIES, StorageStats, Usage


class PastFile(msgspec.Struct, frozen=True, gc=False):
    """An uploaded file, as far as a list must know it to find it."""

    created_at: datetime
    """With milliseconds, as cursors have it."""
    folded_name: str
    file_size: int
    mime_type: str
    service_code: str


class PastLibrary:
    """The files an owner had, once the last event that counts was taken."""

    event_types: ClassVar[tuple[type[Event], ...]] = (UploadCompleted, FileDeleted, TenantRemoved)

    def __init__(self) -> None:
        self.files: dict[str, PastFile] = {}
        self.removed = False
        """Whether the workspace was removed: nothing shows from then on."""

    def take(self, recorded: Recorded) -> None:
        """One more event, in the order of the log."""
        if self.removed:
            return
        match recorded.event:
            case UploadCompleted() as event:
                self.files[recorded.stream] = _file(event)
            case FileDeleted():
                self.files.pop(recorded.stream, None)
            case TenantRemoved():
                self.removed = True
                self.files.clear()

    def page(self, query: FileQuery) -> tuple[list[str], PageKey | None]:
        """The ids of one page, and where the next begins. As `file_pages.page` would have it."""
        descending = query.sort.startswith("-")
        value_of = _VALUES[query.sort.removeprefix("-")]
        matching = ((value_of(file), id_) for id_, file in self._matching(query))
        if (after := query.after) is not None:
            behind = (_read(query, after.value), after.media_id)
            if descending:
                matching = (key for key in matching if key < behind)
            else:
                matching = (key for key in matching if key > behind)
        first = heapq.nlargest if descending else heapq.nsmallest
        found = first(query.limit + 1, matching)
        shown = found[: query.limit]
        next_key = None
        if len(found) > query.limit:
            value, id_ = shown[-1]
            text = value.isoformat() if isinstance(value, datetime) else str(value)
            next_key = PageKey(text, id_)
        return [id_ for _, id_ in shown], next_key

    def _matching(self, query: FileQuery) -> Iterable[tuple[str, PastFile]]:
        types = {
            mime_type
            for mime_type, media_type in MEDIA_TYPES.items()
            if (not query.categories or media_type.category in query.categories)
            and (not query.mime_types or mime_type in query.mime_types)
        }
        services = set(query.services)
        needle = fold(query.search)
        for id_, file in self.files.items():
            if (
                file.mime_type in types
                and (not services or file.service_code in services)
                and needle in file.folded_name
            ):
                yield id_, file

    def stats(self, *, pending_uploads: int) -> StorageStats:
        """The sums; `recent` is to be filled."""
        stats = StorageStats(
            by_type={category: Usage() for category in CATEGORIES},
            by_service={},
            pending_uploads=0 if self.removed else pending_uploads,
        )
        for file in self.files.values():
            stats.total_files += 1
            stats.total_bytes += file.file_size
            for usage in (
                stats.by_type[category_of(file.mime_type)],
                stats.by_service.setdefault(file.service_code, Usage()),
            ):
                usage.files += 1
                usage.bytes += file.file_size
        return stats


_VALUES: Mapping[str, Callable[[PastFile], Any]] = {
    "createdAt": lambda file: file.created_at,
    "fileName": lambda file: file.folded_name,
    "fileSize": lambda file: file.file_size,
}


def _read(query: FileQuery, text: str) -> object:
    """The value a cursor's page ended at."""
    match query.sort.removeprefix("-"):
        case "createdAt":
            return datetime.fromisoformat(text)
        case "fileSize":
            return int(text)
    return text


def _file(event: UploadCompleted) -> PastFile:
    requested_at = event.requested_at
    return PastFile(
        requested_at.replace(microsecond=requested_at.microsecond // 1000 * 1000),
        fold(event.file_name),
        event.file_size,
        event.mime_type,
        event.service_code,
    )

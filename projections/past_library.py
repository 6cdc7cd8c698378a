"""What a library held at a position of the log: folded from its events, kept nowhere. Pure.

The fold is the file list's own (`file_list.take`), so that the past is told as the present was.
Of a whole library only what lists filter and sort by is held; the files of a page are told by
their own streams. Fed by `api/time_travel.py`.
"""

import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec

from domain.event import Recorded
from domain.media_type import MEDIA_TYPES
from projections.file_list import UPLOADED, FileListProjection, take
from projections.file_pages import FileQuery, PageKey, page_key
from projections.file_resource import FILE_COLUMNS, FileResource, FileRow, category_of, from_row
from projections.file_rows import Values, joined
from projections.folded_name import fold
from projections.reading import text_of
from projections.storage_stats import CATEGORIES, StorageStats, Usage
from projections.variants import NONE as NO_VARIANTS
from projections.variants import Variants

EVENT_TYPES = FileListProjection.event_types or ()


class PastFile(msgspec.Struct, frozen=True, gc=False):
    """An uploaded file, as far as a list must know it to find it."""

    created_at: datetime
    folded_name: str
    file_size: int
    mime_type: str
    service_code: str
    deleted_at: datetime | None = None


_HELD = frozenset(PastFile.__struct_fields__)


class PastLibrary:
    """The files an owner had, once the last event that counts was taken: `LibraryRows`."""

    def __init__(self, *, removed: bool = False) -> None:
        """`removed` once the workspace was: nothing of it shows, its past included."""
        self.files: dict[str, PastFile] = {}
        self.removed = removed

    def take(self, recorded: Recorded) -> None:
        """One more event, in the order of the log."""
        take(self, recorded)

    def add(self, row: Values) -> None:
        """The file joins the library."""
        if not self.removed:
            held = {name: value for name, value in row.items() if name in _HELD}
            self.files[row["media_id"]] = PastFile(**held)

    def change(self, owner: str, media_id: str, **values: object) -> None:  # noqa: ARG002 - of one owner
        """These columns of the file have these values now."""
        held = {name: value for name, value in values.items() if name in _HELD}
        if held and (file := self.files.get(media_id)) is not None:
            self.files[media_id] = msgspec.structs.replace(file, **held)

    def remove(self, owner: str, media_id: str) -> None:  # noqa: ARG002 - of one owner
        """The file is in no list any more."""
        self.files.pop(media_id, None)

    def remove_owner(self, owner: str) -> None:  # noqa: ARG002 - of one owner
        """Nor is any of them."""
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
            next_key = page_key(*shown[-1])
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
                file.deleted_at is None
                and file.mime_type in types
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
            if file.deleted_at is not None:
                continue
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


class _WholeRows:
    """`LibraryRows` of the few files of a page, with every column."""

    def __init__(self) -> None:
        self.rows: dict[str, Values] = {}

    def add(self, row: Values) -> None:
        self.rows[row["media_id"]] = row

    def change(self, owner: str, media_id: str, **values: object) -> None:  # noqa: ARG002 - of one owner
        if (row := self.rows.get(media_id)) is not None:
            if isinstance(made := values.get("renditions"), dict):
                values["renditions"] = joined(row.get("renditions"), made)
            row.update(values)

    def remove(self, owner: str, media_id: str) -> None:  # noqa: ARG002 - of one owner
        self.rows.pop(media_id, None)

    def remove_owner(self, owner: str) -> None:  # noqa: ARG002 - of one owner
        self.rows.clear()


def files_of(
    histories: Mapping[str, Sequence[Recorded]],
    *,
    public_base_url: str,
    variants: Variants = NO_VARIANTS,
) -> list[FileResource]:
    """The files of these streams as a list showed them, in their order; without those it did not.

    Each stream from its beginning, up to the position that counts.
    """
    whole = _WholeRows()
    for history in histories.values():
        for recorded in history:
            take(whole, recorded)
    rows = (whole.rows.get(id_) for id_ in histories)
    return [
        from_row(_tuple(row), status=UPLOADED, public_base_url=public_base_url, variants=variants)
        for row in rows
        if row is not None and row.get("deleted_at") is None
    ]


_COLUMNS = [column.partition("::")[0] for column in FILE_COLUMNS.split(", ")]


def _tuple(row: Mapping[str, object]) -> FileRow:
    return cast("FileRow", tuple(_as_read(row.get(column)) for column in _COLUMNS))


def _as_read(value: object) -> object:
    """The value as a query reads it: times and renditions as text."""
    if isinstance(value, dict):
        return msgspec.json.encode(value).decode()
    return text_of(value) if isinstance(value, datetime) else value

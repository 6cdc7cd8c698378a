"""Pages of `file_list_v2`: keyset only, filtered, searched and sorted. Read by `GET /files`."""

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from typing import Literal

import msgspec

from domain.media_type import MEDIA_TYPES, Category
from projections.file_list import UPLOADED, FileListProjection
from projections.file_resource import FILE_COLUMNS, FileResource, from_row
from projections.folded_name import fold, like_pattern, search_text
from projections.reading import Answer, Pool, fetch_owned, owned
from projections.variants import NONE as NO_VARIANTS
from projections.variants import Variants

Sort = Literal[
    "createdAt",
    "-createdAt",
    "fileName",
    "-fileName",
    "fileSize",
    "-fileSize",
    "deletedAt",
    "-deletedAt",
]
"""The last two of the bin alone."""

_COLUMNS = {
    "createdAt": ("created_at", "timestamptz"),
    "fileName": ("folded_name", "text"),
    "fileSize": ("file_size", "bigint"),
    "deletedAt": ("deleted_at", "timestamptz"),
}
_SHORTEST_TRIGRAM = 3
LISTED = "owner = c.owner AND deleted_at IS NULL"
"""The condition of the indexes, and of whatever does not ask for the bin."""


class PageKey(msgspec.Struct, frozen=True, array_like=True):
    """The row a page ended at: the next one begins behind it."""

    value: str
    """Of the sort's column, as text PostgreSQL reads."""
    media_id: str


class FileQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to list. Empty filters let everything through."""

    in_bin: bool = False
    """What is in the bin, instead of the library (`projections/bin_pages.py`)."""
    services: tuple[str, ...] = ()
    categories: tuple[Category, ...] = ()
    mime_types: tuple[str, ...] = ()
    search: str = ""
    """Part of a name, as it was typed."""
    sort: Sort = "-createdAt"
    after: PageKey | None = None
    limit: int = 20
    """1 to 100."""


class FilePage(msgspec.Struct, frozen=True):
    """One page, and where the next begins; None when there is none.

    A search of one or two characters, or of what more than 2,000 names share, looks at 20,000 files
    per page, so that such a page may hold fewer files than asked for, even none, and still have a
    next one.
    """

    items: list[FileResource]
    next_key: PageKey | None


async def page(
    pool: Pool,
    owner: str,
    query: FileQuery,
    *,
    public_base_url: str,
    variants: Variants = NO_VARIANTS,
) -> Answer[FilePage]:
    """One page of the owner's uploaded files. Raises DatabaseUnavailable."""
    parameters = parameters_of(owner, query)
    if query.search:
        sql = _search_sql(query.sort, query.limit + 1)
    elif query.services or parameters["types"] is not None:
        if parameters["types"] is None:
            parameters["types"] = list(MEDIA_TYPES)
        sql = _filtered_sql(
            query.sort, query.limit + 1, bool(query.services), query.after is not None
        )
    else:
        sql = _plain_sql(query.sort, query.limit + 1, query.after is not None)
    answer = await fetch_owned(pool, sql, parameters)

    def shown(row: tuple[object, ...]) -> FileResource:
        return from_row(row, status=UPLOADED, public_base_url=public_base_url, variants=variants)  # type: ignore[arg-type]

    return Answer(page_of(answer.found, query, shown), answer.position)


def parameters_of(owner: str, query: FileQuery) -> dict[str, object]:
    """What the statements of a page are given."""
    types = _types(query)
    if types is not None and not types:
        types = [""]
    parameters: dict[str, object] = {
        "owner": owner,
        "services": list(dict.fromkeys(query.services)) or None,
        "types": types,
        "value": query.after and query.after.value,
        "id": query.after and query.after.media_id,
        "pattern": None,
    }
    if query.search:
        folded = fold(query.search)
        parameters["pattern"] = like_pattern(folded)
        parameters["grams"] = (
            f"%{search_text(folded)}%" if len(folded) >= _SHORTEST_TRIGRAM else None
        )
    return parameters


def _types(query: FileQuery) -> list[str] | None:
    """The types both filters let through; None when neither is set."""
    if not query.categories and not query.mime_types:
        return None
    return [
        mime_type
        for mime_type, media_type in MEDIA_TYPES.items()
        if (not query.categories or media_type.category in query.categories)
        and (not query.mime_types or mime_type in query.mime_types)
    ]


def page_of(
    rows: Sequence[tuple[object, ...]],
    query: FileQuery,
    resource: Callable[[tuple[object, ...]], FileResource],
) -> FilePage:
    """Rows are what `resource` takes, whether the row is a hit, and the value it is sorted by."""
    shown = [row for row in rows if row[-2]][: query.limit]
    items = [resource(row[:-2]) for row in shown]
    if len(rows) > query.limit:
        return FilePage(items, _key_of(shown[-1]))
    if rows and not rows[-1][-2]:
        return FilePage(items, _key_of(rows[-1]))
    return FilePage(items, None)


def _key_of(row: tuple[object, ...]) -> PageKey:
    return page_key(row[-1], str(row[0]))


def page_key(value: object, media_id: str) -> PageKey:
    """Where a page ends that has this file last, with the value it is sorted by."""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return PageKey(text, media_id)


@cache
def _plain_sql(sort: Sort, limit: int, after: bool) -> str:  # noqa: FBT001 - a key of the cache
    return owned(
        FileListProjection.name,
        f"{_select(sort)} WHERE {LISTED}{behind(sort) if after else ''}"
        f" ORDER BY {order(sort)} LIMIT {limit}",
    )


@cache
def _filtered_sql(sort: Sort, limit: int, services: bool, after: bool) -> str:  # noqa: FBT001 - as above
    """A page out of the first rows of each type (and service): each a range of one index."""
    groups = "unnest(%(types)s::text[]) AS type"
    test = "mime_type = type"
    if services:
        groups += ", unnest(%(services)s::text[]) AS service"
        test += " AND service_code = service"
    return owned(
        FileListProjection.name,
        f"SELECT file.* FROM {groups} CROSS JOIN LATERAL"  # noqa: S608 - text of ours
        f" ({_select(sort)} WHERE {LISTED} AND {test}{behind(sort) if after else ''}"
        f" ORDER BY {order(sort)} LIMIT {limit}) AS file"
        f" ORDER BY {order(sort, 'sort_value')} LIMIT {limit}",
    )


@cache
def _search_sql(sort: Sort, limit: int) -> str:
    column, descending = sort_column(sort), sort.startswith("-")
    return owned(
        FileListProjection.name,
        f"{_select(sort, hit='hit')} JOIN search_files_v2(c.owner, %(pattern)s, %(grams)s::text,"
        f" %(services)s::text[], %(types)s::text[], '{column}', {descending}, %(value)s::text,"
        f" %(id)s::text, {limit}) USING (media_id) WHERE {LISTED} ORDER BY {order(sort)}",
    )


def sort_column(sort: Sort) -> str:
    """The column a sort goes by."""
    return _COLUMNS[sort.removeprefix("-")][0]


def order(sort: Sort, column: str = "") -> str:
    """What follows ORDER BY."""
    direction = "DESC" if sort.startswith("-") else "ASC"
    return f"{column or sort_column(sort)} {direction}, media_id {direction}"


def behind(sort: Sort) -> str:
    """The condition of a page that is not the first."""
    column, kind = _COLUMNS[sort.removeprefix("-")]
    comparison = "<" if sort.startswith("-") else ">"
    return f" AND ({column}, media_id) {comparison} (%(value)s::{kind}, %(id)s::text)"


def _select(sort: Sort, *, hit: str = "true") -> str:
    # Limits stand in the text, as in the search: a plan for an unknown one may sort everything.
    # The value is of the column's own type: it may be sorted by, and as text 9 comes after 10.
    return (
        f"SELECT {FILE_COLUMNS}, {hit} AS hit, {sort_column(sort)} AS sort_value FROM file_list_v2"  # noqa: S608 - text of ours
    )

"""Pages of the bin, out of `file_list_v2`: `GET /files?status=deleted`, and what is due to go.

A bin holds what one owner deleted within the retention: filters and search walk through it in the
order asked for, at most WALK files a page, instead of having indexes that every file would pay.
"""

from datetime import datetime
from functools import cache

import msgspec

from projections.file_list import FileListProjection
from projections.file_pages import (
    FilePage,
    FileQuery,
    Sort,
    behind,
    order,
    page_of,
    parameters_of,
    sort_column,
)
from projections.file_resource import FILE_COLUMNS, FileResource, binned
from projections.reading import Answer, Pool, connection, fetch_owned, owned
from projections.variants import NONE as NO_VARIANTS
from projections.variants import Variants

DELETED = "deleted"
WALK = 20_000
"""Files looked at for one page, as by a search of the library."""


async def page(
    pool: Pool,
    owner: str,
    query: FileQuery,
    *,
    public_base_url: str,
    variants: Variants = NO_VARIANTS,
) -> Answer[FilePage]:
    """One page of what the owner has in the bin, without variants. Raises DatabaseUnavailable."""
    del variants
    sql = _sql(query.sort, query.limit + 1, query.after is not None)
    answer = await fetch_owned(pool, sql, parameters_of(owner, query))

    def shown(row: tuple[object, ...]) -> FileResource:
        return binned(row, status=DELETED, public_base_url=public_base_url)

    return Answer(page_of(answer.found, query, shown), answer.position)


@cache
def _sql(sort: Sort, limit: int, after: bool) -> str:  # noqa: FBT001 - a key of the cache
    columns = f"{FILE_COLUMNS}, deleted_at, deleted_by, bin_until"
    walk = (
        f"SELECT *, {sort_column(sort)} AS sort_value FROM file_list_v2"  # noqa: S608 - text of ours
        f" WHERE owner = c.owner AND deleted_at IS NOT NULL{behind(sort) if after else ''}"
        f" ORDER BY {order(sort)} LIMIT {WALK}"
    )
    matches = (
        "(%(types)s::text[] IS NULL OR mime_type = ANY (%(types)s::text[]))"
        " AND (%(services)s::text[] IS NULL OR service_code = ANY (%(services)s::text[]))"
        " AND (%(pattern)s::text IS NULL OR folded_name LIKE %(pattern)s)"
    )
    # The last row of a walk that ended early says where the next page goes on, hit or not.
    return owned(
        FileListProjection.name,
        f"SELECT * FROM (SELECT {columns}, true AS hit, sort_value FROM ({walk}) AS seen"  # noqa: S608
        f" WHERE {matches} ORDER BY {order(sort, 'sort_value')} LIMIT {limit}) AS hits"
        f" UNION ALL SELECT * FROM (SELECT {columns}, false AS hit, sort_value FROM ({walk})"
        f" AS seen OFFSET {WALK - 1}) AS rest",
    )


class OverdueBin(msgspec.Struct, frozen=True):
    """A file whose time in the bin is over."""

    media_id: str
    bin_until: datetime


_OVERDUE = """
SELECT media_id, bin_until FROM file_list_v2
WHERE deleted_at IS NOT NULL AND bin_until <= %(before)s
  AND (%(after)s::timestamptz IS NULL OR (bin_until, media_id) > (%(after)s, %(id)s))
ORDER BY bin_until, media_id LIMIT %(limit)s
"""


async def overdue(
    pool: Pool, before: datetime, *, after: OverdueBin | None = None, limit: int = 1000
) -> list[OverdueBin]:
    """Files of all owners whose time was over, the longest first. For the role media_worker."""
    parameters = {
        "before": before,
        "after": after and after.bin_until,
        "id": after and after.media_id,
        "limit": limit,
    }
    async with connection(pool) as one:
        cursor = await one.execute(_OVERDUE, parameters)
        return [OverdueBin(*row) for row in await cursor.fetchall()]

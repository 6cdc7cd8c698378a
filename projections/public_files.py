"""Public files as anybody may find them, by exact id: read by `/cdn` and `/m`."""

import msgspec

from projections.reading import Pool, connection

_FIND = "SELECT key, mime_type, renditions FROM public_file(%s, %s)"


class PublicFile(msgspec.Struct, frozen=True, gc=False):
    """An uploaded public file, and what was made from it."""

    key: str
    mime_type: str
    renditions: str | None
    """The column of `file_list_v2` as JSON; None unless it was asked for."""


async def public_file(
    pool: Pool, media_id: str, *, with_renditions: bool = False
) -> PublicFile | None:
    """The file across tenants, or None for whatever is not public and uploaded."""
    async with connection(pool) as one:
        cursor = await one.execute(_FIND, (media_id, with_renditions), binary=True)
        row = await cursor.fetchone()
    return None if row is None else PublicFile(*row)

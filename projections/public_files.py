"""Public files as anybody may find them, by exact id: read by `/cdn` and `/m`."""

import msgspec

from projections.reading import Pool, connection

_FIND = "SELECT key, mime_type, rendition FROM public_file(%s, %s)"


class PublicFile(msgspec.Struct, frozen=True, gc=False):
    """An uploaded public file, and what there is of one preset."""

    key: str
    mime_type: str
    rendition: str | None
    """JSON of `renditions -> preset` in `file_list_v2`; None when there is nothing."""


async def public_file(pool: Pool, media_id: str, preset: str | None) -> PublicFile | None:
    """The file across tenants, or None for whatever is not public and uploaded."""
    async with connection(pool) as one:
        cursor = await one.execute(_FIND, (media_id, preset), binary=True)
        row = await cursor.fetchone()
    return None if row is None else PublicFile(*row)

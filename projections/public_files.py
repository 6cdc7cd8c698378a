"""Public files as anybody may find them, by exact id: read by `/cdn` and `/m`."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import msgspec

from domain.rendition import Format, Preset, formats_of, mime_of, negotiate
from projections.reading import Pool, connection
from projections.variants import StoredVariant, Variants, stored_in

_FIND = "SELECT key, mime_type, renditions FROM public_file(%s, %s)"
_RESOLVE = """
SELECT media_id, key, mime_type, is_public, renditions::text, inspection
FROM resolve_variants(%s, %s)
"""


class PublicFile(msgspec.Struct, frozen=True, gc=False):
    """An uploaded public file, and what was made from it."""

    key: str
    mime_type: str
    renditions: str | None
    """The column of `file_list_v2` as JSON; None unless it was asked for."""

    def stored(self, name: str, preset: Preset, accept: str | None) -> StoredVariant | None:
        """The rendition for a client with this `Accept` header, or that it cannot be made.

        None where only the log can say: the row does not tell in which formats it can be had.
        """
        prefix = f"{name} "
        rows = stored_in(self.renditions)
        mine = {id_[len(prefix) :]: one for id_, one in rows.items() if id_.startswith(prefix)}
        wanted = _wanted(preset, frozenset(mine), accept)
        found = mine.get(mime_of(wanted)) if wanted is not None else None
        if found is None or found.key or found.recipe == preset.recipe:
            return found
        return None


@lru_cache(maxsize=64)
def kinds_of(preset: Preset) -> tuple[tuple[Format, ...], ...]:
    """The formats the preset can be had in, for each kind of file."""
    kinds = (
        formats_of(preset, animated=animated, transparent=transparent)
        for animated, transparent in product((False, True), repeat=2)
    )
    return tuple(dict.fromkeys(kinds))


@lru_cache(maxsize=1024)
def _wanted(preset: Preset, there: frozenset[str], accept: str | None) -> Format | None:
    """The format a client wants, if it is the same for every kind of file that can have these."""
    possible = [kind for kind in kinds_of(preset) if there <= set(map(mime_of, kind))]
    wanted = {negotiate(kind, accept) for kind in possible}
    return wanted.pop() if len(wanted) == 1 else None


async def public_file(
    pool: Pool, media_id: str, *, with_renditions: bool = False
) -> PublicFile | None:
    """The file across tenants, or None for whatever is not public and uploaded."""
    async with connection(pool) as one:
        cursor = await one.execute(_FIND, (media_id, with_renditions), binary=True)
        row = await cursor.fetchone()
    return None if row is None else PublicFile(*row)


async def variant_urls(
    pool: Pool,
    media_ids: Sequence[str],
    name: str,
    *,
    tenant_id: str | None,
    public_base_url: str,
    variants: Variants,
) -> dict[str, str | None]:
    """Where the variant of each uploaded file is; None of a private one, or where there is none.

    Across tenants, or of one. For the role media_worker.
    """
    async with connection(pool) as one:
        cursor = await one.execute(_RESOLVE, (list(media_ids), tenant_id), binary=True)
        rows = await cursor.fetchall()
    urls: dict[str, str | None] = {}
    for media_id, key, mime_type, is_public, renditions, inspection in rows:
        shown = variants.of(
            key,
            mime_type,
            stored_in(renditions),
            public_base_url=public_base_url,
            is_public=is_public,
            failure=None if inspection is None else inspection.removeprefix("failed:"),
        ).get(name)
        urls[media_id] = None if shown is None else shown.url
    return urls

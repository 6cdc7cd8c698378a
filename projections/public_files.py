"""Public files as anybody may find them, by exact id: read by `/cdn` and `/m`."""

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

import msgspec

from domain.rendition import Format, Preset, formats_of, mime_of, negotiate
from projections.columns import Column
from projections.reading import Pool, connection
from projections.variants import StoredVariant, Variants, stored_in

_FIND = """
SELECT asked.number, key, mime_type, renditions
FROM unnest(%b::text[], %b::boolean[]) WITH ORDINALITY AS asked (id, with_renditions, number),
  LATERAL public_file(asked.id, asked.with_renditions)
"""
AT_ONCE = 100
"""Files looked up by one query at most."""
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


class PublicFiles:
    """Looks public files up across tenants; those asked for meanwhile share the next query.

    One query at a time: under load it serves many requests, which costs a fraction of one for each.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._asked: list[_Asked] = []
        self._looking: asyncio.Task[None] | None = None

    async def find(self, media_id: str, *, with_renditions: bool = False) -> PublicFile | None:
        """The file, or None for whatever is not public and uploaded. Raises DatabaseUnavailable."""
        answer: asyncio.Future[PublicFile | None] = asyncio.get_running_loop().create_future()
        self._asked.append(_Asked(media_id, with_renditions, answer))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return await answer

    async def _look(self) -> None:
        while self._asked:
            some, self._asked = self._asked[:AT_ONCE], self._asked[AT_ONCE:]
            try:
                found = await self._found(some)
            except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked is told
                for one in some:
                    if not one.answer.done():
                        one.answer.set_exception(error)
            else:
                for number, one in enumerate(some, 1):
                    if not one.answer.done():
                        one.answer.set_result(found.get(number))

    async def _found(self, asked: "Sequence[_Asked]") -> dict[int, PublicFile]:
        """By their place among those asked for, from 1."""
        ids = Column(one.media_id for one in asked)
        flags = Column(one.with_renditions for one in asked)
        async with connection(self._pool) as one:
            cursor = await one.execute(_FIND, (ids, flags), binary=True)
            return {number: PublicFile(*row) for number, *row in await cursor.fetchall()}


class _Asked(msgspec.Struct, frozen=True, gc=False):
    media_id: str
    with_renditions: bool
    answer: "asyncio.Future[PublicFile | None]"


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

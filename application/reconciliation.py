"""Reconciliation: look through the buckets and the library for what does not match, and mend it.

Called by `./dev reconcile`. A look changes nothing. A repair decides on the file as the log has it
now and looks into the bucket once more: traffic goes on meanwhile. Every repair is an event, and
what moves or removes bytes of a file is the job that the event calls for.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from application.context import SystemContext
from application.media import Decided, Media
from application.ports import Clock, ObjectChanged, ObjectStore
from domain import bin as bin_
from domain.access import Access
from domain.event import Event
from domain.media_file import MediaFile
from domain.object_key import media_id_of_key, owner_of_key
from domain.placement import Home
from domain.reconciliation import (
    Finding,
    FindingKind,
    Listed,
    StrayObjectFound,
    give_up_bytes,
    judge_file,
    judge_hash,
    judge_object,
)

HOMES: tuple[Home, ...] = ("public", "private")
CHUNK = 200
"""Files whose histories are read at once."""
LOOKS_AT_ONCE = 16


class Library(Protocol):
    """All files there are."""

    def files(self, *, after: str) -> AsyncIterator[Sequence[str]]:
        """Pages of ids in their order, behind `after`: of the library and of the bin."""
        ...


class Looked(msgspec.Struct, frozen=True):
    """One page of a look."""

    last: str
    """From where another look can go on: the last key, or id."""
    count: int
    findings: Sequence[Finding]


class Reconciliation:
    """Compares bytes with the log."""

    def __init__(
        self,
        media: Media,
        objects: ObjectStore,
        library: Library,
        *,
        clock: Clock,
        bin_for: timedelta,
    ) -> None:
        self._media = media
        self._objects = objects
        self._library = library
        self._clock = clock
        self._bin_for = bin_for

    async def objects(self, bucket: Home, *, after: str = "") -> AsyncGenerator[Looked, None]:
        """Look at every object of a bucket behind the key."""
        async for page in self._objects.listed(bucket, after=after):
            findings: list[Finding] = []
            for start in range(0, len(page), CHUNK):
                findings += await self._judged(page[start : start + CHUNK])
            yield Looked(page[-1].key, len(page), findings)

    async def files(self, *, after: str = "", hashes: bool = False) -> AsyncGenerator[Looked, None]:
        """Look at every file behind the id; with `hashes`, read the bytes of each."""
        turns = asyncio.Semaphore(LOOKS_AT_ONCE)

        async def look(file: MediaFile) -> Finding | None:
            async with turns:
                return await self._look(file, hashes=hashes)

        async for ids in self._library.files(after=after):
            for start in range(0, len(ids), CHUNK):
                chunk = ids[start : start + CHUNK]
                histories = await self._media.load(*chunk)
                files = [file for one in chunk if (file := histories.file(one)) is not None]
                found = await asyncio.gather(*(look(file) for file in files))
                yield Looked(chunk[-1], len(chunk), [one for one in found if one is not None])

    async def _judged(self, listed: Sequence[Listed]) -> list[Finding]:
        named = {one.key: media_id_of_key(one.key) for one in listed}
        histories = await self._media.load(*{id_ for id_ in named.values() if id_ is not None})
        at = self._clock()
        judged = []
        for one in listed:
            media_id = named[one.key]
            file = None if media_id is None else histories.file(media_id)
            judged.append(judge_object(one, media_id, file, at=at))
        return [finding for finding in judged if finding is not None]

    async def _look(self, file: MediaFile, *, hashes: bool) -> Finding | None:
        if file.belongs is None:
            return None
        standing = await self._objects.head(file.belongs, file.key)
        if standing is None:
            return judge_file(file, await self._standing(file), at=self._clock())
        if not hashes:
            return None
        digest = hashlib.sha256()
        parts = self._objects.stream(file.belongs, file.key, etag=standing.etag)
        try:
            async with aclosing(parts):
                async for part in parts:
                    digest.update(part)
        except ObjectChanged:
            return None  # moved, or deleted, while it was read
        return judge_hash(file, digest.hexdigest())

    async def _standing(self, file: MediaFile) -> frozenset[Home]:
        heads = [await self._objects.head(home, file.key) for home in HOMES]
        return frozenset(home for home, head in zip(HOMES, heads, strict=True) if head is not None)

    async def repair(self, finding: Finding, context: SystemContext) -> Finding | None:
        """Mend what is still wrong; what was mended, or None. Of FOREIGN nothing ever is.

        Raises Contention, DatabaseUnavailable or ObjectStoreUnavailable.
        """
        if finding.kind is FindingKind.FOREIGN:
            return None
        if finding.kind is FindingKind.STRAY:
            return await self._remove_stray(finding, context)

        async def attempt() -> Finding | None:
            file = (await self._media.load(finding.media_id or "")).file(finding.media_id or "")
            if file is None:
                return None
            current = await self._again(finding, file, context.at)
            if current is None:
                return None
            if current.kind is FindingKind.MISPLACED:
                events: Sequence[Event] = bin_.request_placement(file, at=context.at)
            else:
                events = give_up_bytes(file, current, at=context.at, bin_for=self._bin_for)
            if not events:
                return None
            decided = Decided(file.id, file.owner, file.version, Access.SYSTEM, events)
            await self._media.append([decided], context)
            return current

        return await self._media.repeatedly(attempt)

    async def _again(self, finding: Finding, file: MediaFile, at: datetime) -> Finding | None:
        """The finding, if a second look finds it too."""
        if finding.kind is FindingKind.HASH:
            return await self._look(file, hashes=True)
        if finding.kind is FindingKind.MISSING or finding.bucket == file.belongs:
            if finding.kind is FindingKind.SIZE:
                standing = await self._objects.head(finding.bucket, finding.key)
                return finding if standing and standing.size != file.file_size else None
            return judge_file(file, await self._standing(file), at=at)
        exposed = await self._objects.head(finding.bucket, finding.key)
        return finding if exposed is not None and file.belongs == "private" else None

    async def _remove_stray(self, finding: Finding, context: SystemContext) -> Finding | None:
        """Say that it goes, then remove it: who is stopped between finds and says it again."""
        owner = owner_of_key(finding.key)
        standing = await self._objects.head(finding.bucket, finding.key)
        if owner is None or finding.media_id is None or standing is None:
            return None
        modified = context.at - timedelta(days=1)
        listed = Listed(finding.bucket, finding.key, standing.size, modified)
        if not await self._judged([listed]):
            return None
        stream = f"object_{finding.media_id.removeprefix('media_')}"
        found = StrayObjectFound(bucket=finding.bucket, key=finding.key, size=standing.size)

        async def attempt() -> None:
            version = len((await self._media.load(stream)).streams.get(stream, ()))
            decided = Decided(stream, str(owner), version, Access.SYSTEM, [found])
            await self._media.append([decided], context)

        await self._media.repeatedly(attempt)
        await self._objects.delete(finding.bucket, [finding.key])
        return finding

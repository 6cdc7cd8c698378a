"""Placement: the bytes of a file stand in the bucket its state says. Called by jobs and commands.

One mechanism for the bin, restore, undo and a change of visibility: each is a fact that changes
where the bytes belong. The copy comes before the removal, and nothing removes an object from the
private bucket before the purge: whatever runs late, twice or out of order, no byte is lost
(docs/adr/0015-bin-and-placement.md).
"""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from application.context import SystemContext
from application.media import Decided, Media
from application.ports import Bucket, ObjectExists, ObjectStore
from application.verification import served_headers
from domain import bin as bin_
from domain.access import Access
from domain.errors import ObjectStoreUnavailable
from domain.event import Event
from domain.media_file import MediaFile
from domain.placement import PLACEMENT_TIME_LIMIT

WAITS_AT_ONCE = 8
"""Files of one command that are looked for at the same time."""
FIRST_LOOK_SECONDS = 0.05
LONGEST_LOOK_SECONDS = 0.5


class BytesMissing(Exception):
    """Neither bucket holds the bytes of a file that is to be there."""


class FileLocks(Protocol):
    """One worker at a time moves the bytes of a file. For promptness; nothing is lost without."""

    def hold(self, media_id: str) -> AbstractAsyncContextManager[None]:
        """Hold the lock of the file, waiting for it. Raises DatabaseUnavailable."""
        ...


class Placement:
    """Makes the buckets agree with the log."""

    def __init__(self, media: Media, objects: ObjectStore, locks: FileLocks) -> None:
        self._media = media
        self._objects = objects
        self._locks = locks

    async def place_objects(self, media_id: str, context: SystemContext) -> MediaFile | None:
        """Move the bytes to where they belong; record it once no late writer can undo it.

        The file, or None when its bytes belong nowhere. Raises BytesMissing, StreamChanged (look
        again) or ObjectStoreUnavailable.
        """
        async with self._locks.hold(media_id):
            file = await self._file(media_id)
            if file is None or file.belongs is None:
                return None
            async with asyncio.timeout(PLACEMENT_TIME_LIMIT.total_seconds()):
                await self.put(file)
            return await self._record(file, bin_.record_placement(file, at=context.at), context)

    async def has_failed(self, media_id: str) -> bool:
        """Whether an operator was told that the bytes of the file do not arrive."""
        file = await self._file(media_id)
        return file is not None and file.placement.moving and file.placement.failed

    async def put(self, file: MediaFile) -> None:
        """Move the bytes of a file that has a bucket there.

        Raises BytesMissing, ObjectChanged or ObjectStoreUnavailable.
        """
        if file.belongs == "public":
            kept = await self._objects.head("private", file.key)
            standing = await self._objects.head("public", file.key)
            if standing is not None and kept is not None and standing != kept:
                # What a second complete put there after the file had left the public bucket.
                await self._objects.delete("public", [file.key])
                standing = None
            if standing is None:
                await self._copy(file, "private", "public")
        else:
            await self._copy(file, "public", "private")
            await self._objects.delete("public", [file.key])

    async def _copy(self, file: MediaFile, source: Bucket, target: Bucket) -> None:
        standing = await self._objects.head(source, file.key)
        if standing is None:
            if await self._objects.head(target, file.key) is None:
                raise BytesMissing(f"no bucket holds {file.key}")
            return
        try:
            await self._objects.copy(
                file.key,
                source=source,
                target=target,
                etag=standing.etag,
                headers=served_headers(file),
            )
        except ObjectExists:
            return

    async def give_up(self, media_id: str, error: str, context: SystemContext) -> None:
        """Say in the log that the bytes do not arrive, and give up what must not stay public.

        A file in the bin that the private bucket does not take is not kept: better gone than
        readable by anyone who knows its URL.
        """
        file = await self._file(media_id)
        if file is None or not file.placement.moving:
            return
        events = bin_.record_placement_failure(file, error=error)
        if file.in_bin is not None and await self._cannot_be_kept(file):
            events = bin_.not_kept(file, error=error, at=context.at)
        await self._record(file, events, context)

    async def _cannot_be_kept(self, file: MediaFile) -> bool:
        """Whether the private bucket has no copy although the store is there."""
        try:
            if await self._objects.head("private", file.key) is not None:
                return False
        except ObjectStoreUnavailable:
            pass
        try:
            await self._objects.head("public", file.key)
        except ObjectStoreUnavailable:
            return False
        return True

    async def wait(self, files: Sequence[MediaFile], *, seconds: float) -> list[str]:
        """Wait until the public bucket has, or no longer has, what it should; who is still moving.

        The jobs move the bytes; this only looks.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        turns = asyncio.Semaphore(WAITS_AT_ONCE)

        async def one(file: MediaFile) -> bool:
            async with turns:
                return await self._arrived(file, deadline)

        arrived = await asyncio.gather(*(one(file) for file in files))
        return [file.id for file, there in zip(files, arrived, strict=True) if not there]

    async def _arrived(self, file: MediaFile, deadline: float) -> bool:
        pause = FIRST_LOOK_SECONDS
        wanted = file.belongs == "public"
        clock = asyncio.get_running_loop().time
        while True:
            try:
                if (await self._objects.head("public", file.key) is not None) is wanted:
                    return True
            except ObjectStoreUnavailable:
                return False
            left = deadline - clock()
            if left <= 0:
                return False
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_LOOK_SECONDS)

    async def _file(self, media_id: str) -> MediaFile | None:
        return (await self._media.load(media_id)).file(media_id)

    async def _record(
        self, file: MediaFile, events: Sequence[Event], context: SystemContext
    ) -> MediaFile:
        if events:
            decided = Decided(file.id, file.owner, file.version, Access.SYSTEM, events)
            for recorded in await self._media.append([decided], context):
                file = MediaFile.evolve(file, recorded)
        return file

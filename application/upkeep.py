"""Upkeep: the expiry sweep and the removal of workspaces (spec 15, 16). Called by jobs."""

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta

from application.context import SystemContext
from application.media import Decided, Media
from application.ports import Clock, ObjectStore, WorkList
from domain import bin as bin_
from domain.access import Access
from domain.errors import MediaNotFound
from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.object_key import media_id_of_key
from domain.owner import tenant
from domain.tenant import stream_of

CHUNK = 100
"""Files decided in one append."""
DELETE_CHUNK = 500
"""Leftover objects removed in one call; S3 takes 1,000."""
LEFTOVER_GRACE = timedelta(hours=1)
"""Beyond the life of a pending upload, so that a running verification keeps its bytes."""


class NotCaughtUp(Exception):
    """The read model behind a work list is behind; try again."""


class Upkeep:
    """What must be done although nobody asked."""

    def __init__(
        self,
        media: Media,
        objects: ObjectStore,
        *,
        pending_lifetime: timedelta,
        clock: Clock,
    ) -> None:
        self._media = media
        self._objects = objects
        self._pending_lifetime = pending_lifetime
        self._clock = clock

    async def sweep_uploads(self, work: WorkList, context: SystemContext) -> int:
        """Expire overdue uploads and empty incoming of leftovers; how many expired."""
        expired = 0
        overdue = work.overdue_uploads(context.at - self._pending_lifetime)
        async for ids in _chunks(overdue, CHUNK):
            expired += await self._decide_all(
                ids,
                context,
                lambda file: file.expire(at=context.at, pending_lifetime=self._pending_lifetime),
            )
        before = context.at - self._pending_lifetime - LEFTOVER_GRACE
        leftovers = self._objects.list_older_than("incoming", before)
        async for keys in _chunks(leftovers, DELETE_CHUNK):
            await self._objects.delete("incoming", await self._unclaimed(keys))
        return expired

    async def _unclaimed(self, keys: Sequence[str]) -> list[str]:
        """The keys that no pending upload waits for, as one does whose scanner is away."""
        ids = {key: media_id_of_key(key) for key in keys}
        histories = await self._media.load(*{known for known in ids.values() if known is not None})
        kept = []
        for key, media_id in ids.items():
            file = histories.file(media_id) if media_id is not None else None
            if file is None or file.key != key or file.status is not Status.PENDING:
                kept.append(key)
        return kept

    async def empty_bins(self, work: WorkList, context: SystemContext) -> int:
        """Let go for good what was in the bin for its time; how many files."""
        purged = 0
        async for ids in _chunks(work.overdue_bins(context.at), CHUNK):
            purged += await self._decide_all(
                ids, context, lambda file: bin_.end_retention(file, at=context.at)
            )
        return purged

    async def remove_tenant(self, tenant_id: str, context: SystemContext) -> int:
        """Close the workspace to commands and take its files out of every view; the position."""

        async def attempt() -> int:
            current = (await self._media.load(stream_of(tenant_id))).tenant(tenant_id)
            events = current.remove()
            if not events:
                return current.position
            decided = Decided(
                stream_of(tenant_id),
                str(tenant(tenant_id)),
                current.version,
                Access.SYSTEM,
                events,
            )
            return await self._media.append_removal(decided, context)

        return await self._media.repeatedly(attempt)

    async def remove_tenant_files(
        self, tenant_id: str, work: WorkList, context: SystemContext
    ) -> None:
        """Delete every file of a removed workspace, then say so. Raises NotCaughtUp."""
        stream = stream_of(tenant_id)
        current = (await self._media.load(stream)).tenant(tenant_id)
        if current.removed_at is None or current.files_removed:
            return
        if not await work.caught_up(current.position):
            raise NotCaughtUp(tenant_id)
        owner = str(tenant(tenant_id))
        # Now, not when the job began: `settles_at` counts from it, and this may take long.
        async for ids in _chunks(work.files_of(owner), CHUNK):
            await self._decide_all(ids, context, lambda file: bin_.remove(file, at=self._clock()))
        events = current.record_files_removed()
        await self._media.append(
            [Decided(stream, owner, current.version, Access.SYSTEM, events)], context
        )

    async def _decide_all(
        self,
        ids: Sequence[str],
        context: SystemContext,
        decide: Callable[[MediaFile], list[Event]],
    ) -> int:
        """Decide for each file, in one append; how many files changed."""

        async def attempt() -> int:
            histories = await self._media.load(*ids)
            decided = []
            for media_id in ids:
                file = histories.file(media_id)
                try:
                    events = decide(file) if file is not None else []
                except MediaNotFound:
                    continue
                if file is not None and events:
                    decided.append(
                        Decided(file.id, file.owner, file.version, Access.SYSTEM, events)
                    )
            if decided:
                await self._media.append(decided, context)
            return len(decided)

        return await self._media.repeatedly(attempt)


async def _chunks(items: AsyncIterator[str], size: int) -> AsyncIterator[list[str]]:
    chunk: list[str] = []
    async for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk

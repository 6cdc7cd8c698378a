"""Libraries as they were: `asOf` of list, stats and detail, read from the log (docs/adr/0018).

Bounded in what it reads, holds and does at once. No read model is touched, but for the number of
pending uploads, which the audit trail counts.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import msgspec

from adapters.event_mapper import EVENT_TYPES
from adapters.owner_log import horizon, library_events, position_at, streams_of
from adapters.postgres import Pool
from api.moments import moment
from api.parameters import MAX_POSITION
from application.ports import Clock
from domain.errors import AsOfBusy, AsOfTooLarge, InvalidField
from domain.event import before_unknown
from domain.media_file import MediaFile, Status
from domain.media_file_events import (
    UploadCancelled,
    UploadCompleted,
    UploadExpired,
    UploadRejected,
    UploadRequested,
)
from domain.owner import parse
from domain.tenant import Tenant, stream_of
from projections import audit_trail
from projections.audit_trail import AuditTrailProjection
from projections.file_pages import FileQuery, PageKey
from projections.file_resource import FileResource
from projections.past_library import EVENT_TYPES as LIBRARY_EVENTS
from projections.past_library import PastLibrary, files_of
from projections.storage_stats import StorageStats
from projections.variants import NONE as NO_VARIANTS
from projections.variants import Variants
from projections.waiting import WAIT_SECONDS, Checkpoints

AS_OF = "asOf"
AHEAD = timedelta(seconds=5)
"""By how much a caller's clock may be ahead of ours."""
AT_ONCE = 2
"""Libraries one process folds at a time: each may hold some 100 MB for some seconds."""
TURN_SECONDS = 10.0
"""How long a request waits for its turn."""
POLL_SECONDS = 0.01
RECENT = 8
_BEGUN = EVENT_TYPES.stored_as([UploadRequested])
_ENDED = EVENT_TYPES.stored_as([UploadCompleted, UploadRejected, UploadExpired, UploadCancelled])


class PastKey(msgspec.Struct, frozen=True, array_like=True):
    """Where a page ended: the position its list is of, and its last row."""

    position: int
    row: PageKey


class PastPage(msgspec.Struct, frozen=True):
    """One page of a library as it was."""

    files: list[FileResource]
    next_key: PastKey | None
    position: int


class TimeTravel:
    """Answers of one process about the past."""

    def __init__(
        self,
        pool: Pool,
        checkpoints: Checkpoints,
        *,
        clock: Clock,
        public_base_url: str,
        at_most: int,
        variants: Variants = NO_VARIANTS,
    ) -> None:
        """`at_most` events of one library are read for one answer."""
        self._pool = pool
        self._checkpoints = checkpoints
        self._clock = clock
        self._base_url = public_base_url
        self._at_most = at_most
        self._variants = variants
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def position(self, text: str, *, wanted: int = 0) -> int:
        """The position that `asOf` means. Raises InvalidField for one that lies ahead.

        A time up to `AHEAD` ahead is one of a caller whose clock is, and means now.

        A position just written, `wanted` as well, is waited for: until no transaction can still
        put an event before it, at most 2 s.
        """
        asked = moment(AS_OF, text)
        if isinstance(asked, datetime):
            if asked > self._clock() + AHEAD:
                raise InvalidField(AS_OF, "lies in the future")
            await self._settled(wanted)
            return await position_at(self._pool, asked)
        if not await self._settled(max(asked, wanted)) and await horizon(self._pool) <= asked:
            raise InvalidField(AS_OF, "lies ahead of the log")
        return asked

    async def _settled(self, position: int) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WAIT_SECONDS
        while await horizon(self._pool) <= position:
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    async def page(self, owner: str, query: FileQuery, position: int) -> PastPage:
        """One page of the files the owner had. Raises AsOfTooLarge, AsOfBusy."""
        async with self._turn():
            library, reached = await self._fold(owner, position)
            # On a thread, so that others have their turn while a large library is gone through.
            ids, key = await asyncio.to_thread(library.page, query)
        next_key = None if key is None else PastKey(position, key)
        return PastPage(await self._files(owner, ids, reached), next_key, reached)

    async def stats(self, owner: str, position: int) -> tuple[StorageStats, int]:
        """What the owner stored, and the position that is told of. Raises as `page`."""
        trail = AuditTrailProjection.name
        reached = await self._checkpoints.wait_for(trail, position)
        position = min(position, reached)
        async with self._turn():
            library, position = await self._fold(owner, position)
            counts = (
                await audit_trail.counts(self._pool, owner, [*_BEGUN, *_ENDED], upto=position)
            ).found
            pending = sum(counts.get(one, 0) for one in _BEGUN)
            pending -= sum(counts.get(one, 0) for one in _ENDED)
            stats = await asyncio.to_thread(library.stats, pending_uploads=pending)
            ids, _ = await asyncio.to_thread(library.page, FileQuery(limit=RECENT))
        stats.recent = await self._files(owner, ids, position)
        return stats, position

    async def file(
        self, owners: Sequence[str], media_id: str, position: int, *, user_id: str
    ) -> FileResource | None:
        """The file as it was: uploaded, or pending to who began it. Costs one stream."""
        for owner in owners:
            if await self._removed(owner):
                continue
            histories = await streams_of(self._pool, owner, [media_id], upto=position)
            history = histories[media_id]
            uploaded = files_of(
                {media_id: history}, public_base_url=self._base_url, variants=self._variants
            )
            if uploaded:
                return uploaded[0]
            file = MediaFile.from_history(history)
            if (
                file is not None
                and file.status is Status.PENDING
                and not file.awaits_source
                and file.uploaded_by == user_id
            ):
                return FileResource.of(file, public_base_url=self._base_url)
        return None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(TURN_SECONDS):
                await self._turns.acquire()
        except TimeoutError:
            raise AsOfBusy("Others are asking about the past; try again soon.") from None
        try:
            yield
        finally:
            self._turns.release()

    async def _fold(self, owner: str, position: int) -> tuple[PastLibrary, int]:
        """The library, and how far it could be told: up to what this version knows."""
        library = PastLibrary(removed=await self._removed(owner))
        if library.removed:
            return library, position
        reached = scanned = 0
        while True:
            chunk = await library_events(
                self._pool, owner, LIBRARY_EVENTS, after=reached, upto=position
            )
            scanned += chunk.scanned
            if scanned > self._at_most:
                raise AsOfTooLarge(self._at_most)
            known, unknown = before_unknown(chunk.events)
            for recorded in known:
                library.take(recorded)
            if unknown is not None:
                return library, known[-1].position if known else reached
            if chunk.reached == reached:
                return library, position
            reached = chunk.reached

    async def _removed(self, owner: str) -> bool:
        """Whether the workspace is gone by now: then its past is told to nobody either."""
        tenant_id = parse(owner).tenant_id
        if tenant_id is None:
            return False
        stream = stream_of(tenant_id)
        history = (await streams_of(self._pool, owner, [stream], upto=MAX_POSITION))[stream]
        return Tenant.from_history(history).removed_at is not None

    async def _files(self, owner: str, ids: Sequence[str], position: int) -> list[FileResource]:
        if not ids:
            return []
        histories = await streams_of(self._pool, owner, ids, upto=position)
        return files_of(histories, public_base_url=self._base_url, variants=self._variants)

"""Libraries as they were: `asOf` of list, stats and detail, read from the log (docs/adr/0018).

Bounded in what it reads, holds and does at once. No read model is touched, but for the number of
pending uploads, which the audit trail counts.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import msgspec

from adapters.event_mapper import EVENT_TYPES
from adapters.owner_log import horizon, library_events, position_at, streams_of
from adapters.runtime import Runtime
from api.moments import moment
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
from projections.past_library import PastLibrary
from projections.storage_stats import StorageStats
from projections.waiting import WAIT_SECONDS, Checkpoints

AS_OF = "asOf"
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

    def __init__(self, runtime: Runtime, checkpoints: Checkpoints) -> None:
        self._pool = runtime.pool
        self._clock = runtime.clock
        self._base_url = runtime.settings.public_base_url
        self._at_most = runtime.settings.as_of_events
        self._checkpoints = checkpoints
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def position(self, text: str, *, wanted: int = 0) -> int:
        """The position that `asOf` means. Raises InvalidField for one that lies ahead.

        A position just written, `wanted` as well, is waited for: until no transaction can still
        put an event before it, at most 2 s.
        """
        asked = moment(AS_OF, text)
        if isinstance(asked, datetime):
            if asked > self._clock():
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
            ids, key = library.page(query)
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
            stats = library.stats(pending_uploads=pending)
            ids, _ = library.page(FileQuery(limit=RECENT))
        stats.recent = await self._files(owner, ids, position)
        return stats, position

    async def file(
        self, owners: Sequence[str], media_id: str, position: int, *, user_id: str
    ) -> FileResource | None:
        """The file as it was: uploaded, or pending to who began it. Costs one stream."""
        for owner in owners:
            tenant_id = parse(owner).tenant_id
            workspace = [] if tenant_id is None else [stream_of(tenant_id)]
            histories = await streams_of(self._pool, owner, [media_id, *workspace], upto=position)
            file = MediaFile.from_history(histories[media_id])
            if any(Tenant.from_history(histories[one]).removed_at for one in workspace):
                continue
            if file is None:
                continue
            pending = file.status is Status.PENDING and not file.awaits_source
            if file.status is Status.UPLOADED or (pending and file.uploaded_by == user_id):
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
        library = PastLibrary()
        reached = scanned = 0
        while True:
            chunk = await library_events(
                self._pool, owner, library.event_types, after=reached, upto=position
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

    async def _files(self, owner: str, ids: Sequence[str], position: int) -> list[FileResource]:
        if not ids:
            return []
        histories = await streams_of(self._pool, owner, ids, upto=position)
        files = (MediaFile.from_history(histories[id_]) for id_ in ids)
        return [FileResource.of(file, public_base_url=self._base_url) for file in files if file]

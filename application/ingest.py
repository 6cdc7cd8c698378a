"""Ingest: copy what a URL leads to. The request is recorded, a worker fetches, the request waits.

Called by `api/ingest.py` and the job `FetchSource`.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Literal

import msgspec

from application.access import check_tenant_open, tenant_streams
from application.context import Context, SystemContext
from application.media import Decided, Media, claim_for, same_request
from application.ports import (
    Clock,
    Identities,
    IngestSource,
    KeyTaken,
    ObjectHeaders,
    ObjectStore,
)
from application.source_ports import IngestSources
from application.source_receiver import REFUSALS, Received, SourceReceiver
from application.uploads import VerificationPending, checked_file_name, owner_of
from domain import ingest
from domain.access import Access
from domain.errors import (
    MediaError,
    MediaNotFound,
    TenantRemoved,
)
from domain.event import Event, Recorded
from domain.media_file import MediaFile, Status
from domain.media_file_events import IngestRequested
from domain.media_type import UploadRules
from domain.object_key import media_id
from domain.owner import parse
from domain.tenant import stream_of

FIRST_LOOK_SECONDS = 0.05
LOOK_GROWTH = 1.25
"""So that a look comes late by a quarter of the time waited at most."""
LONGEST_LOOK_SECONDS = 0.5
"""Between two looks at an ingest somebody waits for. No connection is held between them."""
SOURCE_GRACE = timedelta(hours=1)
"""Beyond the life of a pending ingest, after which its URL is of no use."""


class IngestUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Copy what a URL leads to into the library."""

    url: str
    service_code: str
    file_name: str | None = None
    is_public: bool = True
    scope: Literal["tenant", "user"] | None = None


class Ingest:
    """The ingest command, and the job behind it."""

    def __init__(
        self,
        media: Media,
        objects: ObjectStore,
        *,
        receiver: SourceReceiver,
        sources: IngestSources,
        identities: Identities,
        rules: UploadRules,
        pending_lifetime: timedelta,
        clock: Clock,
    ) -> None:
        self._media = media
        self._objects = objects
        self._receiver = receiver
        self._sources = sources
        self._identities = identities
        self._rules = rules
        self._pending_lifetime = pending_lifetime
        self._clock = clock

    async def ingest_url(
        self, command: IngestUrl, context: Context, *, wait_seconds: float
    ) -> MediaFile | VerificationPending:
        """Record the ingest and wait at most so long for its outcome.

        Raises what the outcome is when it is no file. A repeat with the same Idempotency-Key waits
        for the outcome of the first, and fetches nothing.
        """
        owner = owner_of(command.scope, context)
        self._rules.of(command.service_code)
        name = None if command.file_name is None else checked_file_name(command.file_name)
        source = self._receiver.check(command.url)
        new_id = media_id(self._identities.nanoid())
        asked = IngestRequested(
            source=source,
            service_code=command.service_code,
            is_public=command.is_public,
            uploaded_by=context.caller.user_id,
            file_name=name,
        )
        access = Access.WORKSPACE if owner.tenant_id else Access.UPLOADER
        decided = Decided(new_id, str(owner), 0, access, [asked])
        kept_url = IngestSource(str(owner), new_id, command.url, context.at)
        claim = claim_for(context, {"mediaId": new_id})

        async def attempt() -> list[Recorded]:
            return await self._media.append([decided], context, claim=claim, source=kept_url)

        if owner != context.owner:
            # The log refuses what a removed workspace would own, not what is its member's.
            await self._check_tenant_open(context)
        try:
            await self._media.repeatedly(attempt)
        except KeyTaken as taken:
            await self._check_tenant_open(context)
            outcome = msgspec.json.decode(same_request(taken.kept, context).outcome)
            new_id = outcome["mediaId"]
        return await self._outcome(new_id, wait_seconds)

    async def _check_tenant_open(self, context: Context) -> None:
        check_tenant_open(await self._media.load(*tenant_streams(context)), context)

    async def _outcome(self, media_id: str, wait_seconds: float) -> MediaFile | VerificationPending:
        clock = asyncio.get_running_loop().time
        deadline = clock() + wait_seconds
        pause = FIRST_LOOK_SECONDS
        while True:
            file = await self._file(media_id)
            if file is None:
                raise MediaNotFound(media_id)
            try:
                file.check_completable(at=self._clock(), pending_lifetime=self._pending_lifetime)
            except MediaError as refusal:
                refusal.position = file.position
                refusal.details["mediaId"] = media_id
                raise
            if file.status is Status.UPLOADED:
                return file
            left = deadline - clock()
            if left <= 0:
                return VerificationPending.of(file)
            await asyncio.sleep(min(pause, left))
            pause = min(pause * LOOK_GROWTH, LONGEST_LOOK_SECONDS)

    async def fetch_source(self, media_id: str, context: SystemContext) -> MediaFile | None:
        """Fetch what the ingest names and have it verified, or say in the log why it cannot be.

        Quietly nothing when the ingest has moved on. None when there is no such file.
        """
        file = await self._file(media_id)
        if file is None or not file.awaits_source:
            return file and await self._forgotten(file)
        if await self._called_off(file):
            return await self._conclude(media_id, context, self._call_off)
        url = await self._sources.url_of(file.owner, media_id)
        try:
            async with self._receiver.receive(file, url) as source:
                return await self._store(file, source, context)
        except REFUSALS as refusal:
            return await self.fail(media_id, refusal, context)

    async def fail(
        self, media_id: str, refusal: MediaError, context: SystemContext
    ) -> MediaFile | None:
        """Say in the log that the source cannot be taken over."""
        return await self._conclude(media_id, context, lambda file: ingest.failed(file, refusal))

    async def forget_old_sources(self, context: SystemContext) -> int:
        """Remove the URLs that a crash or a cancellation left behind; how many."""
        before = context.at - self._pending_lifetime - SOURCE_GRACE
        return await self._sources.forget_older_than(before)

    async def _store(
        self, file: MediaFile, source: Received, context: SystemContext
    ) -> MediaFile | None:
        key = ingest.source_key(file, source.media_type)
        headers = ObjectHeaders(source.media_type.mime_type, "no-store", "attachment")
        current = await self._file(file.id)
        if current is None or not current.awaits_source:
            # Another worker was faster, and its bytes are being verified under this very key.
            return current and await self._forgotten(current)
        if await self._called_off(file):
            return await self._conclude(file.id, context, self._call_off)
        await self._objects.write_file("incoming", key, source.body, headers=headers)

        def fetched(current: MediaFile) -> list[Event]:
            return ingest.fetched(
                current,
                file_name=source.file_name,
                file_size=source.size,
                media_type=source.media_type,
                sha256=source.sha256,
            )

        try:
            concluded = await self._conclude(file.id, context, fetched)
        except TenantRemoved:
            concluded = await self._conclude(file.id, context, self._call_off)
        if concluded is not None and concluded.ended:
            # Cancelled meanwhile: nobody else knows of these bytes before the sweep does.
            await self._objects.delete("incoming", [key])
        return concluded

    async def _conclude(
        self,
        media_id: str,
        context: SystemContext,
        decide: Callable[[MediaFile], Sequence[Event]],
    ) -> MediaFile | None:
        """Append what is decided and forget the URL."""

        async def attempt() -> MediaFile | None:
            file = await self._file(media_id)
            events = decide(file) if file is not None else []
            if file is None or not events:
                return file
            now = msgspec.structs.replace(context, at=self._clock())
            decided = Decided(file.id, file.owner, file.version, Access.SYSTEM, events)
            for recorded in await self._media.append([decided], now):
                file = MediaFile.evolve(file, recorded)
            return file

        file = await self._media.repeatedly(attempt)
        return file and await self._forgotten(file)

    async def _forgotten(self, file: MediaFile) -> MediaFile:
        await self._sources.forget(file.owner, file.id)
        return file

    async def _called_off(self, file: MediaFile) -> bool:
        """Whether the file's time is over, or its workspace is gone."""
        if self._overdue(file):
            return True
        tenant_id = parse(file.owner).tenant_id
        if tenant_id is None:
            return False
        histories = await self._media.load(stream_of(tenant_id))
        return histories.tenant(tenant_id).removed_at is not None

    def _call_off(self, file: MediaFile) -> list[Event]:
        if not file.awaits_source:
            return []
        return self._overdue(file) or file.delete(at=self._clock(), reason="tenant_removed")

    def _overdue(self, file: MediaFile) -> list[Event]:
        return file.expire(at=self._clock(), pending_lifetime=self._pending_lifetime)

    async def _file(self, media_id: str) -> MediaFile | None:
        return (await self._media.load(media_id)).file(media_id)

"""Ingest: copy what a URL leads to. The request is recorded, a worker fetches, the request waits.

Called by `api/ingest.py` and the job `FetchSource`.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from datetime import timedelta
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, Literal, cast

import msgspec

from application.context import Context, SystemContext
from application.media import Decided, Media, claim_for, same_request
from application.ports import (
    HEAD_BYTES,
    Clock,
    ContentInspector,
    FetchedSource,
    Identities,
    IngestSource,
    IngestSources,
    KeyTaken,
    ObjectHeaders,
    ObjectStore,
    SourceFetcher,
)
from application.uploads import VerificationPending, checked_file_name, owner_of
from domain import ingest
from domain.access import Access
from domain.errors import (
    FileTooLarge,
    MediaError,
    MediaNotFound,
    RedirectLoop,
    SourceUnavailable,
    SsrfBlocked,
    UnsupportedMime,
)
from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.media_file_events import IngestRequested
from domain.media_type import MEDIA_TYPES, MediaType, ServiceRules, UploadRules
from domain.object_key import media_id
from domain.owner import parse
from domain.tenant import stream_of

IN_MEMORY_BYTES = 1024 * 1024
"""Of a source being fetched; what is over stands on disk."""
FIRST_LOOK_SECONDS = 0.05
LONGEST_LOOK_SECONDS = 0.5
"""Between two looks at an ingest somebody waits for. No connection is held between them."""
WHOLE_ANSWERS = frozenset({200, 203})
"""Of the 2xx: others come without a body, or with a part of one that nobody asked for."""
SOURCE_GRACE = timedelta(hours=1)
"""Beyond the life of a pending ingest, after which its URL is of no use."""

REFUSALS = (SsrfBlocked, RedirectLoop, SourceUnavailable, FileTooLarge, UnsupportedMime)
"""What a source is to blame for: final. Of anything else the job is run again."""


class IngestUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Copy what a URL leads to into the library."""

    url: str
    service_code: str
    file_name: str | None = None
    is_public: bool = True
    scope: Literal["tenant", "user"] | None = None


class _Spooled(msgspec.Struct, frozen=True):
    """A source whose bytes are all here."""

    media_type: MediaType
    file_name: str
    size: int
    sha256: str


class Ingest:
    """The ingest command, and the job behind it."""

    def __init__(
        self,
        media: Media,
        objects: ObjectStore,
        *,
        inspector: ContentInspector,
        fetcher: SourceFetcher,
        sources: IngestSources,
        identities: Identities,
        rules: UploadRules,
        pending_lifetime: timedelta,
        clock: Clock,
    ) -> None:
        self._media = media
        self._objects = objects
        self._inspector = inspector
        self._fetcher = fetcher
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
        source = self._fetcher.check(command.url)
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
        try:
            await self._media.append([decided], context, claim=claim, source=kept_url)
        except KeyTaken as taken:
            outcome = msgspec.json.decode(same_request(taken.kept, context).outcome)
            new_id = outcome["mediaId"]
        return await self._outcome(new_id, wait_seconds)

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
                return VerificationPending(media_id, file.position)
            await asyncio.sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_LOOK_SECONDS)

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
        with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
            bytes_ = cast("BinaryIO", spool)
            try:
                spooled = await self._spooled(file, url, bytes_)
            except REFUSALS as refusal:
                return await self.fail(media_id, refusal, context)
            return await self._store(file, spooled, bytes_, context)

    async def fail(
        self, media_id: str, refusal: MediaError, context: SystemContext
    ) -> MediaFile | None:
        """Say in the log that the source cannot be taken over."""
        return await self._conclude(media_id, context, lambda file: ingest.failed(file, refusal))

    async def forget_old_sources(self, context: SystemContext) -> int:
        """Remove the URLs that a crash or a cancellation left behind; how many."""
        before = context.at - self._pending_lifetime - SOURCE_GRACE
        return await self._sources.forget_older_than(before)

    async def _spooled(self, file: MediaFile, url: str | None, spool: BinaryIO) -> _Spooled:
        """Everything the source has to give. Raises one of REFUSALS."""
        if url is None:
            raise SourceUnavailable("The address of the source is not kept any more.")
        rules = self._rules.of(file.service_code)
        async with self._fetcher.get(url, max_bytes=rules.largest_bytes) as source:
            if source.status not in WHOLE_ANSWERS:
                raise SourceUnavailable(f"The source answers {source.status}.")
            media_type, size, sha256 = await self._receive(source, rules, spool)
            name = file.file_name or ingest.source_file_name(
                media_type,
                disposition=source.headers.get("content-disposition", ""),
                url=source.url,
            )
        return _Spooled(media_type, checked_file_name(name), size, sha256)

    async def _receive(
        self, source: FetchedSource, rules: ServiceRules, spool: BinaryIO
    ) -> tuple[MediaType, int, str]:
        digest = hashlib.sha256()
        size, head = 0, b""
        media_type: MediaType | None = None
        limit = rules.largest_bytes
        content_type = source.headers.get("content-type", "")

        def settled() -> MediaType:
            found = self._type_of(head, declared=ingest.declared_type(content_type))
            return ingest.accepted_type(found, content_type=content_type, rules=rules)

        async for piece in source:
            size += len(piece)
            if media_type is None:
                head = (head + piece)[:HEAD_BYTES]
                if len(head) == HEAD_BYTES:
                    # As soon as it is known, so that a wrong source is not read to its end.
                    media_type = settled()
                    limit = rules.max_bytes[media_type.category]
            if size > limit:
                raise FileTooLarge(limit)
            digest.update(piece)
            spool.write(piece)
        media_type = media_type or settled()
        limit = rules.max_bytes[media_type.category]
        if size > limit:
            raise FileTooLarge(limit)
        return media_type, size, digest.hexdigest()

    def _type_of(self, head: bytes, *, declared: str) -> MediaType | None:
        """What the bytes are, the declared type tried first."""
        for mime_type in sorted(MEDIA_TYPES, key=lambda one: one != declared):
            if self._inspector.is_of_type(head, mime_type):
                return MEDIA_TYPES[mime_type]
        return None

    async def _store(
        self, file: MediaFile, spooled: _Spooled, spool: BinaryIO, context: SystemContext
    ) -> MediaFile | None:
        key = ingest.source_key(file, spooled.media_type)
        headers = ObjectHeaders(spooled.media_type.mime_type, "no-store", "attachment")
        current = await self._file(file.id)
        if current is None or not current.awaits_source:
            # Another worker was faster, and its bytes are being verified under this very key.
            return current and await self._forgotten(current)
        if await self._called_off(file):
            return await self._conclude(file.id, context, self._call_off)
        await self._objects.write_file("incoming", key, spool, headers=headers)
        concluded = await self._conclude(
            file.id,
            context,
            lambda current: ingest.fetched(
                current,
                file_name=spooled.file_name,
                file_size=spooled.size,
                media_type=spooled.media_type,
                sha256=spooled.sha256,
            ),
        )
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

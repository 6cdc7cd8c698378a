"""Cache purges: have the caches drop what they keep of a file. Asked for by people and by facts."""

from collections.abc import Sequence

import msgspec

from application.access import access_of, check_tenant_open, tenant_streams
from application.cdn_ports import CdnCache
from application.context import Context, SystemContext
from application.media import Decided, Media, claim_for
from application.ports import ObjectStore
from application.repeats import Written, once
from domain.access import Access, OwnerBypass
from domain.cache_purge import CachedFile
from domain.errors import MediaNotFound, OwnershipDenied
from domain.event import Event
from domain.media_file import MediaFile


class CachePurgeQueued(msgspec.Struct, frozen=True):
    """The caches are told within moments; the file's history says when."""

    id: str
    queued: bool = True


class StillPublic(Exception):
    """The public bucket still holds something that is to go: a cache would only take it again."""


class CacheAddresses(msgspec.Struct, frozen=True):
    """Where public files are reached."""

    public_base_url: str
    delivery_base_url: str
    presets: tuple[str, ...]

    def of(self, file: CachedFile) -> tuple[str, ...]:
        """Every address the file ever had."""
        return file.urls(
            public_base_url=self.public_base_url,
            delivery_base_url=self.delivery_base_url,
            presets=self.presets,
        )


class CachePurges:
    """The command, and the job that follows every fact that calls for a purge."""

    def __init__(
        self,
        media: Media,
        objects: ObjectStore,
        cdn: CdnCache,
        *,
        addresses: CacheAddresses,
        owner_bypass: OwnerBypass,
    ) -> None:
        self._media = media
        self._objects = objects
        self._cdn = cdn
        self._addresses = addresses
        self._owner_bypass: OwnerBypass = owner_bypass

    async def request_purge(
        self, media_id: str, context: Context, *, key: str | None = None
    ) -> Written:
        """Ask for a purge of a file that is, or was, uploaded; of the one with this key.

        Raises MediaNotFound or OwnershipDenied, as a delete.
        """
        answer = CachePurgeQueued(media_id)

        async def attempt() -> Written:
            histories = await self._media.load(media_id, *tenant_streams(context))
            check_tenant_open(histories, context)
            file = histories.file(media_id)
            if file is None or file.completed_at is None or key not in {None, file.key}:
                raise MediaNotFound(media_id)
            access = access_of(file, context, self._owner_bypass)
            if access is None:
                raise OwnershipDenied(media_id)
            cached = CachedFile.from_history(histories.streams[media_id])
            decided = _decided(file, access, cached.request_purge(reason="user"))
            claim = claim_for(context, answer)
            recorded = await self._media.append([decided], context, claim=claim)
            return Written(msgspec.json.encode(answer), recorded[-1].position, file)

        return await once(self._media, context, attempt)

    async def purge_cache(self, media_id: str, context: SystemContext) -> MediaFile | None:
        """Tell the caches what is due, and record it; the file, or None when nothing was due.

        Raises StillPublic, CdnUnavailable or ObjectStoreUnavailable.
        """
        file, cached = await self._load(media_id)
        if file is None or not cached.is_due(context.at):
            return None
        if not cached.is_public and cached.was_public:
            await self._check_gone(cached)
        urls = self._addresses.of(cached)
        if urls:
            await self._cdn.purge(urls)

        async def record() -> MediaFile | None:
            file, now = await self._load(media_id)
            # A fact since then has a job of its own: this purge may have come before its effect.
            if file is None or now.asked_by != cached.asked_by:
                return None
            purged = now.record_purge(urls=urls, cdn=self._cdn.name, at=context.at)
            return await self._record(file, purged, context)

        return await self._media.repeatedly(record)

    async def _check_gone(self, cached: CachedFile) -> None:
        """What is purged while the bucket still has it comes back with the next request."""
        for key in cached.objects:
            if await self._objects.head("public", key) is not None:
                raise StillPublic(key)

    async def record_failure(self, media_id: str, error: str, context: SystemContext) -> None:
        """Say in the log that the caches could not be told: an operator must look."""
        file, cached = await self._load(media_id)
        if file is not None:
            await self._record(file, cached.record_failure(error=error), context)

    async def retry(self, media_id: str, context: SystemContext) -> bool:
        """Ask again for a purge that had failed; False when it had not."""
        file, cached = await self._load(media_id)
        events = cached.retry()
        if file is None or not events:
            return False
        await self._record(file, events, context)
        return True

    async def _load(self, media_id: str) -> tuple[MediaFile | None, CachedFile]:
        histories = await self._media.load(media_id)
        stream = histories.streams.get(media_id, ())
        return MediaFile.from_history(stream), CachedFile.from_history(stream)

    async def _record(
        self, file: MediaFile, events: Sequence[Event], context: SystemContext
    ) -> MediaFile:
        if events:
            await self._media.append([_decided(file, Access.SYSTEM, events)], context)
        return file


def _decided(file: MediaFile, access: Access, events: Sequence[Event]) -> Decided:
    return Decided(file.id, file.owner, file.version, access, events)

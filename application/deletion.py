"""Deletion: take files out of the library, and what is over out of every bucket."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec

from application.access import access_of, admit, check_tenant_open, tenant_streams
from application.context import Context, SystemContext
from application.media import Decided, Histories, Media, claim_for
from application.placement import FileLocks
from application.ports import BUCKETS, ObjectStore
from application.repeats import Written, once
from domain.access import Access, OwnerBypass
from domain.errors import MediaError, MediaNotFound, OwnershipDenied
from domain.event import Event
from domain.media_file import MediaFile
from domain.object_key import is_media_id


class BulkDelete(msgspec.Struct, frozen=True, kw_only=True):
    """Delete many files at once; repeats count once."""

    ids: list[str]


class Deleted(msgspec.Struct, frozen=True):
    """The answer to a single delete."""

    id: str
    deleted: bool = True


class Failed(msgspec.Struct, frozen=True):
    """One file of a bulk delete that stayed, and why."""

    id: str
    code: str
    error: str


class BulkDeleted(msgspec.Struct, frozen=True):
    """What a bulk delete did, per item, in the order asked for."""

    deleted: list[str]
    failed: list[Failed]


class Deletion:
    """The deletion commands, and the jobs that follow them."""

    def __init__(
        self,
        media: Media,
        objects: ObjectStore,
        locks: FileLocks,
        *,
        owner_bypass: OwnerBypass,
        bin_for: timedelta,
    ) -> None:
        """`bin_for` is how long a deleted file can be restored; 0: its bytes go at once."""
        self._media = media
        self._objects = objects
        self._locks = locks
        self._bin_for = bin_for
        self._owner_bypass: OwnerBypass = owner_bypass

    async def delete_file(self, media_id: str, context: Context) -> Written:
        """Delete an uploaded file, or cancel a pending upload."""
        answer = Deleted(media_id)

        async def attempt() -> Written:
            histories = await self._media.load(media_id, *tenant_streams(context))
            file, access = admit(histories, media_id, context, self._owner_bypass)
            events = file.delete(at=context.at, bin_for=self._bin_for)
            written = await self._append([_decided(file, access, events)], context, answer)
            return msgspec.structs.replace(written, file=file)

        return await once(self._media, context, attempt)

    async def bulk_delete(self, command: BulkDelete, context: Context) -> Written:
        """Delete what can be deleted, atomically; say of each of the others why not."""
        ids = list(dict.fromkeys(command.ids))

        async def attempt() -> Written:
            known = [media_id for media_id in ids if is_media_id(media_id)]
            histories = await self._media.load(*known, *tenant_streams(context))
            check_tenant_open(histories, context)
            decided: list[Decided] = []
            answer = BulkDeleted([], [])
            for media_id in ids:
                try:
                    decided.append(self._decide_one(histories, media_id, context))
                    answer.deleted.append(media_id)
                except MediaError as refusal:
                    answer.failed.append(Failed(media_id, refusal.code, refusal.message))
            return await self._append(decided, context, answer)

        return await once(self._media, context, attempt)

    def _decide_one(self, histories: Histories, media_id: str, context: Context) -> Decided:
        file = histories.file(media_id) if is_media_id(media_id) else None
        if file is None:
            raise MediaNotFound(media_id)
        access = access_of(file, context, self._owner_bypass)
        if access is None:
            raise OwnershipDenied(media_id)
        return _decided(file, access, file.delete(at=context.at, bin_for=self._bin_for))

    async def _append(
        self, decided: Sequence[Decided], context: Context, answer: Deleted | BulkDeleted
    ) -> Written:
        claim = claim_for(context, answer)
        position = 0
        if decided or claim is not None:
            recorded = await self._media.append(decided, context, claim=claim)
            position = recorded[-1].position if recorded else 0
        return Written(msgspec.json.encode(answer), position)

    async def purge_objects(self, media_id: str, context: SystemContext) -> MediaFile | None:
        """Remove the bytes of an ended file; record it once nothing can write them any more.

        The file, unless there is nothing to remove.
        """
        async with self._locks.hold(media_id):
            file = await self._file(media_id)
            if file is None or not file.ended or file.purged or not file.key:
                return None
            for bucket in BUCKETS:
                await self._objects.delete(bucket, [file.key])
            return await self._record(file, file.record_purge(at=context.at), context)

    async def discard_incoming(self, key: str) -> None:
        """Remove the uploaded bytes of a file that now stands in its own bucket."""
        await self._objects.delete("incoming", [key])

    async def record_purge_failure(self, media_id: str, error: str, context: SystemContext) -> None:
        """Say in the log that the bytes could not be removed: an operator must look."""
        file = await self._file(media_id)
        if file is not None:
            await self._record(file, file.record_purge_failure(error=error), context)

    async def retry_purge(self, media_id: str, context: SystemContext) -> bool:
        """Ask again for a purge that had failed; False when it had not."""
        file = await self._file(media_id)
        events = file.retry_purge() if file is not None else []
        if file is None or not events:
            return False
        await self._record(file, events, context)
        return True

    async def _file(self, media_id: str) -> MediaFile | None:
        return (await self._media.load(media_id)).file(media_id)

    async def _record(
        self, file: MediaFile, events: Sequence[Event], context: SystemContext
    ) -> MediaFile:
        if events:
            decided = _decided(file, Access.SYSTEM, events)
            for recorded in await self._media.append([decided], context):
                file = MediaFile.evolve(file, recorded)
        return file


def _decided(file: MediaFile, access: Access, events: Sequence[Event]) -> Decided:
    return Decided(file.id, file.owner, file.version, access, events)

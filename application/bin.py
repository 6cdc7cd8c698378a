"""The bin: bring deleted files back or let them go for good, and make files public or private."""

from collections.abc import Callable, Sequence

import msgspec

from application.access import admit, tenant_streams
from application.context import Context
from application.media import Decided, Media, claim_for
from application.repeats import Written, once
from domain import bin as bin_
from domain.access import OwnerBypass
from domain.errors import MediaNotFound
from domain.event import Event
from domain.media_file import MediaFile, Status


class ChangeFile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Change what can be changed of a file."""

    is_public: bool


class Purged(msgspec.Struct, frozen=True):
    """The answer to a purge."""

    id: str
    purged: bool = True


class Bin:
    """The commands on one file."""

    def __init__(self, media: Media, *, owner_bypass: OwnerBypass) -> None:
        self._media = media
        self._owner_bypass: OwnerBypass = owner_bypass

    async def restore_file(self, media_id: str, context: Context) -> MediaFile:
        """Bring a file back out of the bin. Raises MediaNotFound or NotInBin."""
        return await self._changed(
            media_id, context, lambda file: bin_.restore(file, at=context.at)
        )

    async def change_file(self, media_id: str, command: ChangeFile, context: Context) -> MediaFile:
        """Make a file public or private. Raises MediaNotFound for what is not in the library."""

        def decide(file: MediaFile) -> list[Event]:
            return bin_.change_visibility(file, is_public=command.is_public, at=context.at)

        return await self._changed(media_id, context, decide)

    async def purge_file(self, media_id: str, context: Context) -> Written:
        """Let a file in the bin go for good. Raises MediaNotFound or NotInBin."""
        answer = Purged(media_id)

        async def attempt() -> Written:
            return await self._append(
                media_id, context, lambda file: bin_.purge(file, at=context.at), answer
            )

        return await once(self._media, context, attempt)

    async def _changed(
        self, media_id: str, context: Context, decide: Callable[[MediaFile], Sequence[Event]]
    ) -> MediaFile:
        """The file after the command, or as it is now for a repeat."""

        async def attempt() -> Written:
            return await self._append(media_id, context, decide, {"mediaId": media_id})

        written = await once(self._media, context, attempt)
        file = written.file or (await self._media.load(media_id)).file(media_id)
        if file is None or file.status is not Status.UPLOADED:
            raise MediaNotFound(media_id)
        return file

    async def _append(
        self,
        media_id: str,
        context: Context,
        decide: Callable[[MediaFile], Sequence[Event]],
        answer: object,
    ) -> Written:
        histories = await self._media.load(media_id, *tenant_streams(context))
        file, access = admit(histories, media_id, context, self._owner_bypass)
        events = decide(file)
        claim = claim_for(context, answer)
        if events or claim is not None:
            decided = Decided(file.id, file.owner, file.version, access, events)
            for recorded in await self._media.append([decided], context, claim=claim):
                file = MediaFile.evolve(file, recorded)
        return Written(msgspec.json.encode(answer), file.position, file)

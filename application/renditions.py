"""Renditions as others ask for them: one that is ready, or the wait for one that is being made.

Called by the delivery routes and by `./dev rerender`. They are made by `application/derivation.py`.
"""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from application.context import SystemContext
from application.media import Decided, Media
from application.ports import Bucket, Clock, Identities
from application.verification import bucket_of
from domain import derivation
from domain.access import Access
from domain.errors import (
    InvalidField,
    MediaNotFound,
    NoRendition,
    RenditionPending,
    RenditionUnavailable,
)
from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.rendition import Format, Preset, has_renditions, mime_of, negotiate
from domain.rendition_events import RenditionStored

FIRST_LOOK_SECONDS = 0.05
LOOK_GROWTH = 1.25
LONGEST_LOOK_SECONDS = 0.5


class ReadyRendition(msgspec.Struct, frozen=True):
    """Where a rendition stands."""

    file: MediaFile
    bucket: Bucket
    key: str
    mime_type: str
    bytes: int
    width: int
    height: int


class Renditions:
    """Single flight over all processes: the request for a rendition is a fact of the file."""

    def __init__(
        self,
        media: Media,
        identities: Identities,
        *,
        clock: Clock,
        presets: Mapping[str, Preset],
    ) -> None:
        self._media = media
        self._identities = identities
        self._clock = clock
        self._presets = presets

    @property
    def presets(self) -> Mapping[str, Preset]:
        """The variants there are, by name."""
        return self._presets

    async def ready(
        self, media_id: str, preset: str, accept: str | None, *, wait_seconds: float,
        correlation_id: str,
    ) -> ReadyRendition:  # fmt: skip
        """The variant for a client with this `Accept` header; asked for if it is not there.

        Of an uploaded file, whoever may see it: that is the caller's to decide. Raises InvalidField
        for a preset there is none of, MediaNotFound, NoRendition, RenditionUnavailable, or
        RenditionPending when it takes longer than `wait_seconds`.
        """
        if preset not in self._presets:
            raise InvalidField("variant", f"one of {', '.join(self._presets)}")
        clock = asyncio.get_running_loop().time
        deadline, pause = clock() + wait_seconds, FIRST_LOOK_SECONDS
        while True:
            file = await self._uploaded(media_id)
            found = await self._look(file, preset, accept, correlation_id)
            if found is not None:
                return _where(file, found)
            left = deadline - clock()
            if left <= 0:
                raise RenditionPending(preset)
            await asyncio.sleep(min(pause, left))
            pause = min(pause * LOOK_GROWTH, LONGEST_LOOK_SECONDS)

    async def _uploaded(self, media_id: str) -> MediaFile:
        file = (await self._media.load(media_id)).file(media_id)
        if file is None or file.status is not Status.UPLOADED:
            raise MediaNotFound(media_id)
        if not has_renditions(file.mime_type):
            raise NoRendition(file.mime_type)
        return file

    async def _look(
        self, file: MediaFile, name: str, accept: str | None, correlation_id: str
    ) -> RenditionStored | None:
        """What is there; asks for it when nobody has. Raises RenditionUnavailable."""
        known = file.derived
        if known.inspection_failure is not None:
            raise RenditionUnavailable(name, known.inspection_failure.reason)
        if known.inspected is None:
            return None  # The inspection is under way, and tells in which formats it can be had.
        preset = self._presets[name]
        format_ = negotiate(derivation.formats_for(file, preset), accept)
        asked = (name, mime_of(format_))
        stored = known.stored.get(asked)
        if stored is not None:
            # One of an older recipe too, until `./dev rerender` has come by.
            return stored
        failure = known.failed.get(asked)
        if failure is not None and failure.recipe == preset.recipe:
            raise RenditionUnavailable(name, failure.reason)
        if asked not in known.requested and not known.due:
            await self.request(file.id, name, format_, correlation_id)
        return None

    async def request(self, media_id: str, name: str, format_: Format, correlation_id: str) -> None:
        """Have the rendition made, unless it is there or already asked for."""
        await self._append(
            media_id,
            correlation_id,
            lambda file: derivation.requested(file, name, self._presets[name], format_),
        )

    async def rerender(self, media_id: str, name: str, correlation_id: str) -> int:
        """Have every rendition of another recipe made anew; how many were asked for."""
        return await self._append(
            media_id,
            correlation_id,
            lambda file: derivation.outdated(file, name, self._presets[name]),
        )

    async def _append(
        self, media_id: str, correlation_id: str, decide: Callable[[MediaFile], list[Event]]
    ) -> int:
        context = SystemContext(
            actor="system:renditions",
            at=self._clock(),
            command_id=self._identities.command_id(),
            correlation_id=correlation_id,
        )

        async def attempt() -> int:
            file = (await self._media.load(media_id)).file(media_id)
            events = [] if file is None else decide(file)
            if file is not None and events:
                decided = Decided(file.id, file.owner, file.version, Access.SYSTEM, events)
                await self._media.append([decided], context)
            return len(events)

        return await self._media.repeatedly(attempt)


def _where(file: MediaFile, found: RenditionStored) -> ReadyRendition:
    return ReadyRendition(
        file, bucket_of(file), found.key, found.format, found.bytes, found.width, found.height
    )

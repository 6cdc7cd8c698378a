"""The jobs behind inspection and renditions: look, make, clear away. Each may run twice.

What is made is written under the file's lock and then recorded; whoever finds that the file has
moved on meanwhile takes away what it wrote.
"""

import hashlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Protocol

from application.context import SystemContext
from application.media import Decided, Media
from application.placement import FileLocks
from application.ports import (
    Bucket,
    ObjectChanged,
    ObjectStore,
    Refused,
)
from application.rendering import (
    Order,
    Picture,
    PictureOrder,
    Rendered,
    Renderer,
)
from application.rendition_store import SourceAway, sweep_renditions, write_rendition
from application.verification import bucket_of
from domain import derivation
from domain.access import Access
from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.rendition import (
    POSTER,
    POSTER_FORMAT,
    POSTER_RECIPE,
    POSTER_SIDE,
    Format,
    Preset,
    Rendition,
    format_of,
    has_renditions,
    mime_of,
    rendition_key,
)
from domain.rendition_events import PosterStored


class Digest(Protocol):
    """A running hash."""

    def update(self, part: bytes, /) -> None:
        """Take in the next bytes."""
        ...


class Derivation:
    """Makes what is derived from served files."""

    def __init__(
        self,
        media: Media,
        objects: ObjectStore,
        *,
        renderer: Renderer,
        locks: FileLocks,
        presets: Mapping[str, Preset],
    ) -> None:
        self._media = media
        self._objects = objects
        self._renderer = renderer
        self._locks = locks
        self._presets = presets

    async def inspect_file(self, media_id: str, context: SystemContext) -> MediaFile | None:
        """Look into a file and make what is made at once, with one download and one decode.

        None when there is nothing to do any more. Raises SourceAway or SandboxUnavailable.
        """
        file = await self._file(media_id)
        if file is None or file.status is not Status.UPLOADED or not file.derived.due:
            return None
        digest = hashlib.sha256()
        order = Order(mime_type=file.mime_type, facts=True, pictures=self._made_at_once(file))
        found = await self._render(file, file.key, order, digest)
        if isinstance(found, Refused):
            return await self._fail_inspection(media_id, found.reason, found.detail, context)

        async def events(current: MediaFile) -> list[Event]:
            if found.facts is None:
                return []
            decided = derivation.inspected(current, found.facts, sha256=digest.hexdigest())
            if not decided:
                return []
            for picture in found.pictures:
                decided += await self._store(current, picture, found.at_ms)
            return decided

        return await self._conclude(file, events, context)

    def _made_at_once(self, file: MediaFile) -> tuple[PictureOrder, ...]:
        if not has_renditions(file.mime_type):
            return ()
        orders = [
            order_of(name, preset, derivation.formats_for(file, preset)[0])
            for name, preset in self._presets.items()
            if preset.at_once
        ]
        if file.mime_type.startswith("video/"):
            orders.insert(0, POSTER_ORDER)
        return tuple(orders)

    async def derive(
        self, media_id: str, name: str, mime_type: str, context: SystemContext
    ) -> MediaFile | None:
        """Make one rendition that was asked for. None when nobody wants it any more."""
        file = await self._file(media_id)
        if file is None or not derivation.wanted(file, name, mime_type):
            return None
        preset = self._presets.get(name)
        if preset is None:
            return await self.fail_rendition(
                media_id,
                name,
                mime_type,
                context,
                reason="no_preset",
                detail=f"There is no preset {name}.",
            )
        source, source_type = file.key, file.mime_type
        if file.mime_type.startswith("video/"):
            if file.derived.poster is None:
                return await self.fail_rendition(
                    media_id,
                    name,
                    mime_type,
                    context,
                    reason="no_poster",
                    detail="The video has no poster.",
                )
            source, source_type = file.derived.poster.key, file.derived.poster.format
        order = Order(
            mime_type=source_type, pictures=(order_of(name, preset, format_of(mime_type)),)
        )
        made = await self._render(file, source, order)
        if isinstance(made, Refused):
            return await self.fail_rendition(
                media_id, name, mime_type, context, reason=made.reason, detail=made.detail
            )

        async def events(current: MediaFile) -> list[Event]:
            if not derivation.wanted(current, name, mime_type):
                return []
            (picture,) = made.pictures
            return await self._store(current, picture, made.at_ms)

        return await self._conclude(file, events, context)

    async def clear(self, media_id: str, context: SystemContext) -> MediaFile | None:
        """Remove every object beside the file that does not belong to it."""
        file = await self._file(media_id)
        if file is None or not file.key or not file.derived.to_clear:
            return None
        async with self._locks.hold(media_id):

            async def attempt() -> MediaFile | None:
                current = await self._file(media_id)
                if current is None:
                    return None
                await sweep_renditions(self._objects, current)
                return await self._append(current, derivation.cleared(current), context)

            return await self._media.repeatedly(attempt)

    async def sweep(self, media_id: str) -> None:
        """Remove what stands beside a file whose life is over; part of its purge."""
        file = await self._file(media_id)
        if file is None or not file.ended or file.purged or not has_renditions(file.mime_type):
            return
        async with self._locks.hold(media_id):
            await sweep_renditions(self._objects, file)

    async def give_up_inspection(self, media_id: str, error: str, context: SystemContext) -> None:
        """Say in the log that looking into the file was tried as often as allowed."""
        await self._fail_inspection(media_id, derivation.GAVE_UP, error, context)

    async def _fail_inspection(
        self, media_id: str, reason: str, detail: str, context: SystemContext
    ) -> MediaFile | None:
        async def attempt() -> MediaFile | None:
            file = await self._file(media_id)
            if file is None:
                return None
            events = derivation.inspection_failed(
                file, reason=reason, detail=detail, presets=self._presets
            )
            return await self._append(file, events, context)

        return await self._media.repeatedly(attempt)

    async def fail_rendition(
        self, media_id: str, name: str, mime_type: str, context: SystemContext,
        *, reason: str, detail: str,
    ) -> MediaFile | None:  # fmt: skip
        """Say in the log that the rendition cannot be made."""

        async def attempt() -> MediaFile | None:
            file = await self._file(media_id)
            if file is None:
                return None
            events = derivation.failed(
                file, name, self._presets.get(name), mime_type, reason=reason, detail=detail
            )
            return await self._append(file, events, context)

        return await self._media.repeatedly(attempt)

    async def _render(
        self, file: MediaFile, key: str, order: Order, digest: Digest | None = None
    ) -> Rendered | Refused:
        bucket = bucket_of(file)
        stored = await self._objects.head(bucket, key)
        if stored is None:
            raise SourceAway(key)
        try:
            async with aclosing(self._parts(bucket, key, stored.etag, digest)) as parts:
                return await self._renderer.render(parts, order)
        except ObjectChanged:
            raise SourceAway(key) from None

    async def _parts(
        self, bucket: Bucket, key: str, etag: str, digest: Digest | None
    ) -> AsyncGenerator[bytes, None]:
        async with aclosing(self._objects.stream(bucket, key, etag=etag)) as parts:
            async for part in parts:
                if digest is not None:
                    digest.update(part)
                yield part

    async def _store(self, file: MediaFile, picture: Picture, at_ms: int) -> list[Event]:
        """Write the picture beside the file; the fact of it."""
        preset = self._presets.get(picture.name)
        recipe = POSTER_RECIPE if preset is None else preset.recipe
        key = rendition_key(file.key, picture.name, recipe, picture.format)
        mime_type = mime_of(picture.format)
        size = await write_rendition(
            self._objects, bucket_of(file), key, picture.body, mime_type=mime_type
        )
        if preset is None:
            poster = PosterStored(
                recipe=recipe, format=mime_type, key=key, bytes=size,
                width=picture.width, height=picture.height, at_ms=at_ms,
            )  # fmt: skip
            return [poster]
        made = Rendition(
            key=key, mime_type=mime_type, bytes=size, width=picture.width, height=picture.height
        )
        return derivation.stored(file, picture.name, preset, made)

    async def _conclude(
        self,
        seen: MediaFile,
        events: Callable[[MediaFile], Awaitable[list[Event]]],
        context: SystemContext,
    ) -> MediaFile | None:
        """Write and record under the file's lock, if the file is still where it was looked at."""
        async with self._locks.hold(seen.id):

            async def attempt() -> MediaFile | None:
                current = await self._file(seen.id)
                if current is None or current.derived.life != seen.derived.life:
                    return None
                return await self._append(current, await events(current), context)

            try:
                return await self._media.repeatedly(attempt)
            finally:
                # Deleted or moved while it was written: nobody else knows of these objects.
                current = await self._file(seen.id)
                if current is not None and current.derived.life != seen.derived.life:
                    await sweep_renditions(self._objects, current)

    async def _append(
        self, file: MediaFile, events: Sequence[Event], context: SystemContext
    ) -> MediaFile | None:
        if not events:
            return None
        decided = Decided(file.id, file.owner, file.version, Access.SYSTEM, events)
        for recorded in await self._media.append([decided], context):
            file = MediaFile.evolve(file, recorded)
        return file

    async def _file(self, media_id: str) -> MediaFile | None:
        return (await self._media.load(media_id)).file(media_id)


POSTER_ORDER = PictureOrder(
    name=POSTER, width=POSTER_SIDE, height=POSTER_SIDE, format=POSTER_FORMAT
)


def order_of(name: str, preset: Preset, format_: Format) -> PictureOrder:
    """What to ask of the renderer for a preset in a format."""
    return PictureOrder(
        name=name,
        width=preset.width,
        height=preset.height,
        format=format_,
        fit=preset.fit,
        quality=preset.quality,
        animated=preset.animated,
        background=preset.background,
    )

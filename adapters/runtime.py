"""The wiring: which adapter fills which port. Only api and workers open it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import msgspec

from adapters.content_inspector import MagicContentInspector
from adapters.postgres import Pool, Role, open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.r2_object_store import R2ObjectStore
from adapters.redis_hints import PositionAnnouncer, PositionHints
from adapters.settings import Settings
from adapters.system import RandomIdentities, utc_now
from application.deletion import Deletion
from application.media import Media
from application.ports import Clock, Identities, ObjectStore
from application.upkeep import Upkeep
from application.uploads import Uploads
from application.verification import Verification


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that takes commands is made of."""

    settings: Settings
    pool: Pool
    media: Media
    objects: ObjectStore
    uploads: Uploads
    deletion: Deletion
    upkeep: Upkeep
    clock: Clock
    identities: Identities
    hints: PositionHints
    """Wakes whoever in this process follows the log."""
    draining: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set when the process was asked to stop: what waits or streams is to end now."""


@asynccontextmanager
async def open_runtime(settings: Settings, *, role: Role, process: str) -> AsyncIterator[Runtime]:
    """Open what the process needs; all of it is closed again at the end."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(
            settings.database_url,
            role=role,
            size=settings.database_pool_size,
            application_name=f"media-{process}",
        )
        stack.push_async_callback(pool.close)
        channel = f"{settings.redis_namespace}:positions"
        announcer = PositionAnnouncer(settings.redis_url, channel=channel)
        stack.push_async_callback(announcer.close)
        hints = PositionHints(settings.redis_url, channel=channel)
        stack.push_async_callback(hints.close)
        objects = await stack.enter_async_context(R2ObjectStore.open(settings))
        identities = RandomIdentities()
        media = Media(PostgresEventStore(pool), announce=announcer.announce)
        yield Runtime(
            settings=settings,
            pool=pool,
            media=media,
            objects=objects,
            uploads=Uploads(
                media,
                objects,
                Verification(objects, MagicContentInspector()),
                identities,
                rules=settings.upload_rules,
                pending_lifetime=settings.pending_lifetime,
                owner_bypass=settings.owner_bypass,
            ),
            deletion=Deletion(media, objects, owner_bypass=settings.owner_bypass),
            upkeep=Upkeep(
                media, objects, pending_lifetime=settings.pending_lifetime, clock=utc_now
            ),
            clock=utc_now,
            identities=identities,
            hints=hints,
        )


def open_api_runtime(settings: Settings) -> AbstractAsyncContextManager[Runtime]:
    """For the public app: row-level security holds it to the owner that a statement names."""
    return open_runtime(settings, role="media_api", process="api")


def open_internal_runtime(settings: Settings) -> AbstractAsyncContextManager[Runtime]:
    """For the internal app, which removes workspaces."""
    return open_runtime(settings, role="media_worker", process="internal")


def open_jobs_runtime(settings: Settings) -> AbstractAsyncContextManager[Runtime]:
    """For the job workers."""
    return open_runtime(settings, role="media_worker", process="jobs")

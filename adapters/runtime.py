"""The wiring: which adapter fills which port. Only api and workers open it."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec

from adapters.content_inspector import MagicContentInspector
from adapters.guarded_http import FetchLimits, GuardedFetcher
from adapters.postgres import Pool, Role, open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.postgres_webhooks import PostgresDeliveries, PostgresWebhookTargets
from adapters.r2_object_store import R2ObjectStore
from adapters.redis_hints import PositionAnnouncer
from adapters.settings import Settings
from adapters.system import RandomIdentities, utc_now
from adapters.webhook_sender import PostgresMessages, WebhookSender, new_secret, origin_of
from application.deletion import Deletion
from application.media import Media
from application.ports import Clock, Identities, ObjectStore
from application.upkeep import Upkeep
from application.uploads import Uploads
from application.verification import Verification
from application.webhook_delivery import WebhookDelivery
from application.webhook_messages import message_of
from application.webhooks import Webhooks

RECEIVER_LIMITS = FetchLimits(total_seconds=15, silence_seconds=10)
"""A receiver that takes longer has not taken the message (Standard Webhooks: 15 to 30 s)."""


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that takes commands is made of."""

    settings: Settings
    pool: Pool
    media: Media
    objects: ObjectStore
    uploads: Uploads
    deletion: Deletion
    upkeep: Upkeep
    webhooks: Webhooks
    webhook_delivery: WebhookDelivery
    clock: Clock
    identities: Identities


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
        announcer = PositionAnnouncer(
            settings.redis_url, channel=f"{settings.redis_namespace}:positions"
        )
        stack.push_async_callback(announcer.close)
        objects = await stack.enter_async_context(R2ObjectStore.open(settings))
        identities = RandomIdentities()
        media = Media(PostgresEventStore(pool), announce=announcer.announce)
        receivers = frozenset(settings.permitted_receivers)
        targets = PostgresWebhookTargets(pool)
        webhooks = Webhooks(
            media,
            targets,
            identities,
            origin_of=partial(origin_of, permitted=receivers),
            new_secret=new_secret,
        )
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
            webhooks=webhooks,
            webhook_delivery=WebhookDelivery(
                webhooks,
                PostgresDeliveries(pool),
                targets=targets,
                messages=PostgresMessages(pool, message_of),
                sender=WebhookSender(
                    GuardedFetcher(permitted=receivers, limits=RECEIVER_LIMITS), utc_now
                ),
                identities=identities,
                clock=utc_now,
                retry_seconds=settings.webhook_retry_seconds,
            ),
            clock=utc_now,
            identities=identities,
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

"""The wiring: which adapter fills which port. Only api and workers open it."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from functools import partial

import msgspec

from adapters import dying
from adapters.clamd_scanner import ClamdScanner
from adapters.cloudflare_cache import CloudflareCache, NoCdn
from adapters.content_inspector import MagicContentInspector
from adapters.decode_sandbox import DecodeSandbox
from adapters.decoder_check import DecoderCheck
from adapters.guarded_http import FetchLimits, GuardedFetcher
from adapters.postgres import Pool, Role, open_pool
from adapters.postgres_file_locks import PostgresFileLocks
from adapters.postgres_ingest_sources import PostgresIngestSources
from adapters.postgres_webhooks import PostgresDeliveries, PostgresWebhookTargets
from adapters.r2_object_store import R2ObjectStore
from adapters.redis_hints import PositionAnnouncer, PositionHints
from adapters.redis_limits import RedisLimits
from adapters.sandbox_proof import SandboxProof
from adapters.scanner_address import ScannerAddress
from adapters.scanner_check import ScannerCheck
from adapters.settings import Settings
from adapters.stop_points import stop_point
from adapters.system import RandomIdentities, utc_now
from adapters.tasks import ended
from adapters.tracing import traced
from adapters.webhook_sender import PostgresMessages, WebhookSender, new_secret, origin_of
from application.bin import Bin
from application.cache_purge import CacheAddresses, CachePurges
from application.cdn_ports import CdnCache
from application.deletion import Deletion
from application.derivation import Derivation
from application.ingest import Ingest
from application.media import Media
from application.placement import Placement
from application.ports import Clock, ContentProof, Identities, ObjectStore
from application.renditions import Renditions
from application.scanning import Scanning
from application.source_receiver import SourceReceiver
from application.undo import Undo
from application.upkeep import Upkeep
from application.upload_reports import UploadReports
from application.uploads import Uploads
from application.verification import Verification
from application.webhook_delivery import WebhookDelivery
from application.webhook_messages import message_of
from application.webhooks import Webhooks

RECEIVER_LIMITS = FetchLimits(total_seconds=15, silence_seconds=10)
"""A receiver that takes longer has not taken the message (Standard Webhooks: 15 to 30 s)."""

TRANSACTION_SECONDS = 8
"""With the wait for a connection (5 s) and the grace for the answer (2 s) a request ends within
15 s whatever the database does; and no append lands later than `settles_at` reckons with."""


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that takes commands is made of."""

    settings: Settings
    pool: Pool
    media: Media
    objects: ObjectStore
    proof: ContentProof
    decoders: DecoderCheck
    scanner: ScannerCheck | None
    """None where nothing is scanned."""
    uploads: Uploads
    reports: UploadReports
    scanning: Scanning
    ingest: Ingest
    deletion: Deletion
    cache_purges: CachePurges
    bin: Bin
    undo: Undo
    placement: Placement
    upkeep: Upkeep
    renditions: Renditions
    derivation: Derivation
    limits: RedisLimits
    webhooks: Webhooks
    webhook_delivery: WebhookDelivery
    clock: Clock
    identities: Identities
    hints: PositionHints
    """Wakes whoever in this process follows the log."""
    draining: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    """Set when the process was asked to stop: what waits or streams is to end now."""


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, role: Role, process: str, decodes: bool = True
) -> AsyncIterator[Runtime]:
    """Open what the process needs; all of it is closed again at the end."""
    async with AsyncExitStack() as stack:
        pool = await open_pool(
            settings.database_url,
            role=role,
            size=settings.database_pool_size,
            application_name=f"media-{process}",
            transaction_seconds=TRANSACTION_SECONDS,
        )
        stack.push_async_callback(pool.close)
        channel = f"{settings.redis_namespace}:positions"
        announcer = PositionAnnouncer(settings.redis_url, channel=channel)
        stack.push_async_callback(announcer.close)
        limits = RedisLimits(settings.redis_url, namespace=settings.redis_namespace)
        stack.push_async_callback(limits.close)
        hints = PositionHints(settings.redis_url, channel=channel)
        stack.push_async_callback(hints.close)
        stop = stop_point(settings.stop_point)
        objects = dying.object_store(
            await stack.enter_async_context(R2ObjectStore.open(settings)), stop
        )
        sandbox = DecodeSandbox(servers=settings.decoders, metadata=settings.metadata_policy)
        sandbox.start_when_needed()
        stack.push_async_callback(sandbox.close)
        proof = SandboxProof(sandbox, decoders=settings.decoders)
        decoders = DecoderCheck(proof)
        if decodes:
            await stack.enter_async_context(background(decoders.watch()))
        scanner = ClamdScanner(ScannerAddress.parse(settings.scanner)) if settings.scanner else None
        scanner_check = ScannerCheck(scanner) if scanner is not None else None
        if scanner_check is not None:
            await stack.enter_async_context(background(scanner_check.watch()))
        identities = RandomIdentities()
        media = Media(traced(dying.event_store(pool, stop)), announce=announcer.announce)
        inspector = MagicContentInspector()
        verification = Verification(
            objects, inspector, proof, scanner, metadata=settings.metadata_policy
        )
        fetcher = GuardedFetcher(permitted=frozenset(settings.permitted_sources))
        locks = PostgresFileLocks(pool, at_once=max(settings.database_pool_size // 2, 1))
        placement = Placement(media, objects, locks)
        webhooks, webhook_delivery = _webhooks(settings, pool, media, identities)
        cdn = await stack.enter_async_context(_open_cdn(settings))
        yield Runtime(
            settings=settings,
            pool=pool,
            media=media,
            objects=objects,
            proof=proof,
            decoders=decoders,
            scanner=scanner_check,
            uploads=traced(
                Uploads(
                    media,
                    objects,
                    verification,
                    identities,
                    placement,
                    rules=settings.upload_rules,
                    pending_lifetime=settings.pending_lifetime,
                    owner_bypass=settings.owner_bypass,
                )
            ),
            reports=traced(UploadReports(media, owner_bypass=settings.owner_bypass)),
            scanning=traced(Scanning(media, verification, clock=utc_now)),
            ingest=traced(
                Ingest(
                    media,
                    objects,
                    receiver=SourceReceiver(fetcher, inspector, settings.upload_rules),
                    sources=PostgresIngestSources(pool),
                    identities=identities,
                    rules=settings.upload_rules,
                    pending_lifetime=settings.pending_lifetime,
                    clock=utc_now,
                )
            ),
            cache_purges=traced(
                CachePurges(
                    media,
                    objects,
                    cdn,
                    addresses=CacheAddresses(
                        settings.public_base_url, settings.delivery_url, tuple(settings.presets)
                    ),
                    owner_bypass=settings.owner_bypass,
                )
            ),
            deletion=traced(
                Deletion(
                    media,
                    objects,
                    locks,
                    owner_bypass=settings.owner_bypass,
                    bin_for=settings.bin_for,
                )
            ),
            bin=traced(Bin(media, owner_bypass=settings.owner_bypass)),
            undo=traced(Undo(media, owner_bypass=settings.owner_bypass, bin_for=settings.bin_for)),
            placement=traced(placement),
            upkeep=traced(
                Upkeep(media, objects, pending_lifetime=settings.pending_lifetime, clock=utc_now)
            ),
            renditions=traced(
                Renditions(media, identities, clock=utc_now, presets=settings.presets)
            ),
            derivation=traced(
                Derivation(
                    media,
                    objects,
                    renderer=proof,
                    locks=locks,
                    presets=settings.presets,
                )
            ),
            limits=limits,
            webhooks=traced(webhooks),
            webhook_delivery=webhook_delivery,
            clock=utc_now,
            identities=identities,
            hints=hints,
        )


@asynccontextmanager
async def background(work: Coroutine[object, object, None]) -> AsyncIterator[None]:
    """Do the work beside the block, and no longer."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await ended(task)


@asynccontextmanager
async def _open_cdn(settings: Settings) -> AsyncIterator[CdnCache]:
    if settings.cdn == "none" or not settings.cloudflare_zone_id:
        yield NoCdn()
        return
    async with CloudflareCache.open(settings) as cloudflare:
        yield cloudflare


def _webhooks(
    settings: Settings, pool: Pool, media: Media, identities: Identities
) -> tuple[Webhooks, WebhookDelivery]:
    receivers = frozenset(settings.permitted_receivers)
    targets = PostgresWebhookTargets(pool)
    webhooks = Webhooks(
        media,
        targets,
        identities,
        origin_of=partial(origin_of, permitted=receivers),
        new_secret=new_secret,
    )
    fetcher = GuardedFetcher(permitted=receivers, limits=RECEIVER_LIMITS)
    return webhooks, WebhookDelivery(
        webhooks,
        PostgresDeliveries(pool),
        targets=targets,
        messages=PostgresMessages(pool, message_of),
        sender=WebhookSender(fetcher, utc_now),
        identities=identities,
        clock=utc_now,
        retry_seconds=settings.webhook_retry_seconds,
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


def open_webhooks_runtime(settings: Settings) -> AbstractAsyncContextManager[Runtime]:
    """For the senders of webhooks, which look into no file."""
    return open_runtime(settings, role="media_worker", process="webhooks", decodes=False)

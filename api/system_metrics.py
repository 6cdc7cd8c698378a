"""What is true of the whole system at the moment of a scrape: the log, the queue, the library.

Asked by `GET /metrics` of the internal app. What does not answer is named, and the rest is told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta

import redis
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from adapters.queue_depth import queue_depth
from adapters.readiness import follower_lags, oldest_writer_seconds
from adapters.runtime import Runtime
from application.scan_ports import ScannerUnavailable
from domain.errors import DatabaseUnavailable
from projections import pending_uploads, storage_stats, unfinished_work
from projections.read_models import is_retired

TIMEOUT_SECONDS = 5.0
STALE_AFTER = timedelta(hours=1)
"""The life of an upload URL: who has not stored the bytes by then rarely does."""

Families = list[GaugeMetricFamily]
NO_WORK = unfinished_work.WorkCount()


async def system_metrics(runtime: Runtime) -> bytes:
    """The exposition text. Never raises for what is away."""
    sources: dict[str, Callable[[Runtime], Awaitable[Families]]] = {
        "postgres": _of_the_log,
        "redis": _of_the_queue,
    }
    if runtime.scanner is not None:
        sources["scanner"] = _of_the_scanner
    found = await asyncio.gather(*(_asked(source, runtime) for source in sources.values()))
    up = GaugeMetricFamily(
        "media_source_up", "1 if it answered this scrape, else 0.", labels=["source"]
    )
    for name, families in zip(sources, found, strict=True):
        up.add_metric([name], 0 if families is None else 1)
    registry = CollectorRegistry()
    registry.register(_Found([up, *(one for families in found for one in families or ())]))
    return generate_latest(registry)


class _Found(Collector):
    def __init__(self, families: Families) -> None:
        self._families = families

    def collect(self) -> Iterator[GaugeMetricFamily]:
        return iter(self._families)


async def _asked(
    source: Callable[[Runtime], Awaitable[Families]], runtime: Runtime
) -> Families | None:
    try:
        async with asyncio.timeout(TIMEOUT_SECONDS):
            return await source(runtime)
    except (DatabaseUnavailable, ScannerUnavailable, redis.RedisError, OSError, TimeoutError):
        return None


async def _of_the_log(runtime: Runtime) -> Families:
    pool = runtime.pool
    position = GaugeMetricFamily(
        "media_follower_position", "Log position a follower has reached.", labels=["follower"]
    )
    lag = GaugeMetricFamily(
        "media_follower_lag_seconds",
        "Age of the oldest event a follower has not taken.",
        labels=["follower"],
    )
    for one in await follower_lags(pool):
        if is_retired(one.follower):
            continue
        position.add_metric([one.follower], one.position)
        lag.add_metric([one.follower], one.behind_seconds)
    stored = await storage_stats.totals(pool)
    work = await unfinished_work.counts(pool)
    pending = await pending_uploads.count(pool, runtime.clock() - STALE_AFTER)
    return [
        position,
        lag,
        _gauge(
            "media_oldest_writer_seconds",
            "Age of the oldest writing transaction of the cluster: followers wait for it.",
            await oldest_writer_seconds(pool),
        ),
        _gauge(
            "media_failed_purges",
            "Removals and moves of bytes that an operator must look at.",
            work.get("purge", NO_WORK).failed + work.get("place", NO_WORK).failed,
        ),
        _gauge(
            "media_failed_scans",
            "Uploads that could not be scanned for malware and wait for an operator.",
            work.get("scan", NO_WORK).failed,
        ),
        _gauge(
            "media_waiting_scans",
            "Uploads that a worker has scanned for malware, or will have.",
            work.get("scan", NO_WORK).waiting,
        ),
        _gauge("media_stored_files", "Uploaded files of all owners.", stored.files),
        _gauge("media_stored_bytes", "Bytes of them.", stored.bytes),
        _gauge("media_pending_uploads", "Uploads that are not completed.", pending.all),
        _gauge(
            "media_stale_uploads",
            "Pending uploads whose URL has expired.",
            pending.stale,
        ),
    ]


async def _of_the_queue(runtime: Runtime) -> Families:
    settings = runtime.settings
    depth = await queue_depth(settings.redis_url, namespace=settings.redis_namespace)
    jobs = GaugeMetricFamily("media_queue_jobs", "Jobs that no worker has taken.", labels=["state"])
    for state, count in (("ready", depth.ready), ("delayed", depth.delayed), ("dead", depth.dead)):
        jobs.add_metric([state], count)
    return [
        jobs,
        _gauge(
            "media_queue_oldest_seconds",
            "How long the oldest ready job could have run already.",
            depth.oldest_seconds,
        ),
    ]


async def _of_the_scanner(runtime: Runtime) -> Families:
    """Nothing but whether it works, as the last look of this process has shown."""
    if runtime.scanner is not None and runtime.scanner.trouble is not None:
        raise ScannerUnavailable(runtime.scanner.trouble)
    return []


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)

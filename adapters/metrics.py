"""What every process counts for Prometheus, beside the requests that api/metrics.py counts.

One registry a process. `PROMETHEUS_MULTIPROC_DIR`, the library's own variable, lets the processes
of one host share their numbers (`./dev up` does); elsewhere each serves its own.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any
from weakref import WeakSet

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from psycopg_pool import AsyncConnectionPool

from adapters.settings import Settings

CONTENT_TYPE = "text/plain; version=1.0.0"
SAMPLE_SECONDS = 5.0
"""How old the numbers of a pool may be."""

JOBS_RUN = Counter("media_jobs", "Runs of jobs, by how they ended.", ["job", "status"])
JOB_SECONDS = Histogram(
    "media_job_seconds",
    "Time of one run of a job.",
    ["job"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 90, 1800),
)
EVENTS_TAKEN = Counter("media_events", "Events of the log, as the reactor takes them.", ["type"])
PROJECTED = Counter("media_projected_events", "Events a read model has taken.", ["read_model"])
PROJECTION_SECONDS = Histogram(
    "media_projection_batch_seconds",
    "Time a read model took for one batch.",
    ["read_model"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
OBJECT_STORE_SECONDS = Histogram(
    "media_object_store_seconds",
    "Time of one call of the object store, retries included.",
    ["operation"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
OBJECT_STORE_FAILURES = Counter(
    "media_object_store_failures", "Calls that the object store did not answer.", ["operation"]
)
SCAN_SECONDS = Histogram(
    "media_scan_seconds",
    "Time of one scan for malware, by its verdict: clean, malware, or none.",
    ["verdict"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600),
)
POOL_CONNECTIONS = Gauge(
    "media_pool_connections",
    "Connections to PostgreSQL: used, idle, and the most there may be.",
    ["pool", "state"],
    multiprocess_mode="livesum",
)
POOL_WAITING = Gauge(
    "media_pool_waiting",
    "Requests that wait for a connection at this moment.",
    ["pool"],
    multiprocess_mode="livesum",
)
POOL_WAITED = Counter("media_pool_waited", "Requests that had to wait for a connection.", ["pool"])
POOL_WAIT_SECONDS = Counter("media_pool_wait_seconds", "Time they waited, in all.", ["pool"])
POOL_TIMEOUTS = Counter("media_pool_timeouts", "Requests that waited in vain.", ["pool"])

_pools: WeakSet[AsyncConnectionPool[Any]] = WeakSet()


def expect_events(types: Iterable[str]) -> None:
    """Let the counters of events begin at 0: the first one is an increase too."""
    for stored_type in types:
        EVENTS_TAKEN.labels(family_of(stored_type))


def family_of(stored_type: str) -> str:
    """A stored type without its version, which is no other fact."""
    return stored_type.rpartition(".v")[0]


def watch_pool(pool: AsyncConnectionPool[Any]) -> None:
    """Count the pool's connections for as long as it lives."""
    _pools.add(pool)


def sample_pools() -> None:
    """Take the numbers of the pools now."""
    sums: dict[str, list[int]] = {}
    for pool in list(_pools):
        if pool.closed:
            continue
        name = pool.name
        stats = pool.pop_stats()
        sizes = sums.setdefault(name, [0, 0, 0, 0])
        idle = stats["pool_available"]
        now = (stats["pool_size"] - idle, idle, pool.max_size, stats["requests_waiting"])
        sums[name] = [one + other for one, other in zip(sizes, now, strict=True)]
        POOL_WAITED.labels(name).inc(stats.get("requests_queued", 0))
        POOL_WAIT_SECONDS.labels(name).inc(stats.get("requests_wait_ms", 0) / 1000)
        POOL_TIMEOUTS.labels(name).inc(stats.get("requests_errors", 0))
    for name, (used, idle, most, waiting) in sums.items():
        for state, value in (("used", used), ("idle", idle), ("max", most)):
            POOL_CONNECTIONS.labels(name, state).set(value)
        POOL_WAITING.labels(name).set(waiting)


@contextmanager
def object_store_call(operation: str) -> Iterator[None]:
    """Measure one call; what it raises is the caller's to judge."""
    # So that the first failure is seen as an increase, not as a counter that was never there.
    OBJECT_STORE_FAILURES.labels(operation)
    began = perf_counter()
    try:
        yield
    finally:
        OBJECT_STORE_SECONDS.labels(operation).observe(perf_counter() - began)


def exposition(settings: Settings, registry: CollectorRegistry = REGISTRY) -> bytes:
    """The numbers of this process; those of all processes of the host where they share a folder."""
    sample_pools()
    if settings.prometheus_multiproc_dir:
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=settings.prometheus_multiproc_dir)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def forget_process(folder: Path, pid: int) -> None:
    """Take what a process that died no longer holds out of the shared numbers; its counts stay."""
    mark_process_dead(pid, str(folder))  # type: ignore[no-untyped-call]


async def keep_metrics(settings: Settings, registry: CollectorRegistry = REGISTRY) -> None:
    """Serve `/metrics` on a port of its own, where one is set, and sample until cancelled."""
    server = None
    if settings.metrics_port:
        server, _ = start_http_server(settings.metrics_port, settings.host, registry)
    try:
        while True:
            sample_pools()
            await asyncio.sleep(SAMPLE_SECONDS)
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import psycopg
import pytest
import redis
from psycopg import sql

from adapters.dramatiq_queue import DramatiqQueue
from adapters.runtime import open_jobs_runtime
from adapters.settings import Settings
from tests.kit.library import Library
from tests.workers.processes import opened

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give time for several waits of a minute each."""
    for item in items:
        if item.path.parent == HERE and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture
def worker_settings(settings: Settings) -> Settings:
    """An empty log and an empty queue, and impatient workers.

    A silent worker is dead after two seconds, lost work is due at once. Nothing stays in a bin:
    what is deleted is purged.
    """
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND (tablename ~ '_v[0-9]+$' OR tablename IN"
            " ('events', 'ingest_sources', 'checkpoints', 'idempotency_keys', 'removed_tenants'))"
        ).fetchall()
        names = sql.SQL(", ").join(sql.Identifier(name) for (name,) in tables)
        connection.execute(sql.SQL("TRUNCATE {}").format(names))
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushdb()
    return msgspec.structs.replace(
        settings,
        job_heartbeat_seconds=2,
        redrive_after_seconds=0,
        database_pool_size=4,
        bin_days=0,
    )


@pytest.fixture
async def library(worker_settings: Settings) -> AsyncIterator[Library]:
    async with opened(open_jobs_runtime, worker_settings) as runtime:
        yield Library(runtime)


@pytest.fixture
def queue(worker_settings: Settings) -> Iterator[DramatiqQueue]:
    queue = DramatiqQueue(worker_settings.redis_url, namespace=worker_settings.redis_namespace)
    yield queue
    queue.close()

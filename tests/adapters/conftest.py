from collections.abc import AsyncIterator

import psycopg
import pytest

from adapters.embedded import Postgres
from adapters.postgres_migrations import migrate
from tests.kit.log import own_cluster


@pytest.fixture(scope="session")
async def log_cluster() -> AsyncIterator[Postgres]:
    async with own_cluster() as cluster:
        await migrate(await cluster.ensure_database("media"))
        yield cluster


@pytest.fixture
def database_url(log_cluster: Postgres) -> str:
    """A migrated database without an event, on a server where nobody else writes."""
    url = log_cluster.database_url("media")
    with psycopg.connect(url) as connection:
        connection.execute(
            "TRUNCATE events, idempotency_keys, removed_tenants, checkpoints, ingest_sources"
        )
    return url

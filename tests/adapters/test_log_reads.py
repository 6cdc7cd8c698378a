"""What a read of the log costs, however much of it lies ahead."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import psycopg
import pytest

from adapters.event_mapper import EVENT_TYPES
from adapters.event_reader import READ, READ_ONLY
from adapters.log_inspection import AFTER, LogFilter
from adapters.log_pages import PAGE
from adapters.postgres import open_pool
from adapters.postgres_events import SELECT_LOG
from tests.kit.log import event_store, recorded

EVENTS = 20_000
LIMIT = 1_000
ONWARD = {
    "after": 100,
    "limit": LIMIT,
    "scanned": LIMIT,
    "types": EVENT_TYPES.names(),
    "known": EVENT_TYPES.names(),
}


@pytest.fixture
async def restored_log(database_url: str) -> str:
    """Long, and without the statistics that PostgreSQL collects some time after a restore."""
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as one:
        await one.execute("ALTER TABLE events SET (autovacuum_enabled = off)")
    async with event_store(database_url) as store:
        for _ in range(EVENTS // LIMIT):
            await store.append([recorded() for _ in range(LIMIT)])
    return database_url


@pytest.mark.parametrize(
    ("statement", "parameters"),
    [
        (READ, {"after": 100, "limit": LIMIT}),
        (READ_ONLY, ONWARD),
        (PAGE, {**ONWARD, "owner": None}),
        (SELECT_LOG, {"first": 100, "stop": None, "topics": [], "limit": LIMIT}),
        (AFTER, {**msgspec.structs.asdict(LogFilter()), "after": 100, "limit": LIMIT}),
    ],
    ids=["follower", "rebuild", "page", "package", "log"],
)
async def test_a_read_looks_at_no_more_than_it_gives(
    restored_log: str, statement: str, parameters: Any
) -> None:
    async with (
        await open_pool(restored_log, role="media_worker", size=1) as pool,
        pool.connection() as one,
    ):
        cursor = await one.execute(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}".encode(), parameters
        )
        row = await cursor.fetchone()

    assert row is not None
    rows = [node["Actual Rows"] for node in nodes(row[0][0]["Plan"])]
    assert max(rows) == LIMIT


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)

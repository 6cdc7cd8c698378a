"""The short way to PostgreSQL gives what psycopg's cursors give, and survives what they survive."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import psycopg
import pytest

from adapters import prepared_statements
from adapters.postgres import Pool, open_pool
from adapters.prepared_statements import statement_of
from tests.workers.processes import until


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    async with await open_pool(database, role="media_api", size=1) as opened:
        yield opened


async def test_values_arrive_as_they_were_given(pool: Pool) -> None:
    at = datetime(2026, 4, 29, 10, 0, 0, 123000, UTC)
    texts = ['{"a"}', "back\\slash", "NULL", "", "ä, 'ö'", "100%"]
    rows = await pool.fetch(
        "SELECT %(text)s::text, %(number)s::bigint, %(yes)s::boolean, %(none)s::text,"
        " %(at)s::timestamptz, %(texts)s::text[], %(numbers)s::integer[], '100%%', %(text)s::text",
        {
            "text": 'it\'s {"x"} \\',
            "number": 2**62,
            "yes": True,
            "none": None,
            "at": at,
            "texts": [*texts, None],
            "numbers": [1, -2, None],
        },
    )
    text = 'it\'s {"x"} \\'
    assert rows == [(text, 2**62, True, None, at, [*texts, None], [1, -2, None], "100%", text)]


async def test_a_nul_is_refused_and_cuts_nothing_off(pool: Pool) -> None:
    with pytest.raises(psycopg.DataError):
        await pool.fetch("SELECT %(text)s::text", {"text": "before\0after"})
    assert await pool.fetch("SELECT %(text)s::text", {"text": "whole"}) == [("whole",)]


async def test_a_refusal_of_the_server_names_its_constraint_and_leaves_the_connection(
    pool: Pool,
) -> None:
    pid = await pool.fetch("SELECT pg_backend_pid()", {})
    with pytest.raises(psycopg.errors.DivisionByZero) as caught:
        await pool.fetch("SELECT 1 / %(by)s::integer", {"by": 0})
    assert caught.value.sqlstate == "22012"
    assert await pool.fetch("SELECT pg_backend_pid()", {}) == pid


async def test_statements_that_the_server_forgot_are_prepared_again(pool: Pool) -> None:
    sql = "SELECT %(number)s::integer + 1"
    assert await pool.fetch(sql, {"number": 1}) == [(2,)]
    async with pool.connection() as one:
        await one.execute("DEALLOCATE ALL")
    assert await pool.fetch(sql, {"number": 2}) == [(3,)]


async def test_a_connection_keeps_so_many_statements_and_no_more(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepared_statements, "MOST_PREPARED", 3)
    for _ in range(2):
        for number in range(6):
            assert await pool.fetch(f"SELECT {number} AS one", {}) == [(number,)]
    (kept,) = await pool.fetch(
        "SELECT count(*) FROM pg_prepared_statements WHERE name ~ 'media'", {}
    )
    assert kept[0] <= 3


async def until_it_sleeps(database: str, pid: int) -> None:
    """Only the server knows whether a statement has reached it."""

    async def sleeps() -> bool:
        sleeping = "SELECT FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
        return bool((await other.execute(sleeping, [pid])).rowcount)

    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
        await until(sleeps)


async def test_a_request_that_is_given_up_takes_its_connection_along(
    pool: Pool, database: str
) -> None:
    pid = await pool.fetch("SELECT pg_backend_pid()", {})
    given_up = asyncio.create_task(pool.fetch("SELECT pg_sleep(30)", {}))
    await until_it_sleeps(database, pid[0][0])
    given_up.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given_up
    # Its answer, when it comes at last, is nobody else's.
    assert await pool.fetch("SELECT pg_backend_pid()", {}) != pid


async def test_a_server_that_says_nothing_is_given_up(pool: Pool) -> None:
    async with pool.connection() as one:
        one.silence_seconds = 0.2
    with pytest.raises(psycopg.OperationalError):
        await pool.fetch("SELECT pg_sleep(30)", {})
    assert await pool.fetch("SELECT 1 AS alive", {}) == [(1,)]


async def test_a_session_the_server_ends_in_mid_statement_is_replaced(
    pool: Pool, database: str
) -> None:
    ((pid,),) = await pool.fetch("SELECT pg_backend_pid()", {})
    waiting = asyncio.create_task(pool.fetch("SELECT pg_sleep(30)", {}))
    await until_it_sleeps(database, pid)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as other:
        await other.execute("SELECT pg_terminate_backend(%s)", [pid])
    with pytest.raises(psycopg.OperationalError):
        await waiting
    assert await pool.fetch("SELECT 1 AS again", {}) == [(1,)]


def test_a_placeholder_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        statement_of("SELECT %s")

"""What keeps owners apart below the queries: policies, roles and narrow functions."""

import psycopg
import pytest

from projections import audit_trail, file_list, file_pages, pending_uploads, storage_stats
from projections.file_pages import FileQuery
from projections.reading import fetch_owned, owned
from tests.projections.conftest import TABLES, Log
from tests.projections.histories import (
    START,
    deleted,
    media_id,
    recorded,
    registered,
    requested,
    uploaded,
)

URL = "https://media.example"


@pytest.fixture
async def two_tenants(log: Log) -> Log:
    for number, owner in enumerate(("t:ls_a", "t:ls_b", "u:user_1")):
        file = uploaded(owner, number, name="secret plan.webp")
        await log.append([*file, *uploaded(owner, 10 + number)])
        await log.append([deleted(file)])
        await log.append([recorded(owner, media_id(20 + number), 1, START, requested(owner, 2))])
        await log.append([registered(owner, number)])
    await log.follow()
    return log


@pytest.mark.parametrize("table", TABLES)
async def test_with_the_where_taken_out_nothing_foreign_shows(two_tenants: Log, table: str) -> None:
    select = f"SELECT owner FROM {table} WHERE c.owner = c.owner"  # noqa: S608
    answer = await fetch_owned(two_tenants.api, owned("x", select), {"owner": "t:ls_a"})
    assert {owner for (owner,) in answer.found} == {"t:ls_a"}


@pytest.mark.parametrize("table", TABLES)
async def test_without_an_owner_nothing_shows_at_all(two_tenants: Log, table: str) -> None:
    async with two_tenants.api.connection() as connection:
        cursor = await connection.execute(f"SELECT * FROM {table}".encode())  # noqa: S608
        assert await cursor.fetchall() == []


@pytest.mark.parametrize("table", TABLES)
async def test_the_api_cannot_write_a_read_model(two_tenants: Log, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with two_tenants.api.connection() as connection:
            await connection.execute(f"DELETE FROM {table}".encode())  # noqa: S608


async def test_the_owner_does_not_outlive_its_statement(two_tenants: Log) -> None:
    for _ in range(8):
        await file_pages.page(two_tenants.api, "t:ls_a", FileQuery(), public_base_url=URL)
    async with two_tenants.api.connection() as connection:
        cursor = await connection.execute("SELECT current_setting('app.owner', true)")
        assert (await cursor.fetchone()) in {(None,), ("",)}


async def test_no_query_answers_for_another_owner(two_tenants: Log) -> None:
    api = two_tenants.api
    foreign = media_id(11)
    assert (await file_list.by_id(api, "t:ls_a", foreign, public_base_url=URL)).found is None
    assert (await audit_trail.history(api, "t:ls_a", foreign)).found == []
    assert (
        await pending_uploads.by_id(
            api, "t:ls_a", media_id(21), uploaded_by="user_1", public_base_url=URL
        )
    ).found is None
    for query in (FileQuery(), FileQuery(search="hero"), FileQuery(services=("blog",))):
        files = (await file_pages.page(api, "t:ls_a", query, public_base_url=URL)).found.items
        assert [file.id for file in files] == [media_id(10)]
    assert (await storage_stats.stats(api, "t:ls_a")).found.total_files == 1


async def test_search_gives_no_id_of_an_owner_the_statement_has_not_set(two_tenants: Log) -> None:
    call = (
        "search_files_v2(%s, '%%hero%%', '%%hero%%', NULL, NULL, 'created_at', true, NULL, NULL, 9)"
    )
    foreign = (
        "SELECT f.* FROM (SELECT set_config('app.owner', 't:ls_a', true) AS owner OFFSET 0) AS c"  # noqa: S608
        f" CROSS JOIN LATERAL (SELECT * FROM {call} WHERE c.owner = c.owner) AS f"
    )
    async with two_tenants.api.connection() as connection:
        cursor = await connection.execute(foreign.encode(), ("t:ls_b",))
        assert await cursor.fetchall() == []
        cursor = await connection.execute(foreign.encode(), ("t:ls_a",))
        assert await cursor.fetchall() == [(media_id(10), True)]


@pytest.mark.parametrize("function", ["search_files_v2", "resolve_files_v2"])
async def test_a_narrow_function_belongs_to_a_role_that_can_only_read_the_file_list(
    log: Log, function: str
) -> None:
    query = """
        SELECT p.prosecdef, r.rolcanlogin, r.rolsuper, r.rolbypassrls,
               array(SELECT table_name::text FROM information_schema.role_table_grants
                     WHERE grantee = r.rolname AND privilege_type = 'SELECT' ORDER BY 1),
               array(SELECT table_name::text FROM information_schema.role_table_grants
                     WHERE grantee = r.rolname AND privilege_type <> 'SELECT'),
               has_function_privilege('public', p.oid, 'EXECUTE')
        FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner WHERE p.proname = %s
    """
    async with await psycopg.AsyncConnection.connect(log.database) as connection:
        cursor = await connection.execute(query, (function,))
        assert await cursor.fetchall() == [
            (True, False, False, False, ["file_list_v1", "file_list_v2"], [], False)
        ]

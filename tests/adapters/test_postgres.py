import pytest

from adapters.postgres import connection, open_pool, owned, startup_options
from domain.errors import DatabaseUnavailable


async def test_a_connection_acts_as_its_role_and_cannot_idle_in_a_transaction(
    database_url: str,
) -> None:
    async with (
        await open_pool(database_url, role="media_api", size=1) as pool,
        connection(pool) as one,
    ):
        cursor = await one.execute(
            "SELECT current_user, current_setting('idle_in_transaction_session_timeout'),"
            " current_setting('transaction_timeout'), current_setting('timezone')"
        )
        assert await cursor.fetchone() == ("media_api", "10s", "30s", "UTC")


async def test_an_exhausted_pool_is_an_unavailable_database(database_url: str) -> None:
    async with (
        await open_pool(database_url, role="media_api", size=1) as pool,
        connection(pool),
    ):
        pool.timeout = 0.1
        with pytest.raises(DatabaseUnavailable):
            async with connection(pool):
                pass


async def test_a_failed_query_is_an_unavailable_database_that_tells_no_internals(
    database_url: str,
) -> None:
    async with await open_pool(database_url, role="media_api", size=1) as pool:
        with pytest.raises(DatabaseUnavailable) as refused:
            async with connection(pool) as one:
                await one.execute("SELECT * FROM nothing_of_this_name")
    assert "nothing_of_this_name" not in str(refused.value)


def test_options_that_a_url_names_are_kept() -> None:
    url = "postgresql://u@h/d?options=endpoint%3Dep-cool"
    assert startup_options(url, role="media_api").startswith("endpoint=ep-cool -c role=media_api")


def test_a_statement_that_forgets_the_owner_is_refused() -> None:
    with pytest.raises(ValueError, match="must compare with"):
        owned("SELECT 1")

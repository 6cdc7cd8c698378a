"""Columns of our own making arrive as psycopg's lists would."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.settings import Settings
from projections.columns import Column, columns

TIMES = st.datetimes(
    min_value=datetime(1900, 1, 1),  # noqa: DTZ001 - as Hypothesis wants it
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=-7, minutes=-30))]),
)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
ITEMS: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXT,
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "integer": st.integers(-(2**31), 2**31 - 1),
    "boolean": st.booleans(),
    "timestamptz": TIMES,
    "double precision": st.floats(allow_nan=False),
}
COLUMNS = st.sampled_from(sorted(ITEMS)).flatmap(
    lambda name: st.tuples(st.just(name), st.lists(st.none() | ITEMS[name], max_size=20))
)


@pytest.fixture(scope="module")
def connection(settings: Settings) -> Any:
    with psycopg.connect(settings.database_url, autocommit=True) as one:
        yield one


@given(given=COLUMNS)
def test_each_value_arrives_as_it_was(connection: Any, given: tuple[str, list[Any]]) -> None:
    type_, values = given
    statement = f"SELECT ARRAY(SELECT unnest(%b::{type_}[]))"
    (arrived,) = connection.execute(statement, (Column(values),)).fetchone()
    assert arrived == values


def test_rows_become_columns() -> None:
    assert columns([(1, "a"), (2, None)]) == [[1, 2], ["a", None]]

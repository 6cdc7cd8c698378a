"""`./dev verify` says which rows are not what the log makes of them; what was stopped goes on."""

import asyncio
from collections.abc import Callable

import pytest

from projections.comparison import Difference
from projections.read_models import READ_MODELS
from projections.shadow import REPLAY_BATCH
from tests.projections.conftest import Log
from tests.projections.histories import Library, deleted, media_id, uploaded

FILES = "file_list_v2"


@pytest.mark.parametrize("name", READ_MODELS)
async def test_a_live_model_is_what_the_log_makes_of_it(log: Log, name: str) -> None:
    await log.append(Library(7).history(150))
    await log.follow()
    compared = await log.verify(name)
    assert compared.differences == 0
    assert await log.schemas("verify") == []


async def test_rows_that_went_wrong_are_named(log: Log) -> None:
    await log.append([event for number in range(1, 6) for event in uploaded("t:ls_a", number)])
    await log.follow()
    await log.execute("DELETE FROM file_list_v2 WHERE media_id = %s", media_id(1))
    await log.execute("UPDATE file_list_v2 SET file_size = 7 WHERE media_id = %s", media_id(2))
    await log.execute(
        "UPDATE file_list_v2 SET media_id = 'media_zzzzzzzzzzzzzzzz' WHERE media_id = %s",
        media_id(3),
    )
    compared = await log.verify(FILES)
    assert compared.rows == 5
    assert compared.differences == 4
    found = {one.key: one for one in compared.shown}
    assert found[f"({media_id(1)})"].live is None
    assert ",7," in (found[f"({media_id(2)})"].live or "")
    assert found[f"({media_id(3)})"].live is None
    assert found["(media_zzzzzzzzzzzzzzzz)"].rebuilt is None
    await log.rebuild(FILES)
    assert (await log.verify(FILES)).differences == 0


async def test_a_model_that_is_behind_is_compared_as_far_as_it_has_come(log: Log) -> None:
    file = uploaded("t:ls_a", 1)
    await log.append(file)
    await log.follow()
    await log.append([deleted(file), *uploaded("t:ls_a", 2)])
    compared = await log.verify(FILES)
    assert compared.differences == 0
    assert compared.rows == 1


async def test_a_model_is_compared_while_it_goes_on(log: Log) -> None:
    await log.append(Library(3).history(200))
    await log.follow()
    number = 1000
    async with asyncio.TaskGroup() as group:
        comparing = group.create_task(log.verify(FILES))
        while not comparing.done():
            number += 1
            await log.append(uploaded("t:ls_z", number))
            await log.follow(READ_MODELS[FILES])
    assert comparing.result().differences == 0


def stop_at(position: int) -> Callable[[int, int], None]:
    def progress(reached: int, _goal: int) -> None:
        if reached >= position:
            raise asyncio.CancelledError

    return progress


@pytest.fixture
async def long_history(log: Log) -> int:
    """More than a batch of a replay; a position behind its first batch."""
    first = [event for number in range(3000) for event in uploaded("t:ls_a", number)]
    await log.append_together(first)
    last = await log.append_together(
        [event for number in range(3000, 3100) for event in uploaded("t:ls_a", number)]
    )
    await log.follow()
    assert len(first) > REPLAY_BATCH
    return last


async def test_a_comparison_that_was_stopped_goes_on_where_it_stood(
    log: Log, long_history: int
) -> None:
    with pytest.raises(asyncio.CancelledError):
        await log.verify(FILES, progress=stop_at(1))
    reached: list[int] = []
    assert await log.schemas("verify") == [f"verify_{FILES}"]
    compared = await log.verify(FILES, progress=lambda at, _goal: reached.append(at))
    assert (compared.differences, compared.rows) == (0, 3100)
    assert reached[0] > 0
    assert compared.position == long_history


async def test_a_rebuild_that_was_stopped_goes_on_where_it_stood(
    log: Log, long_history: int
) -> None:
    before = await log.rows(FILES)
    with pytest.raises(asyncio.CancelledError):
        await log.rebuild(FILES, progress=stop_at(1))
    assert await log.rows(FILES) == before
    reached: list[int] = []
    assert await log.rebuild(FILES, progress=lambda at, _: reached.append(at)) == long_history
    assert reached[0] > 0
    assert await log.rows(FILES) == before
    assert await log.schemas("rebuild") == []


async def test_what_another_version_began_is_not_gone_on_with(log: Log, long_history: int) -> None:
    with pytest.raises(asyncio.CancelledError):
        await log.rebuild(FILES, more_ddl="-- of yesterday\n", progress=stop_at(1))
    reached: list[int] = []
    await log.rebuild(FILES, progress=lambda at, _: reached.append(at))
    assert reached[0] == 0


async def test_a_row_is_told_with_both_its_sides(log: Log) -> None:
    await log.append(uploaded("t:ls_a", 1))
    await log.follow()
    await log.execute("UPDATE file_list_v2 SET key = 'elsewhere'")
    (difference,) = (await log.verify(FILES)).shown
    assert isinstance(difference, Difference)
    assert difference.table == FILES
    assert "elsewhere" in (difference.live or "")
    assert "elsewhere" not in (difference.rebuilt or "elsewhere")

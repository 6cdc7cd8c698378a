"""A rebuild reads only the events a read model names: it must name all that change it."""

import pytest

from projections.projection import Projection
from projections.read_models import READ_MODELS, is_retired
from tests.projections.conftest import Log
from tests.projections.histories import Library


@pytest.mark.parametrize("projection", READ_MODELS.values(), ids=lambda one: one.name)
@pytest.mark.parametrize("seed", range(5))
def test_the_events_it_does_not_name_change_nothing(projection: Projection, seed: int) -> None:
    history = list(Library(seed).history(300))
    if projection.event_types is None:
        return
    types = tuple(projection.event_types)
    named = [one for one in history if isinstance(one.event, types)]
    assert list(projection.fold(named)) == list(projection.fold(history))


async def test_reading_some_types_passes_over_the_others_and_says_how_far(log: Log) -> None:
    await log.append(Library(4).history(60))
    everything = await log.reader.read(0, 1000)
    wanted = type(everything[-1].event)
    found, reached, events = await log.reader.read_only(0, 1000, [wanted])
    assert found == [one for one in everything if type(one.event) is wanted]
    assert (reached, events) == (everything[-1].position, len(everything))

    found, reached, events = await log.reader.read_only(0, 7, [])
    assert (found, reached, events) == ([], everything[6].position, 7)
    assert await log.reader.read_only(reached, 0, [wanted]) == ([], reached, 0)
    assert await log.reader.read_only(everything[-1].position, 9, [wanted]) == (
        [],
        everything[-1].position,
        0,
    )


@pytest.mark.parametrize("name", READ_MODELS)
def test_a_read_model_that_is_kept_live_is_not_retired(name: str) -> None:
    assert not is_retired(name)


def test_an_earlier_version_is_retired_and_what_is_no_read_model_is_not() -> None:
    assert is_retired("file_list_v1")
    assert is_retired("unfinished_work_v2")
    assert not is_retired("reactor")
    assert not is_retired("rebuild_file_list_v2")

"""Background work ends when it is asked to, even where a library drops the first cancellation."""

import asyncio

import pytest

from adapters import tasks
from adapters.tasks import ended


async def _deaf(times: int) -> None:
    """As `asyncio.wait_for` on Python 3.11 can be, when what it waits for ends just then."""
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            if times == 0:
                raise
            times -= 1


@pytest.mark.parametrize("times", [0, 1, 3])
async def test_a_task_that_misses_a_cancellation_is_ended_all_the_same(
    times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "AGAIN_SECONDS", 0.01)
    task = asyncio.create_task(_deaf(times))
    await asyncio.sleep(0)
    await ended(task)
    assert task.cancelled()


async def test_what_went_wrong_in_it_is_not_told_at_its_end() -> None:
    async def fails() -> None:
        raise ValueError

    task = asyncio.create_task(fails())
    await asyncio.sleep(0)
    await ended(task)
    assert task.done()

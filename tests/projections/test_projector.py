"""The projector process: all read models live, through outages, until it is asked to stop."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.redis_hints import PositionAnnouncer
from adapters.settings import Settings
from projections.read_models import READ_MODELS
from projections.waiting import Checkpoints
from tests.projections.conftest import Log
from tests.projections.histories import Library, uploaded
from workers.projector import main


@pytest.fixture
async def stop(settings: Settings) -> AsyncIterator[asyncio.Event]:
    stop = asyncio.Event()
    running = asyncio.create_task(main(settings, stop))
    yield stop
    stop.set()
    assert await running == 0


async def reached(log: Log, position: int, *, seconds: float = 60) -> bool:
    return all(
        [
            await Checkpoints(log.api).wait_for(name, position, seconds=seconds) >= position
            for name in READ_MODELS
        ]
    )


async def test_it_keeps_every_read_model_live(
    log: Log, stop: asyncio.Event, settings: Settings
) -> None:
    announcer = PositionAnnouncer(
        settings.redis_url, channel=f"{settings.redis_namespace}:positions"
    )
    for number in range(20):
        position = await log.append(uploaded("t:ls_a", number))
        announcer.announce(position)
    await announcer.close()
    assert await reached(log, position)
    assert len(await log.rows("file_list_v2")) == 20


async def test_it_goes_on_after_its_connections_were_cut(log: Log, stop: asyncio.Event) -> None:
    library = Library(21)
    assert await reached(log, await log.append(library.history(30)))
    for _ in range(3):
        await log.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'media-projector' AND datname = current_database()"
        )
        position = await log.append(library.history(30))
        assert await reached(log, position)
    live = await log.everything()
    for name in READ_MODELS:
        await log.rebuild(name)
    assert await log.everything() == live


async def test_two_of_them_share_the_work_and_count_everything_once(
    log: Log, stop: asyncio.Event, settings: Settings
) -> None:
    second_stop = asyncio.Event()
    second = asyncio.create_task(main(settings, second_stop))
    try:
        position = await log.append(Library(22).history(200))
        assert await reached(log, position)
    finally:
        second_stop.set()
        assert await second == 0
    live = await log.everything()
    for name in READ_MODELS:
        await log.rebuild(name)
    assert await log.everything() == live

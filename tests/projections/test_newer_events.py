"""An event of a type this version does not know: followers stop before it and lose nothing."""

import asyncio

import pytest
import structlog

from adapters.readiness import MAX_LAG_SECONDS, Readiness
from adapters.runtime import open_api_runtime
from adapters.settings import Settings
from projections.projection import Follower, checkpoint_of
from projections.read_models import READ_MODELS
from projections.shadow import RebuildRefused
from tests.kit.patience import patience
from tests.projections.conftest import Log
from tests.projections.histories import deleted, media_id, uploaded
from workers.projector import main

NEWER = "media_file.moved.v1"


async def a_newer_version_writes(log: Log) -> tuple[int, int]:
    """Two files, and between them an event of its own: the positions of that and of the last."""
    file = uploaded("t:ls_a", 1)
    await log.append(file)
    newer = await log.append([deleted(file)])
    await log.execute("UPDATE events SET type = %s WHERE position = %s", NEWER, newer)
    return newer, await log.append(uploaded("t:ls_a", 2))


async def this_version_learns_the_type(log: Log) -> None:
    await log.execute(
        "UPDATE events SET type = 'media_file.file_deleted.v2' WHERE type = %s", NEWER
    )


def waits_for(follower: Follower) -> str | None:
    return follower.waits_for


async def listed(log: Log) -> list[object]:
    return [row[1] for row in await log.rows("file_list_v2")]


@pytest.mark.parametrize("batch", [1, 2, 3, 1000])
@pytest.mark.parametrize("name", READ_MODELS)
async def test_a_follower_stops_before_it_and_goes_on_once_it_knows_it(
    log: Log, name: str, batch: int
) -> None:
    newer, last = await a_newer_version_writes(log)
    follower = Follower(READ_MODELS[name], log.reader, batch=batch)
    async with log.worker.connection() as connection:
        await follower.start(connection)
        while await follower.step(connection):
            pass
        assert waits_for(follower) == NEWER
        assert 0 < await checkpoint_of(connection, name) == follower.position < newer
        await this_version_learns_the_type(log)
        while await follower.step(connection):
            pass
        assert waits_for(follower) is None
        assert await checkpoint_of(connection, name) == last
    await follower.close()
    live = await log.everything()
    await log.rebuild(name)
    assert await log.everything() == live


async def test_what_came_before_it_is_shown_and_nothing_after_it(log: Log) -> None:
    await a_newer_version_writes(log)
    await log.follow()
    assert await listed(log) == [media_id(1)]
    await this_version_learns_the_type(log)
    await log.follow()
    assert await listed(log) == [media_id(2)]


async def test_it_goes_on_behind_a_newer_follower_that_went_past_it(log: Log) -> None:
    newer, last = await a_newer_version_writes(log)
    projection = READ_MODELS["file_list_v2"]
    old = Follower(projection, log.reader)
    async with log.worker.connection() as connection:
        await old.start(connection)
        while await old.step(connection):
            pass
        assert waits_for(old) == NEWER
        await log.execute(
            "UPDATE checkpoints SET position = %s WHERE follower = %s", newer, projection.name
        )
        while await old.step(connection):
            pass
        assert waits_for(old) is None
        assert await checkpoint_of(connection, projection.name) == last
    assert media_id(2) in await listed(log)


@pytest.mark.parametrize("name", READ_MODELS)
async def test_a_rebuild_that_meets_it_leaves_the_live_model_alone(log: Log, name: str) -> None:
    await log.append(uploaded("t:ls_b", 7))
    await log.follow()
    before = await log.everything()
    await a_newer_version_writes(log)
    with pytest.raises(RebuildRefused, match=NEWER):
        await log.rebuild(name)
    assert await log.everything() == before


async def test_the_projector_and_readiness_say_what_is_waited_for(
    log: Log, settings: Settings
) -> None:
    newer, _ = await a_newer_version_writes(log)
    # As if it had been written a while ago.
    await log.execute(
        "UPDATE events SET at = now() - %s * interval '1 second' WHERE position = %s",
        MAX_LAG_SECONDS + 1,
        newer,
    )
    stop = asyncio.Event()
    with structlog.testing.capture_logs() as logs:
        running = asyncio.create_task(main(settings, stop))
        waiting: set[str] = set()
        try:
            async with asyncio.timeout(60):
                while len(waiting) < len(READ_MODELS):
                    await asyncio.sleep(0.02)
                    waiting = {
                        one["readModel"]
                        for one in logs
                        if one["event"] == "media.projector.waits_for_newer_version"
                        and one["eventType"] == NEWER
                    }
            async with open_api_runtime(settings) as runtime:
                readiness = Readiness(
                    log.api,
                    runtime.objects,
                    redis_url=settings.redis_url,
                    followers=frozenset(READ_MODELS),
                )
                with patience():
                    checks = await readiness.check()
        finally:
            stop.set()
            assert await running == 0
    assert waiting == set(READ_MODELS)
    assert checks["projections"] is False
    (told,) = [one for one in logs if one.get("dependency") == "projections"]
    assert f"file_list_v2 stands before {NEWER}" in str(told["error"])

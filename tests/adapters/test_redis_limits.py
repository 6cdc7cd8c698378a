"""The limit holds in every window, for all processes together, and stops nobody without Redis."""

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import AsyncIterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
import redis.asyncio

from adapters import redis_limits
from adapters.embedded import Valkey, free_port
from adapters.redis_limits import RedisLimits
from adapters.supervisor import Supervisor
from tests.kit.hammer import Hammering, hammer, stand_by
from tests.kit.servers import supervised

SHORT, LONG = 0.5, 5.0
"""Windows, in seconds: one to wait for the end of, and one in which there is time for a few."""


@pytest.fixture
async def limits(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> AsyncIterator[RedisLimits]:
    """Redis is waited for, however busy the machine is: without an answer nothing is counted."""
    monkeypatch.setattr(redis_limits, "BUDGET_SECONDS", 30)
    window = getattr(request, "param", LONG)
    opened = RedisLimits(redis_url, namespace="limits", window_seconds=window, margin_seconds=0)
    yield opened
    await opened.close()


short_window = pytest.mark.parametrize("limits", [SHORT], indirect=True)


@pytest.mark.long
async def test_no_window_holds_more_than_the_limit_and_nearly_all_of_it_can_be_used(
    redis_url: str,
) -> None:
    limit, window, windows, processes = 40, 3.0, 3, 3
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        standing_by: set[int] = set()
        while len(standing_by) < processes:
            there = (loop.run_in_executor(pool, stand_by) for _ in range(processes))
            standing_by.update(await asyncio.gather(*there))
        until = time.time() + windows * window
        what = Hammering(
            redis_url=redis_url, key="hammered", limit=limit, window_seconds=window, until=until
        )
        running = [loop.run_in_executor(pool, hammer, what) for _ in range(processes)]
        results = await asyncio.gather(*running)
    admitted = sorted(pair for _, pairs in results for pair in pairs)
    assert sum(asked for asked, _ in results) > 10 * limit * windows
    for start, _ in admitted:
        surely_inside = [
            pair for pair in admitted if start <= pair[0] and pair[1] <= start + window
        ]
        assert len(surely_inside) <= limit
    first = admitted[0][0]
    assert len(admitted) >= 0.95 * limit * int((until - first) / window)


@pytest.mark.long
async def test_a_refused_request_is_not_counted_and_says_when_to_come_again(
    limits: RedisLimits,
) -> None:
    for remaining in (2, 1, 0):
        taken = await limits.take("refused", 3)
        assert taken is not None
        assert (taken.admitted, taken.remaining) == (True, remaining)
        assert 1 <= taken.reset_seconds <= LONG
    refused = 0
    deadline = time.monotonic() + 30
    while True:  # a counted refusal would push the end of the window on for ever
        taken = await limits.take("refused", 3)
        assert taken is not None
        if taken.admitted:
            break
        assert taken.remaining == 0
        assert 1 <= taken.reset_seconds <= LONG
        refused += 1
        assert time.monotonic() < deadline
    assert refused


@short_window
async def test_keys_are_counted_apart_and_forgotten(limits: RedisLimits, redis_url: str) -> None:
    for key in ("a", "b"):
        taken = await limits.take(key, 1)
        assert taken is not None
        assert taken.admitted
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        while await client.exists("limits:limit:a", "limits:limit:b"):
            await asyncio.sleep(0.05)


async def test_a_lowered_limit_holds_at_once(limits: RedisLimits) -> None:
    for _ in range(5):
        await limits.take("lowered", 5)
    taken = await limits.take("lowered", 2)
    assert taken is not None
    assert not taken.admitted


@short_window
@pytest.mark.parametrize("ahead_seconds", [3, 3600])
async def test_a_clock_set_back_locks_nobody_out(
    limits: RedisLimits, redis_url: str, ahead_seconds: int
) -> None:
    ahead = int((time.time() + ahead_seconds) * 1_000_000)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.rpush("limits:limit:clock", ahead)
    taken = await limits.take("clock", 1)
    assert taken is not None
    assert taken.admitted


async def test_counting_goes_on_after_the_scripts_of_redis_are_flushed(
    limits: RedisLimits, redis_url: str
) -> None:
    await limits.take("flushed", 9)
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.script_flush()
    taken = await limits.take("flushed", 9)
    assert taken is not None
    assert taken.remaining == 7


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator[tuple[Valkey, Supervisor]]:
    valkey = Valkey(directory=tmp_path / "valkey", port=free_port(), password="only-for-this-test")
    async with supervised() as supervisor:
        await valkey.start(supervisor)
        yield valkey, supervisor


async def until_counted(limits: RedisLimits) -> None:
    deadline = time.monotonic() + 60
    while await limits.take("again", 1000) is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


async def test_a_redis_that_hangs_costs_one_short_wait_and_then_none(
    own_redis: tuple[Valkey, Supervisor],
) -> None:
    valkey, supervisor = own_redis
    (pid,) = supervisor.pids.values()
    limits = RedisLimits(valkey.url, namespace="limits")
    await until_counted(limits)
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(20):  # a thousand waits would take four minutes
            for _ in range(1000):
                assert await limits.take("hanging", 1) is None
    finally:
        os.kill(pid, signal.SIGCONT)
    await until_counted(limits)
    await limits.close()


async def test_a_redis_that_is_gone_stops_nobody_and_counts_again_when_it_is_back(
    own_redis: tuple[Valkey, Supervisor],
) -> None:
    valkey, supervisor = own_redis
    limits = RedisLimits(valkey.url, namespace="limits")
    await until_counted(limits)
    await supervisor.stop()
    for _ in range(1000):
        assert await limits.take("gone", 1) is None
    async with supervised() as again:
        await valkey.start(again)
        await until_counted(limits)
    await limits.close()

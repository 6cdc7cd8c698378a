import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio

from adapters.redis_hints import PositionAnnouncer, PositionHints
from tests.workers.processes import until

NOBODY = "redis://127.0.0.1:1/0"


@asynccontextmanager
async def announcing(
    redis_url: str, channel: str
) -> AsyncIterator[tuple[PositionAnnouncer, PositionHints]]:
    announcer = PositionAnnouncer(redis_url, channel=channel)
    hints = PositionHints(redis_url, channel=channel)
    try:
        yield announcer, hints
    finally:
        await announcer.close()
        await hints.close()


async def until_it_listens(redis_url: str, hints: PositionHints, channel: str) -> None:
    async with redis.asyncio.Redis.from_url(redis_url) as client:

        async def is_heard() -> bool:
            await hints.wait(0, seconds=0)
            return bool(dict(await client.pubsub_numsub(channel))[channel.encode()])

        await until(is_heard)


async def test_an_announcement_wakes_a_follower_at_once(redis_url: str) -> None:
    async with announcing(redis_url, "hints:wake") as (announcer, hints):
        await until_it_listens(redis_url, hints, "hints:wake")
        began = time.monotonic()
        announcer.announce(7)
        await hints.wait(0, seconds=60)
        assert time.monotonic() - began < 60
        assert hints.latest == 7


async def test_a_hint_is_heard_once(redis_url: str) -> None:
    async with announcing(redis_url, "hints:once") as (announcer, hints):
        await until_it_listens(redis_url, hints, "hints:once")
        announcer.announce(7)
        await hints.wait(0, seconds=60)
        began = time.monotonic()
        await hints.wait(0, seconds=0.2)
        assert time.monotonic() - began >= 0.19


async def test_many_announcements_become_few_messages_and_the_highest_is_told(
    redis_url: str,
) -> None:
    async with (
        redis.asyncio.Redis.from_url(redis_url) as client,
        client.pubsub() as channel,
        announcing(redis_url, "hints:many") as (announcer, _),
    ):
        await channel.subscribe("hints:many")
        for position in range(1, 1001):
            announcer.announce(position)
        told: list[int] = []
        while not told or told[-1] != 1000:
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=5)
            if message is not None:
                told.append(int(message["data"]))
        assert len(told) < 10


async def test_without_redis_commands_go_on_and_followers_poll() -> None:
    async with announcing(NOBODY, "hints:away") as (announcer, hints):
        announcer.announce(1)
        await asyncio.wait_for(hints.wait(0, seconds=0.05), 30)
        announcer.announce(2)
        await asyncio.sleep(0.1)

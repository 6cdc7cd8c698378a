import asyncio
import time

import redis.asyncio

from adapters.redis_hints import PositionAnnouncer, PositionHints

NOBODY = "redis://127.0.0.1:1/0"


async def test_an_announcement_wakes_a_follower_at_once(redis_url: str) -> None:
    announcer = PositionAnnouncer(redis_url, channel="hints:wake")
    hints = PositionHints(redis_url, channel="hints:wake")
    await hints.wait(0, seconds=0.5)
    began = time.monotonic()
    announcer.announce(7)
    await hints.wait(0, seconds=30)
    assert time.monotonic() - began < 10
    await announcer.close()
    await hints.close()


async def test_a_hint_is_heard_once(redis_url: str) -> None:
    announcer = PositionAnnouncer(redis_url, channel="hints:once")
    hints = PositionHints(redis_url, channel="hints:once")
    await hints.wait(0, seconds=0.5)
    announcer.announce(7)
    await hints.wait(0, seconds=30)
    began = time.monotonic()
    await hints.wait(0, seconds=0.2)
    assert time.monotonic() - began >= 0.19
    await announcer.close()
    await hints.close()


async def test_many_announcements_become_few_messages_and_the_highest_is_told(
    redis_url: str,
) -> None:
    async with (
        redis.asyncio.Redis.from_url(redis_url) as client,
        client.pubsub() as channel,
    ):
        await channel.subscribe("hints:many")
        announcer = PositionAnnouncer(redis_url, channel="hints:many")
        for position in range(1, 1001):
            announcer.announce(position)
        told: list[int] = []
        while not told or told[-1] != 1000:
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=5)
            if message is not None:
                told.append(int(message["data"]))
        assert len(told) < 10
        await announcer.close()


async def test_without_redis_commands_go_on_and_followers_poll() -> None:
    announcer = PositionAnnouncer(NOBODY, channel="hints:away")
    hints = PositionHints(NOBODY, channel="hints:away")
    announcer.announce(1)
    await asyncio.wait_for(hints.wait(0, seconds=0.05), 2)
    announcer.announce(2)
    await asyncio.sleep(0.1)
    await announcer.close()
    await hints.close()

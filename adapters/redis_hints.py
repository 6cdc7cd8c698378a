"""Wake-up hints between processes: "the log has reached this position".

The write side announces, followers wait. A hint may be lost: a follower also looks on its own, so
nothing depends on Redis here, and no command ever fails or waits because of it.
"""

import asyncio
import contextlib
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from adapters.redis_line import RedisLine
from adapters.tasks import ended

POLL_SECONDS = 0.05
"""How long a follower waits before it looks on its own, when it hears no hints, or has not reached
what it heard of."""
IDLE_POLL_SECONDS = 0.25
"""The same when it hears them and has reached the last: a service at rest takes no processor."""
RECONNECT_SECONDS = 1.0
ANNOUNCE_SECONDS = 2.0
"""After which an announcement is given up."""
GATHER_SECONDS = 0.004
"""How long announcements gather after one that went out: a follower takes longer for a batch."""


def _client(redis_url: str) -> Any:
    # Untyped: redis-py's own annotations make every call a union of sync and async.
    return redis.asyncio.Redis.from_url(
        redis_url, socket_timeout=2, socket_connect_timeout=2, retry=None
    )


class PositionAnnouncer:
    """Tells followers how far the log has come, from the event loop it is used on."""

    def __init__(self, redis_url: str, *, channel: str) -> None:
        self._line = RedisLine(redis_url)
        self._channel = channel
        self._latest = 0
        self._announced = 0
        self._publishing: asyncio.Task[None] | None = None

    def announce(self, position: int) -> None:
        """Publish the position soon, together with those announced meanwhile. Never raises."""
        self._latest = max(self._latest, position)
        if self._publishing is None or self._publishing.done():
            self._publishing = asyncio.get_running_loop().create_task(self._publish())

    async def _publish(self) -> None:
        while self._announced < self._latest:
            position = self._latest
            try:
                async with asyncio.timeout(ANNOUNCE_SECONDS):
                    await self._line.ask("PUBLISH", self._channel, position)
            except (RedisError, OSError, TimeoutError):
                self._line.hang_up()
            self._announced = position
            # One alone goes out at once; of many each follower needs the last.
            await asyncio.sleep(GATHER_SECONDS)

    async def close(self) -> None:
        """Give up what is not yet published and let the connection go."""
        if self._publishing is not None:
            await ended(self._publishing)
        self._line.hang_up()


class PositionHints:
    """Wakes one follower when something was announced."""

    def __init__(self, redis_url: str, *, channel: str) -> None:
        self._client = _client(redis_url)
        self._channel = channel
        self._announced = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None
        self._hears = False
        self.latest = 0
        """The highest position a hint has named."""

    async def wait(self, reached: int, *, seconds: float | None = None) -> None:
        """Return at a hint that came since the last call, or when it is time to look.

        `reached` is the position the caller has read up to.
        """
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())
        if seconds is None:
            at_rest = self._hears and reached >= self.latest
            seconds = IDLE_POLL_SECONDS if at_rest else POLL_SECONDS
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._announced.wait()
        self._announced.clear()

    async def _listen(self) -> None:
        while True:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with self._client.pubsub(ignore_subscribe_messages=True) as channel:
                    await channel.subscribe(self._channel)
                    self._hears = True
                    while True:
                        # Bounded below the socket's own timeout, which would end the connection.
                        message = await channel.get_message(timeout=1.0)
                        if message is not None:
                            with contextlib.suppress(ValueError):
                                self.latest = max(self.latest, int(message["data"]))
                            self._announced.set()
            self._hears = False
            await asyncio.sleep(RECONNECT_SECONDS)

    async def close(self) -> None:
        """Stop listening and let the connection go."""
        if self._listening is not None:
            await ended(self._listening)
        await self._client.aclose()

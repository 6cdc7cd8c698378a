"""Requests counted in Redis, for all processes together: never above the limit in any window.

Used by api/limits.py. Without Redis nothing is counted and everything is let through.
"""

import asyncio
import contextlib
import hashlib

import msgspec
from redis.exceptions import RedisError, ResponseError

from adapters.redis_line import RedisLine
from adapters.tasks import ended
from adapters.telemetry import get_logger

WINDOW_SECONDS = 60
MARGIN_SECONDS = 1
"""Longer than the way between the caller and Redis: the limit holds by the caller's clock too.

It costs 1 in 61 of what the limit allows under constant pressure.
"""
BUDGET_SECONDS = 0.25
"""What a request waits at most: an answer takes 0.2 ms, from another region some 50 ms."""
PROBE_SECONDS = 0.5
"""How often a Redis that failed is tried again, by nobody's request."""

_TAKE = """
local limit, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local newest = tonumber(redis.call('LINDEX', KEYS[1], -1) or 0)
if newest > now + window then
  redis.call('DEL', KEYS[1])
elseif newest > now then
  now = newest
end
local oldest = redis.call('LINDEX', KEYS[1], 0)
while oldest and tonumber(oldest) <= now - window do
  redis.call('LPOP', KEYS[1])
  oldest = redis.call('LINDEX', KEYS[1], 0)
end
local taken = redis.call('LLEN', KEYS[1])
if taken >= limit then
  local first = redis.call('LINDEX', KEYS[1], taken - limit)
  return {0, 0, tonumber(first) + window - now}
end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(window / 1000))
return {1, limit - taken - 1, tonumber(oldest or now) + window - now}
"""
_TAKE_SHA = hashlib.sha1(_TAKE.encode(), usedforsecurity=False).hexdigest()
"""How Redis calls a script it has seen."""
# A list of the times of what was let through, oldest first, by the clock of Redis, which all
# processes share. When that clock is set back it stands still here, and after more than a window
# it begins anew.


class Taken(msgspec.Struct, frozen=True):
    """What became of one request."""

    admitted: bool
    remaining: int
    """How many more are admitted now."""
    reset_seconds: int
    """Until the next one is free again, rounded up."""


class RedisLimits:
    """Sliding windows by key."""

    def __init__(
        self,
        redis_url: str,
        *,
        namespace: str,
        window_seconds: float = WINDOW_SECONDS,
        margin_seconds: float = MARGIN_SECONDS,
    ) -> None:
        self._line = RedisLine(redis_url)
        self._namespace = namespace
        self._window = round((window_seconds + margin_seconds) * 1_000_000)
        self._probing: asyncio.Task[None] | None = None

    async def take(self, key: str, limit: int) -> Taken | None:
        """Count one request if the limit allows it. None when Redis is away: nobody counted."""
        if self._is_away:
            return None
        try:
            async with asyncio.timeout(BUDGET_SECONDS):
                return await self._take(key, limit)
        except (RedisError, OSError, TimeoutError) as error:
            self._away(error)
            return None

    async def _take(self, key: str, limit: int) -> Taken:
        arguments = 1, f"{self._namespace}:limit:{key}", limit, self._window
        try:
            found = await self._line.ask("EVALSHA", _TAKE_SHA, *arguments)
        except ResponseError as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            found = await self._line.ask("EVAL", _TAKE, *arguments)
        admitted, remaining, reset = found
        return Taken(bool(admitted), remaining, -(-reset // 1_000_000))

    @property
    def _is_away(self) -> bool:
        return self._probing is not None and not self._probing.done()

    def _away(self, error: Exception) -> None:
        # One that was too slow for this request may never answer the next.
        self._line.hang_up()
        if not self._is_away:
            get_logger().warning("media.limits.away", error=f"{type(error).__name__}: {error}")
            self._probing = asyncio.get_running_loop().create_task(self._probe())

    async def _probe(self) -> None:
        """Return when Redis counts again."""
        while True:
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                try:
                    async with asyncio.timeout(BUDGET_SECONDS):
                        await self._take("probe", 1)
                    break
                except TimeoutError:
                    self._line.hang_up()
            await asyncio.sleep(PROBE_SECONDS)
        get_logger().info("media.limits.back")

    async def close(self) -> None:
        """Let the connections go."""
        if self._probing is not None:
            await ended(self._probing)
        self._line.hang_up()

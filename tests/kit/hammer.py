"""One process that asks as fast as it can, for tests of what holds across processes."""

import asyncio
import os
import time

import msgspec

from adapters import redis_limits
from adapters.redis_limits import RedisLimits

IN_FLIGHT = 8


class Hammering(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask, and until when by the clock."""

    redis_url: str
    key: str
    limit: int
    window_seconds: float
    until: float


def stand_by() -> int:
    """The process that is there; busy long enough for the others to be started too."""
    time.sleep(0.2)
    return os.getpid()


def hammer(what: Hammering) -> tuple[int, list[tuple[float, float]]]:
    """How often it asked, and between which two moments each admitted request was counted."""
    return asyncio.run(_hammer(what))


async def _hammer(what: Hammering) -> tuple[int, list[tuple[float, float]]]:
    # Without an answer nothing is counted, however busy the machine is.
    redis_limits.BUDGET_SECONDS = 30
    limits = RedisLimits(
        what.redis_url,
        namespace="limits",
        window_seconds=what.window_seconds,
        margin_seconds=0.01,
    )
    admitted: list[tuple[float, float]] = []
    asked = 0

    async def ask() -> None:
        nonlocal asked
        while (began := time.time()) < what.until:
            taken = await limits.take(what.key, what.limit)
            asked += 1
            assert taken is not None
            if taken.admitted:
                admitted.append((began, time.time()))

    await asyncio.gather(*(ask() for _ in range(IN_FLIGHT)))
    await limits.close()
    return asked, admitted

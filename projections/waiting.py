"""Read your writes: wait until a read model has reached a position (api.md, `Media-Position`).

However many requests wait for one follower, the database is asked by one of them for all.
"""

import asyncio

from domain.errors import DatabaseUnavailable
from projections.projection import FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS, checkpoint_of
from projections.reading import Pool, connection

WAIT_SECONDS = 2.0
"""How long a query waits, all its read models together (api.md)."""


class Checkpoints:
    """Where the followers stand, for the requests of one process."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._watches: dict[str, _Watch] = {}

    async def wait_for(self, follower: str, position: int, *, seconds: float = WAIT_SECONDS) -> int:
        """Wait until the follower has reached the position, at most so long; where it stands then.

        Raises DatabaseUnavailable.
        """
        watch = self._watches.get(follower)
        if watch is None:
            watch = self._watches[follower] = _Watch(self._pool, follower)
        return await watch.wait_for(position, seconds)


class _Watch:
    """One follower's checkpoint, asked for while somebody waits for it."""

    def __init__(self, pool: Pool, follower: str) -> None:
        self._pool = pool
        self._follower = follower
        self._waiting: dict[asyncio.Future[int], int] = {}
        self._joined = asyncio.Event()
        self._asking: asyncio.Task[None] | None = None

    async def wait_for(self, position: int, seconds: float) -> int:
        reached: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[reached] = position
        self._joined.set()
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        try:
            async with asyncio.timeout(seconds):
                return await reached
        except TimeoutError:
            return await self._checkpoint()
        finally:
            self._waiting.pop(reached, None)

    async def _ask(self) -> None:
        pause = FIRST_WAIT_SECONDS
        try:
            while self._waiting:
                self._joined.clear()
                checkpoint = await self._checkpoint()
                for waiting, position in list(self._waiting.items()):
                    if checkpoint >= position:
                        self._answer(waiting, checkpoint)
                try:
                    # Whoever joins is not to wait for the end of a pause that has grown long.
                    async with asyncio.timeout(pause):
                        await self._joined.wait()
                    pause = FIRST_WAIT_SECONDS
                except TimeoutError:
                    pause = min(2 * pause, LONGEST_WAIT_SECONDS)
        except DatabaseUnavailable as error:
            for waiting in list(self._waiting):
                self._answer(waiting, error)

    def _answer(self, waiting: asyncio.Future[int], found: int | DatabaseUnavailable) -> None:
        del self._waiting[waiting]
        if waiting.done():  # given up at this very moment
            return
        if isinstance(found, int):
            waiting.set_result(found)
        else:
            waiting.set_exception(found)

    async def _checkpoint(self) -> int:
        async with connection(self._pool) as one:
            return await checkpoint_of(one, self._follower)

"""The end of a task that works in the background."""

import asyncio
from typing import Any

AGAIN_SECONDS = 1.0
"""Longer than a task takes to let its connections go."""


async def ended(task: "asyncio.Future[Any]") -> None:
    """Cancel it, and wait until it has ended, however it ended. Never raises for it.

    Again and again: on Python 3.11 `asyncio.wait_for`, through which redis-py sends, drops a
    cancellation that comes just as what it waits for ends (CPython gh-86296).
    """
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=AGAIN_SECONDS)
    if not task.cancelled():
        # Seen, so that nobody says it never was.
        task.exception()

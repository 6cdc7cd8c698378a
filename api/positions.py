"""Read your writes: `Media-Position` in on queries, which wait until their read model has it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from api.parameters import MAX_POSITION, header, whole_number
from api.routes import MediaRequest
from projections.reading import Answer
from projections.waiting import WAIT_SECONDS, Checkpoints

T = TypeVar("T")


def wanted_position(request: MediaRequest) -> int:
    """The position the caller wants to see; 0 without one. Raises InvalidField."""
    text = header(request.scope["headers"], b"media-position")
    if text is None:
        return 0
    return whole_number("Media-Position", text, least=0, most=MAX_POSITION)


async def read_at(
    request: MediaRequest,
    wanted: int,
    follower: str,
    query: Callable[[], Awaitable[Answer[T]]],
) -> Answer[T]:
    """The query's answer, once the follower has reached the position or 2 s have passed.

    The 2 s are those of the whole request, which may read several models for several owners.
    """
    now = asyncio.get_running_loop().time
    deadline: float = request.scope["state"].setdefault("wait_until", now() + WAIT_SECONDS)
    answer = await query()
    left = deadline - now()
    if answer.position >= wanted or left <= 0:
        return answer
    checkpoints: Checkpoints = request.app.state["checkpoints"]
    await checkpoints.wait_for(follower, wanted, seconds=left)
    return await query()

"""Read your writes: `Media-Position` in on queries, which wait until their read model has it."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from api.parameters import MAX_POSITION, header, whole_number
from api.routes import MediaRequest, runtime_of
from projections.reading import Answer, wait_for

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
    """The query's answer, once the follower has reached the position or 2 s have passed."""
    answer = await query()
    if answer.position >= wanted:
        return answer
    await wait_for(runtime_of(request).pool, follower, wanted)
    return await query()

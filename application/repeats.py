"""A command that is carried out once, and answers its repeats with what it answered then."""

from collections.abc import Awaitable, Callable

import msgspec

from application.access import check_still_open
from application.context import Context
from application.media import Media, same_request
from application.ports import KeyTaken
from domain.media_file import MediaFile


class Written(msgspec.Struct, frozen=True):
    """The body of a command's answer, as JSON, and the position it wrote."""

    body: bytes
    position: int
    file: MediaFile | None = None
    """The one file it was about; unknown to a repeat."""


async def once(
    media: Media, context: Context, attempt: Callable[[], Awaitable[Written]]
) -> Written:
    """The answer of the first time, when the Idempotency-Key was used before."""
    kept = await media.kept_outcome(context)
    if kept is None:
        try:
            return await media.repeatedly(attempt)
        except KeyTaken as taken:
            kept = same_request(taken.kept, context)
    await check_still_open(media, context.caller.tenant_id)
    return Written(kept.outcome, kept.position)

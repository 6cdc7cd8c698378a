"""`./dev log --as-of`: where the log stood, and what a library or a file was then."""

from collections import Counter
from datetime import UTC, datetime

from adapters.log_inspection import LogFilter, events_after
from adapters.owner_log import horizon, position_at
from adapters.postgres import Pool
from domain.event import Recorded, before_unknown
from domain.media_file import MediaFile
from domain.object_key import MEDIA_ID_PREFIX
from projections.past_library import PastLibrary

CHUNK = 2_000


class NoMoment(Exception):
    """What was given is no time and no position of the past."""


async def position_of(pool: Pool, text: str) -> int:
    """The position of the log that a time or a position means. Raises NoMoment."""
    if text.isascii() and text.isdecimal():
        position = int(text)
        if position >= await horizon(pool):
            raise NoMoment(f"{text} lies ahead of the log.")
        return position
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise NoMoment(f"{text} is no time (as 2026-05-03T10:00Z) and no position.") from None
    return await position_at(pool, at if at.tzinfo else at.replace(tzinfo=UTC))


async def standing(pool: Pool, position: int, *, owner: str | None, file: str | None) -> list[str]:
    """Lines that say what stood at the position. For the role media_worker."""
    lines = [f"The log stood at {position}."]
    if file is not None and file.startswith(MEDIA_ID_PREFIX):
        lines.append(await _file(pool, position, file))
    elif owner is not None:
        lines.append(await _library(pool, position, owner))
    return lines


async def _file(pool: Pool, position: int, media_id: str) -> str:
    wanted = LogFilter(stream=media_id, upto=position)
    state = MediaFile.from_history(await events_after(pool, wanted, 0, limit=CHUNK))
    if state is None:
        return f"{media_id} did not exist."
    facts = (state.status, state.mime_type, f"{state.file_size:,} bytes", state.key)
    where = "public" if state.is_public else "private"
    return f"{media_id} of {state.owner}: {', '.join(filter(None, facts))}, {where}."


async def _library(pool: Pool, position: int, owner: str) -> str:
    """Whole, however long it takes: an operator's process serves nobody else."""
    library, reached, ends = PastLibrary(), 0, Counter[str]()
    wanted = LogFilter(owner=owner, upto=position)
    while events := await events_after(pool, wanted, reached, limit=CHUNK):
        known, unknown = before_unknown(events)
        for recorded in known:
            library.take(recorded)
            _count(ends, recorded)
        if unknown is not None:
            return f"{owner}: the log holds {unknown}, which this version does not know."
        reached = events[-1].position
    stats = library.stats(pending_uploads=0)
    return (
        f"{owner}: {stats.total_files:,} files, {stats.total_bytes:,} bytes;"
        f" {ends.total():,} events of {len(ends):,} files before."
    )


def _count(files: Counter[str], recorded: Recorded) -> None:
    if recorded.stream.startswith(MEDIA_ID_PREFIX):
        files[recorded.stream] += 1

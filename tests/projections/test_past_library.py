"""A library as it was equals a read model that was rebuilt up to there and no further."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from adapters import owner_log
from adapters.event_reader import PostgresEventReader
from api.time_travel import TimeTravel
from domain.errors import AsOfBusy, AsOfTooLarge, InvalidField
from domain.event import Event, Recorded
from domain.media_type import MEDIA_TYPES, Category
from projections import file_list, file_pages, storage_stats
from projections.file_pages import FileQuery, Sort
from projections.file_resource import FileResource
from projections.projection import Follower
from projections.read_models import READ_MODELS
from projections.waiting import Checkpoints
from tests.projections.conftest import TABLES, Log
from tests.projections.histories import (
    NAMES,
    SERVICES,
    START,
    Library,
    deleted,
    media_id,
    removed,
    uploaded,
)

URL = "https://media.example"
OWNERS = ("t:ls_a", "t:ls_b", "t:ls_c", "u:user_1")
SORTS = [sort for sort in get_args(Sort) if not sort.endswith("deletedAt")]
MINUTE = timedelta(minutes=1)


class UpTo(PostgresEventReader):
    """A log that ends at a position."""

    def __init__(self, log: Log, position: int) -> None:
        super().__init__(log.worker)
        self.position = position

    async def read(self, after: int, limit: int) -> Sequence[Recorded]:
        return [one for one in await super().read(after, limit) if one.position <= self.position]


def travel(log: Log, *, at_most: int = 100_000, now: datetime | None = None) -> TimeTravel:
    return TimeTravel(
        log.api,
        Checkpoints(log.api),
        clock=lambda: now or datetime.now(UTC) + timedelta(days=10_000),
        public_base_url=URL,
        at_most=at_most,
    )


async def rebuild_up_to(log: Log, position: int) -> None:
    names = [name for name in TABLES if not name.startswith("audit_trail")]
    await log.execute(f"TRUNCATE {', '.join(names)}")
    await log.execute("DELETE FROM checkpoints WHERE follower <> 'audit_trail_v2'")
    for name in ("file_list_v2", "storage_stats_v1"):
        follower = Follower(READ_MODELS[name], UpTo(log, position))
        async with log.worker.connection() as connection:
            await follower.start(connection)
            while await follower.step(connection):
                pass
        await follower.close()


def any_query(dice: random.Random) -> FileQuery:
    some: dict[str, Any] = {"sort": dice.choice(SORTS), "limit": dice.choice((1, 3, 100))}
    if dice.random() < 0.4:
        some["services"] = tuple(dice.sample(SERVICES, 2))
    if dice.random() < 0.4:
        some["categories"] = tuple(dice.sample(get_args(Category), 2))
    if dice.random() < 0.3:
        some["mime_types"] = tuple(dice.sample(list(MEDIA_TYPES), 3))
    if dice.random() < 0.4:
        name = dice.choice(NAMES)
        some["search"] = name[dice.randrange(3) :][: dice.choice((1, 3, 6))].swapcase()
    return FileQuery(**some)


async def all_then(log: Log, owner: str, query: FileQuery, position: int) -> list[FileResource]:
    files: list[FileResource] = []
    for _ in range(500):
        page = await travel(log).page(owner, query, position)
        assert page.position == position
        assert len(page.files) <= query.limit
        files += page.files
        if page.next_key is None:
            return files
        query = msgspec.structs.replace(query, after=page.next_key.row)
    raise AssertionError("pages without an end")


async def all_now(log: Log, owner: str, query: FileQuery) -> list[FileResource]:
    files: list[FileResource] = []
    while True:
        page = (await file_pages.page(log.api, owner, query, public_base_url=URL)).found
        files += page.items
        if page.next_key is None:
            return files
        query = msgspec.structs.replace(query, after=page.next_key)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.long
async def test_a_library_as_it_was_is_the_read_model_rebuilt_up_to_there(
    log: Log, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    dice = random.Random(seed)
    # More than one chunk, and ends of chunks anywhere.
    monkeypatch.setattr(owner_log, "CHUNK", dice.choice((1, 7, 2_000)))
    monkeypatch.setattr(owner_log.library_events, "__kwdefaults__", {"limit": owner_log.CHUNK})
    await log.append(Library(seed).history(180))
    events = await log.reader.read(0, 10_000)
    await log.follow(READ_MODELS["audit_trail_v2"])
    cuts = [0, events[-1].position, *(dice.choice(events).position for _ in range(4))]
    cuts.append(dice.choice(events).position - 1)
    for cut in cuts:
        await rebuild_up_to(log, cut)
        for owner in OWNERS:
            query = any_query(dice)
            then = await all_then(log, owner, query, cut)
            assert then == await all_now(log, owner, query), (cut, owner, query)
            stats, reached = await travel(log).stats(owner, cut)
            assert reached == cut
            live = (await storage_stats.stats(log.api, owner)).found
            live.recent = (await file_list.recent(log.api, owner, public_base_url=URL)).found
            assert msgspec.to_builtins(stats) == msgspec.to_builtins(live), (cut, owner)
            known = {
                event.stream
                for event in events
                if event.owner == owner and event.stream.startswith("media_")
            }
            for stream in dice.sample(sorted(known), min(5, len(known))):
                live_file = await file_list.by_id(log.api, owner, stream, public_base_url=URL)
                file = await travel(log).file([owner], stream, cut, user_id="nobody")
                assert file == live_file.found


@pytest.fixture
async def story(log: Log) -> tuple[Log, list[Recorded]]:
    """One file uploaded, another, the first deleted; a minute between."""
    first = uploaded("t:ls_a", 1, at=START)
    second = uploaded("t:ls_a", 2, at=START + 2 * MINUTE)
    await log.append([*first, *second, deleted(first, at=START + 4 * MINUTE)])
    await log.follow()
    return log, list(await log.reader.read(0, 10))


async def test_a_time_is_the_last_position_that_is_not_later(
    story: tuple[Log, list[Recorded]],
) -> None:
    log, events = story
    then = travel(log)
    at = {event.position: event.at for event in events}
    for position, time in at.items():
        assert await then.position(time.isoformat()) == position
        early = (time - timedelta(microseconds=1)).isoformat()
        assert await then.position(early) == max((p for p in at if p < position), default=0)
    assert await then.position("2001-01-01T00:00:00Z") == 0
    assert await then.position((START + timedelta(days=900)).isoformat()) == events[-1].position
    shown = await then.page("t:ls_a", FileQuery(), events[3].position)
    assert [file.id for file in shown.files] == [media_id(2), media_id(1)]
    shown = await then.page("t:ls_a", FileQuery(), events[4].position)
    assert [file.id for file in shown.files] == [media_id(2)]


async def test_times_that_do_not_rise_with_positions_leave_nothing_out(log: Log) -> None:
    """Commands take their time when they begin: one that took a minute stands behind later ones."""
    offsets = [0, 50, 10, 70, 65, 200, 120, 119, 260, 200]
    dice = random.Random(1)
    facts = [
        uploaded("t:ls_a", number, at=START + timedelta(seconds=offset))[0]
        for number, offset in enumerate(offsets)
    ]
    await log.append(facts)
    events = await log.reader.read(0, 100)
    for _ in range(60):
        time = START + timedelta(seconds=dice.randrange(-5, 300))
        wanted = max((event.position for event in events if event.at <= time), default=0)
        assert await owner_log.position_at(log.api, time) == wanted


async def test_what_lies_ahead_is_refused(story: tuple[Log, list[Recorded]]) -> None:
    log, events = story
    with pytest.raises(InvalidField, match="future"):
        await travel(log, now=START).position((START + MINUTE).isoformat())
    assert await travel(log, now=START).position(START.isoformat()) == events[0].position
    far = await log.reader.horizon() + 10**12
    with pytest.raises(InvalidField, match="ahead of the log"):
        await travel(log).position(str(far))


async def test_a_library_with_too_many_events_is_refused_and_one_below_is_not(log: Log) -> None:
    await log.append_together([fact for n in range(40) for fact in uploaded("t:ls_a", n)])
    await log.follow()
    position = (await log.reader.read(0, 100))[-1].position
    with pytest.raises(AsOfTooLarge) as refusal:
        await travel(log, at_most=39).page("t:ls_a", FileQuery(), position)
    assert refusal.value.details == {"limit": 39}
    with pytest.raises(AsOfTooLarge):
        await travel(log, at_most=39).stats("t:ls_a", position)
    page = await travel(log, at_most=40).page("t:ls_a", FileQuery(), position)
    assert len(page.files) == 20
    # What others did costs nothing, and one file costs its own events.
    assert (await travel(log, at_most=1).page("t:ls_b", FileQuery(), position)).files == []
    assert await travel(log, at_most=1).file(["t:ls_a"], media_id(1), position, user_id="x")


async def test_who_waits_too_long_for_a_turn_is_told_so(
    story: tuple[Log, list[Recorded]], monkeypatch: pytest.MonkeyPatch
) -> None:
    log, events = story
    monkeypatch.setattr("api.time_travel.TURN_SECONDS", 0.05)
    then = travel(log)
    async with then._turn(), then._turn():
        with pytest.raises(AsOfBusy):
            await then.page("t:ls_a", FileQuery(), events[-1].position)
    assert (await then.page("t:ls_a", FileQuery(), events[-1].position)).files


async def test_the_past_of_a_removed_workspace_is_told_to_nobody(log: Log) -> None:
    await log.append(uploaded("t:ls_a", 1))
    position = await log.append([removed("t:ls_a", START + MINUTE)])
    await log.follow()
    before = position - 1
    assert (await travel(log).page("t:ls_a", FileQuery(), before)).files == []
    assert (await travel(log).stats("t:ls_a", before))[0].total_files == 0
    assert await travel(log).file(["t:ls_a"], media_id(1), before, user_id="user_1") is None


async def test_an_event_nobody_here_knows_ends_what_can_be_told(
    story: tuple[Log, list[Recorded]],
) -> None:
    log, events = story
    await log.execute(
        "UPDATE events SET type = 'media_file.file_rewritten.v7' WHERE position = %s",
        events[4].position,
    )
    page = await travel(log).page("t:ls_a", FileQuery(), events[4].position)
    assert page.position < events[4].position
    assert [file.id for file in page.files] == [media_id(2), media_id(1)]


async def test_the_log_gives_an_owner_nothing_of_another(story: tuple[Log, list[Recorded]]) -> None:
    log, events = story
    last = events[-1].position
    types: tuple[type[Event], ...] = READ_MODELS["file_list_v2"].event_types  # type: ignore[assignment]
    found = await owner_log.library_events(log.api, "t:ls_b", types, after=0, upto=last)
    assert (found.events, found.scanned) == ([], 0)
    streams = await owner_log.streams_of(log.api, "t:ls_b", [media_id(1)], upto=last)
    assert streams == {media_id(1): []}
    assert (await travel(log).page("t:ls_b", FileQuery(), last)).files == []

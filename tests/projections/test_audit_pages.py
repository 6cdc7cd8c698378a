"""Pages of the audit trail against what the log itself says."""

import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from domain.event import Recorded
from projections import audit_pages
from projections.audit_pages import AuditEntry, AuditQuery
from tests.projections.conftest import Log
from tests.projections.histories import Library, recorded, requested, uploaded

Keep = Callable[[Recorded], bool]


async def everything(log: Log, owner: str, query: AuditQuery) -> list[AuditEntry]:
    """All pages, one after the other."""
    entries: list[AuditEntry] = []
    for _ in range(10_000):
        page = (await audit_pages.page(log.api, owner, query)).found
        assert len(page.items) <= query.limit
        entries += page.items
        if page.next_below is None:
            return entries
        query = msgspec.structs.replace(query, below=page.next_below)
    raise AssertionError("pages without an end")


def disordered(history: Sequence[Recorded], seed: int) -> list[Recorded]:
    """Times as they are: they do not quite rise with positions."""
    dice = random.Random(seed)
    return [
        msgspec.structs.replace(
            event,
            at=event.at - timedelta(seconds=dice.choice((0, 0, 70, 7200))),
            actor=dice.choice(("user:user_1", "user:user_2", "system:jobs")),
            command_id=f"cmd_{number // 3}",
            correlation_id=f"req_{number}",
        )
        for number, event in enumerate(history)
    ]


@pytest.fixture
async def trail(log: Log) -> tuple[Log, list[Recorded]]:
    await log.append(disordered(list(Library(3).history(250)), 3))
    await log.follow()
    return log, list(await log.reader.read(0, 10_000))


def cases(events: Sequence[Recorded]) -> list[tuple[dict[str, Any], Keep]]:
    middle, late = events[len(events) // 3], events[2 * len(events) // 3]
    begin, end = sorted((middle.at, late.at))
    deleted = "media_file.file_deleted.v1"
    stored: Callable[[Recorded], str] = lambda one: one.event.TYPE  # noqa: E731

    def between(one: Recorded, since: datetime, until: datetime) -> bool:
        return since <= one.at < until

    return [
        ({}, lambda _: True),
        ({"stream": middle.stream}, lambda one: one.stream == middle.stream),
        ({"actor": "user:user_2"}, lambda one: one.actor == "user:user_2"),
        ({"types": (deleted,)}, lambda one: stored(one) == deleted),
        (
            {"types": (deleted, stored(middle), stored(late))},
            lambda one: stored(one) in {deleted, stored(middle), stored(late)},
        ),
        ({"since": begin}, lambda one: one.at >= begin),
        ({"until": end}, lambda one: one.at < end),
        ({"since": begin, "until": end}, lambda one: between(one, begin, end)),
        ({"since": end, "until": begin}, lambda _: False),
        (
            {"first": middle.position, "below": late.position},
            lambda one: middle.position <= one.position < late.position,
        ),
        (
            {"actor": "user:user_1", "types": (deleted,), "since": begin},
            lambda one: one.actor == "user:user_1" and stored(one) == deleted and one.at >= begin,
        ),
        (
            {"stream": middle.stream, "actor": "user:user_1", "types": (stored(middle),)},
            lambda one: (
                one.stream == middle.stream
                and one.actor == "user:user_1"
                and stored(one) == stored(middle)
            ),
        ),
    ]


@pytest.mark.parametrize("scanned", [2_000, 7])
async def test_every_filter_gives_what_the_log_holds_newest_first(
    trail: tuple[Log, list[Recorded]], monkeypatch: pytest.MonkeyPatch, scanned: int
) -> None:
    log, events = trail
    monkeypatch.setattr(audit_pages, "SCANNED", scanned)
    audit_pages._sql.cache_clear()
    for filters, keep in cases(events):
        for owner in ("t:ls_a", "u:user_1"):
            wanted = [str(e.position) for e in reversed(events) if e.owner == owner and keep(e)]
            for limit in (3, 1000):
                query = AuditQuery(limit=limit, **filters)
                found = await everything(log, owner, query)
                assert [entry.position for entry in found] == wanted, filters
    audit_pages._sql.cache_clear()


async def test_an_entry_says_who_what_when_and_in_which_request(log: Log) -> None:
    (event, _) = uploaded("t:ls_a", 1)
    position = await log.append([msgspec.structs.replace(event, correlation_id="req_7")])
    await log.follow()
    answer = await audit_pages.page(log.api, "t:ls_a", AuditQuery())
    assert answer.position == position
    (entry,) = answer.found.items
    told = msgspec.json.decode(msgspec.json.encode(entry))
    data = told.pop("data")
    assert told == {
        "position": str(position),
        "at": "2026-04-29T10:00:01.000Z",
        "type": "media_file.upload_requested.v1",
        "subject": event.stream,
        "version": 1,
        "actor": "user:user_1",
        "access": "workspace",
        "commandId": "cmd_1",
        "requestId": "req_7",
    }
    assert data["fileName"] == "hero.webp"


async def test_a_page_stays_whole_while_events_come(log: Log) -> None:
    for number in range(6):
        await log.append(uploaded("t:ls_a", number))
    await log.follow()
    first = (await audit_pages.page(log.api, "t:ls_a", AuditQuery(limit=5))).found
    await log.append([recorded("t:ls_a", "media_new", 1, first_time(), requested("t:ls_a", 9))])
    await log.follow()
    rest = await everything(log, "t:ls_a", AuditQuery(limit=5, below=first.next_below))
    positions = [int(entry.position) for entry in [*first.items, *rest]]
    assert positions == sorted(set(positions), reverse=True)
    assert len(positions) == 12


def first_time() -> datetime:
    return uploaded("t:ls_a", 0)[0].at

"""`GET /internal/events`: integration events out of the log, page by page, and waiting for more."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from adapters import log_pages
from adapters.postgres import open_pool
from adapters.settings import Settings
from tests.kit.http import ApiClient, new_id, refused
from tests.kit.log import event_store
from tests.projections.histories import uploaded
from tests.workers.processes import settled


class Subscriber:
    """Somebody who reads on from where the log stands now."""

    def __init__(self, http: httpx.AsyncClient, after: str) -> None:
        self.http = http
        self.after = after

    async def page(self, **parameters: Any) -> dict[str, Any]:
        answer = await self.http.get(
            "/internal/events", params={"after": self.after, **parameters}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        page: dict[str, Any] = answer.json()
        assert set(page) == {"items", "next", "more"}
        assert int(page["next"]) >= int(self.after)
        return page

    async def next(self, **parameters: Any) -> list[dict[str, Any]]:
        page = await self.page(**parameters)
        self.after = page["next"]
        return list(page["items"])

    async def until(self, count: int, **parameters: Any) -> list[dict[str, Any]]:
        """So many events: another test's transaction may hide the newest for a moment."""
        found: list[dict[str, Any]] = []
        while len(found) < count:
            found += await self.next(wait=5, **parameters)
        return found


@pytest.fixture
async def subscriber(internal: httpx.AsyncClient, settings: Settings) -> Subscriber:
    """From behind all that the tests before this one did."""
    async with await open_pool(settings.database_url, role="media_worker", size=1) as pool:
        await settled(pool)
    after = "0"
    while True:
        page = (await internal.get("/internal/events", params={"after": after})).json()
        after = page["next"]
        if not page["more"]:
            return Subscriber(internal, after)


async def test_uploads_and_deletions_are_told_in_order_with_who_did_them(
    client: ApiClient, subscriber: Subscriber
) -> None:
    file = await client.upload(headers={"x-request-id": "req-upload"}, fileName="a.png")
    await client.presign()
    await client.delete(file["id"], headers={"x-request-id": "req-delete"})
    events = await subscriber.until(2)
    assert [event["type"] for event in events] == ["media.uploaded", "media.deleted"]
    assert {event["subject"] for event in events} == {file["id"]}
    assert {event["tenantid"] for event in events} == {client.tenant}
    up, gone = (event["data"] for event in events)
    assert {name: up[name] for name in ("fileName", "key", "createdAt", "uploadedBy")} == {
        name: file[name] for name in ("fileName", "key", "createdAt", "uploadedBy")
    }
    assert (gone["actor"], gone["requestId"]) == (f"user:{client.user}", "req-delete")
    assert gone["reason"] == "user"
    assert int(events[0]["sequence"]) < int(events[1]["sequence"]) <= int(subscriber.after)


async def test_pages_of_any_size_give_the_same_events_once(
    client: ApiClient, subscriber: Subscriber
) -> None:
    files = [await client.upload() for _ in range(5)]
    begin = subscriber.after
    all_at_once = await subscriber.until(5)
    for limit in (1, 2, 5, 6):
        again = Subscriber(subscriber.http, begin)
        paged: list[dict[str, Any]] = []
        while len(paged) < 5:
            page = await again.next(limit=limit)
            assert len(page) <= limit
            paged += page
        assert paged == all_at_once
    assert [event["subject"] for event in paged] == [file["id"] for file in files]


async def test_types_and_a_workspace_are_picked_and_the_next_position_moves_all_the_same(
    client: ApiClient, stranger: ApiClient, subscriber: Subscriber
) -> None:
    begin = subscriber.after
    mine, foreign = await client.upload(), await stranger.upload()
    await client.delete(mine["id"])
    whole = await subscriber.until(3)

    async def picked(**parameters: Any) -> list[tuple[str, str]]:
        other = Subscriber(subscriber.http, begin)
        found = await other.next(**parameters)
        while int(other.after) < int(whole[-1]["sequence"]):
            found += await other.next(**parameters)
        return [(event["type"], event["subject"]) for event in found]

    assert await picked(types="media.deleted") == [("media.deleted", mine["id"])]
    assert await picked(tenant=stranger.tenant) == [("media.uploaded", foreign["id"])]
    assert await picked(types="media.rejected,media.expired") == []
    assert await picked(tenant=client.tenant, types="media.uploaded,media.deleted") == [
        ("media.uploaded", mine["id"]),
        ("media.deleted", mine["id"]),
    ]


async def test_who_waits_is_answered_by_the_next_event_that_matches(
    client: ApiClient, subscriber: Subscriber
) -> None:
    waiting = asyncio.create_task(subscriber.page(wait=30, types="media.deleted"))
    others = [asyncio.create_task(subscriber.page(wait=30)) for _ in range(20)]
    file = await client.upload()
    for page in await asyncio.gather(*others):
        assert [event["type"] for event in page["items"]] == ["media.uploaded"]
    assert not waiting.done()
    await client.delete(file["id"])
    page = await waiting
    assert [event["subject"] for event in page["items"]] == [file["id"]]


async def test_nothing_comes_after_the_wait(subscriber: Subscriber) -> None:
    page = await subscriber.page(wait=1, tenant=new_id("nobody"))
    assert (page["items"], page["more"]) == ([], False)


async def test_a_page_looks_at_so_many_events_and_no_more(
    internal: httpx.AsyncClient,
    settings: Settings,
    subscriber: Subscriber,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_pages, "SCANNED", 10)
    async with event_store(settings.database_url, "media_worker") as store:
        for number in range(1000, 1012):
            last = await store.append(uploaded("t:ls_long", number))
    pages = 0
    while int(subscriber.after) < last:
        page = await subscriber.page(types="media.rejected")
        assert page["items"] == []
        if page["next"] != subscriber.after:
            pages += 1
        subscriber.after = page["next"]
    assert pages >= 3


@pytest.fixture
async def slow_writer(settings: Settings) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        yield connection


async def test_an_event_that_commits_late_is_never_behind_a_position_already_read(
    settings: Settings, subscriber: Subscriber, slow_writer: psycopg.AsyncConnection
) -> None:
    """The writer takes its place in the order first, commits last: the reader waits for it."""
    await slow_writer.execute("SELECT pg_current_xact_id()")
    async with event_store(settings.database_url, "media_worker") as store:
        await store.append(uploaded("t:ls_late", 2000))
    assert await subscriber.next(tenant="ls_late") == []
    facts = uploaded("t:ls_late", 2001)
    for fact in facts:
        await slow_writer.execute(
            "INSERT INTO events SELECT (pg_current_xact_id()::text::bigint << 16) + log_epoch()"
            " + %s, %s, %s, %s, %s, %s, 'user:u', 'workspace', 'c', 'r', %s::jsonb",
            (
                fact.version,
                fact.version,
                fact.at,
                fact.stream,
                fact.event.TYPE,
                fact.owner,
                msgspec.json.encode(fact.event).decode(),
            ),
        )
    await slow_writer.commit()
    found = await subscriber.until(2, tenant="ls_late")
    assert [event["subject"] for event in found] == [
        "media_" + "0" * 12 + "2001",
        "media_" + "0" * 12 + "2000",
    ]


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"after": "-1"}, "after"),
        ({"after": "1e3"}, "after"),
        ({"after": str(2**63)}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"types": "media.uploaded,media.exploded"}, "types"),
        ({"types": ""}, "types"),
        ({"tenant": "users"}, "tenant"),
        ({"tenant": "a.b"}, "tenant"),
        ({"wait": "31"}, "wait"),
        ({"wait": "soon"}, "wait"),
    ],
)
async def test_a_wrong_parameter_is_refused(
    internal: httpx.AsyncClient, parameters: dict[str, str], field: str
) -> None:
    answer = await internal.get("/internal/events", params=parameters)
    refused(answer, 400, "INVALID_FIELD", field)


async def test_many_who_wait_take_no_connection_from_those_who_ask(
    settings: Settings, subscriber: Subscriber, client: ApiClient
) -> None:
    many = 5 * settings.database_pool_size
    waiting = [asyncio.create_task(subscriber.page(wait=30)) for _ in range(many)]
    await subscriber.page(wait=1, tenant=new_id("nobody"))
    assert (await subscriber.http.get("/internal/failures")).status_code == 200
    await client.upload()
    assert all([(await page)["items"] for page in waiting])

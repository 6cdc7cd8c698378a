"""`GET /files/events`: what browsers that look at a library are told, and what never."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import psycopg
import pytest
from litestar.types import ASGIApp

from adapters.postgres_event_store import PostgresEventStore
from adapters.runtime import Runtime
from adapters.settings import Settings
from api import app, library_changes, live_library
from api.draining_server import FIRST_REQUEST_SECONDS
from api.live_library import BUFFER, MAX_PER_USER, Listener, LiveLibrary
from api.process import DRAIN_SECONDS
from projections import library_changes as changes
from tests.api.test_process import started
from tests.kit.http import ApiClient, followed, new_id, refused, state_of
from tests.kit.log import event_store
from tests.kit.sse import EventSource, listening, streaming
from tests.projections.histories import deleted, uploaded
from tests.workers.processes import until


@pytest.fixture(scope="module")
async def asgi(runtime: Runtime, _followers: None) -> ASGIApp:
    return app.create_app(runtime)


@pytest.fixture(scope="module")
async def url(asgi: ASGIApp) -> AsyncIterator[str]:
    async with listening(asgi) as address:
        yield address


async def test_what_happens_to_a_library_is_told_as_the_list_shows_it(
    url: str, client: ApiClient
) -> None:
    async with streaming(url, client) as source:
        assert source.response.headers["content-type"].startswith("text/event-stream")
        assert source.response.headers["cache-control"] == "no-store"
        file = await client.upload(fileName="a.png")
        (added,) = await source.got(1)
        # Before anything is waited for: what is told can be listed.
        listed = (await client.send("GET", "/files")).json()["items"]
        assert (added.event, added.data) == ("file.added", file)
        assert listed == [file]
        await client.delete(file["id"])
        _, removed = await source.got(2)
        assert (removed.event, removed.data) == ("file.removed", {"id": file["id"]})
        assert int(removed.id) > int(added.id)
        at_the_id = await client.send("GET", "/files", headers={"media-position": removed.id})
        assert at_the_id.json()["items"] == []


async def test_uploads_that_never_become_files_are_not_told(url: str, client: ApiClient) -> None:
    async with streaming(url, client) as source:
        pending = await client.presign()
        await client.delete(pending["mediaId"])
        await client.upload(fileName="b.png")
        assert [event.data["fileName"] for event in await source.got(1)] == ["b.png"]


@pytest.mark.long
async def test_nothing_of_another_workspace_or_person_ever_appears(
    url: str, http: httpx.AsyncClient, settings: Settings
) -> None:
    """Everybody listens to all they may listen to, while all write at random."""
    people = [
        ApiClient(http, tenant=new_id("ls") if number % 4 else None, user=new_id("user"))
        for number in range(16)
    ]
    files = {person.user: set[str]() for person in people}
    own = {person.user: set[str]() for person in people}
    async with AsyncExitStack() as stack:
        sources = {
            person.user: await stack.enter_async_context(streaming(url, person))
            for person in people
        }
        personal = {
            person.user: await stack.enter_async_context(streaming(url, person, scope="user"))
            for person in people
        }

        async def write(person: ApiClient) -> None:
            for _ in range(4):
                scope = random.choice(["tenant", "user"]) if person.tenant else "user"
                file = await person.upload(scope=scope)
                (files if scope == "tenant" else own)[person.user].add(file["id"])
                if random.random() < 0.3:
                    await person.delete(file["id"])

        for _ in range(2):
            await asyncio.gather(*(write(person) for person in people))
        for person in people:
            user = person.user
            wanted = files[user] if person.tenant else own[user]
            await sources[user].until(lambda one, wanted=wanted: seen(one) >= wanted)  # type: ignore[misc]
            await personal[user].until(lambda one, user=user: seen(one) >= own[user])  # type: ignore[misc]
        for person in people:
            user = person.user
            assert seen(sources[user]) == (files[user] if person.tenant else own[user])
            assert seen(personal[user]) == own[user]


def seen(source: EventSource) -> set[str]:
    return {event.data["id"] for event in source.events}


async def test_a_client_cut_during_fifty_changes_ends_with_the_same_library(
    url: str, client: ApiClient, settings: Settings
) -> None:
    owner = f"t:{client.tenant}"
    async with (
        event_store(settings.database_url, "media_worker") as store,
        streaming(url, client) as whole,
    ):
        first = Facts(store, owner)
        async with streaming(url, client) as cut:
            await first.change(20)
            await cut.until(lambda one: set(one.files) == first.alive)
        await first.change(50)
        await whole.until(lambda one: set(one.files) == first.alive)
        async with streaming(url, client, last_id=cut.last_id, files=cut.files) as again:
            await first.change(5)
            await again.until(lambda one: set(one.files) == first.alive)
            await whole.until(lambda one: set(one.files) == first.alive)
            assert again.files == whole.files
            assert "resync" not in again.names
            ids = [int(event.id) for event in again.events]
            assert ids == sorted(set(ids))
            assert min(ids) > int(cut.last_id)
    listed = {file["id"]: file for file in await client.listed(limit=100)}
    assert listed == whole.files


class Facts:
    """Uploads and deletions put straight into the log."""

    number = random.randrange(10**6) * 1000

    def __init__(self, store: PostgresEventStore, owner: str) -> None:
        self.store = store
        self.owner = owner
        self.alive: set[str] = set()
        self._files: list[list[Any]] = []

    async def change(self, count: int) -> None:
        for _ in range(count):
            if self._files and random.random() < 0.4:
                file = self._files.pop(random.randrange(len(self._files)))
                await self.store.append([deleted(file)])
                self.alive.discard(file[0].stream)
            else:
                Facts.number += 1
                file = uploaded(self.owner, Facts.number)
                await self.store.append(file)
                self._files.append(file)
                self.alive.add(file[0].stream)


async def test_after_the_position_of_a_list_nothing_is_missed(url: str, client: ApiClient) -> None:
    await client.upload(fileName="before.png")
    listed = await client.get("/files")
    await client.upload(fileName="between.png")
    after = listed.headers["media-position"]
    assert await client.names() == ["between.png", "before.png"]
    async with streaming(url, client, after=after) as source:
        await client.upload(fileName="live.png")
        events = await source.got(2)
    assert [event.data["fileName"] for event in events] == ["between.png", "live.png"]


async def test_who_missed_too_much_is_told_to_list_anew_and_goes_on_from_there(
    url: str, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_library, "MAX_REPLAYED", 2)
    begin = (await client.get("/files")).headers["media-position"]
    for _ in range(3):
        await client.upload()
    assert len(await client.listed()) == 3
    async with streaming(url, client, last_id=begin) as source:
        (event,) = await source.got(1)
        assert (event.event, event.data) == ("resync", {"reason": "too_old"})
        assert len(await client.listed()) == 3
        file = await client.upload()
        assert (await source.got(2))[1].data == file
    async with streaming(url, client, last_id=event.id) as source:
        assert [one.data for one in await source.got(1)] == [file]


async def test_a_removed_workspace_is_told_to_list_anew(
    url: str, client: ApiClient, stranger: ApiClient, internal: httpx.AsyncClient
) -> None:
    await client.upload()
    async with streaming(url, client) as source, streaming(url, stranger) as other:
        assert (await internal.delete(f"/internal/tenants/{client.tenant}")).status_code == 202
        await source.until(lambda one: one.ended)
        last = source.events[-1]
        assert (last.event, last.data) == ("resync", {"reason": "removed"})
        assert await client.listed() == []
        file = await stranger.upload()
        assert [event.data for event in await other.got(1)] == [file]


async def test_a_silent_stream_has_heartbeats_that_carry_the_position(
    url: str, client: ApiClient, stranger: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_changes, "HEARTBEAT_SECONDS", 0.05)
    async with streaming(url, client) as source:
        begin = source.last_id
        await stranger.upload()
        await source.until(lambda one: one.comments > 2 and int(one.last_id) > int(begin))
        assert source.events == []


async def test_a_client_that_takes_nothing_gets_a_bounded_buffer_and_then_a_resync(
    asgi: ASGIApp, client: ApiClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its connection is stuffed from the second message on, until it reads again."""
    monkeypatch.setattr(library_changes, "SEND_SECONDS", 100.0)
    reading, gone = asyncio.Event(), asyncio.Event()
    sent: list[bytes] = []

    async def send(message: Any) -> None:
        if message["type"] == "http.response.body":
            if sent:
                await reading.wait()
            sent.append(message["body"])

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    headers = [(name.encode(), value.encode()) for name, value in client.headers.items()]
    scope: Any = {
        "type": "http",
        "method": "GET",
        "path": "/files/events",
        "raw_path": b"/files/events",
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
        "scheme": "http",
        "server": ("media", 80),
        "client": ("127.0.0.1", 1),
        "root_path": "",
        "extensions": {},
        "asgi": {"version": "3.0", "spec_version": "2.3"},
    }
    serving = asyncio.ensure_future(asgi(scope, receive, send))
    await until(lambda: _yes(sent))
    live: LiveLibrary = state_of(asgi)["live_library"]
    (listener,) = live._listeners[f"t:{client.tenant}"]
    async with event_store(settings.database_url, "media_worker") as store:
        facts = Facts(store, f"t:{client.tenant}")

        async def is_given_up() -> bool:
            # How many go out with the message that is stuck, nobody knows.
            await facts.change(BUFFER // 4)
            return listener.resync is not None

        await until(is_given_up)
    reading.set()
    await asyncio.wait_for(serving, 60)
    assert sent[-2].startswith(b"id: ")
    assert b'event: resync\ndata: {"reason":"slow"}' in sent[-2]
    assert sent[-1] == b""
    assert len(b"".join(sent)) < 2 * BUFFER * 1000


async def _yes(value: object) -> bool:
    return bool(value)


@pytest.mark.parametrize(
    ("parameters", "headers", "field"),
    [
        ({"scope": "everyone"}, {}, "scope"),
        ({"after": "-1"}, {}, "after"),
        ({"after": str(2**63)}, {}, "after"),
        ({}, {"last-event-id": "yesterday"}, "Last-Event-ID"),
    ],
)
async def test_a_wrong_parameter_is_refused(
    client: ApiClient, parameters: dict[str, str], headers: dict[str, str], field: str
) -> None:
    answer = await client.send("GET", "/files/events", params=parameters, headers=headers)
    refused(answer, 400, "INVALID_FIELD", field)


async def test_it_needs_the_permission_of_the_list(client: ApiClient) -> None:
    outsider = client.but(permissions="media:files.write")
    refused(await outsider.send("GET", "/files/events"), 403, "FORBIDDEN")
    refused(await client.but(key="wrong").send("GET", "/files/events"), 401, "UNAUTHORIZED")


async def test_one_person_cannot_take_all_the_streams_and_those_closed_are_free_again(
    url: str, client: ApiClient
) -> None:
    for _ in range(2):
        async with AsyncExitStack() as stack:
            for _ in range(MAX_PER_USER):
                source = await stack.enter_async_context(streaming(url, client))
                assert source.last_id
            async with streaming(url, client) as refused_one:
                await refused_one.until(lambda one: one.ended)
                assert (refused_one.events, refused_one.retry) == ([], "30000")
            async with streaming(url, client.but(user=new_id("user"))) as other:
                assert other.last_id
        await until(lambda: _served(url, client))


async def _served(url: str, client: ApiClient) -> bool:
    async with streaming(url, client) as source:
        return not source.ended and bool(source.last_id)


@pytest.mark.long
async def test_many_streams_take_no_connection_from_those_who_ask(
    url: str, http: httpx.AsyncClient, settings: Settings
) -> None:
    tenant = new_id("ls")
    async with AsyncExitStack() as stack:
        people = [
            ApiClient(http, tenant=tenant, user=new_id("user"))
            for _ in range(5 * settings.database_pool_size)
        ]
        sources = [await stack.enter_async_context(streaming(url, person)) for person in people]
        file = await people[0].upload()
        for source in sources:
            assert [event.data for event in await source.got(1)] == [file]


async def test_streams_live_through_a_loss_of_the_database(
    url: str, client: ApiClient, settings: Settings
) -> None:
    async with streaming(url, client) as source:
        async with await psycopg.AsyncConnection.connect(
            settings.database_url, autocommit=True
        ) as connection:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'media-api' AND datname = current_database()"
            )
        # The first commands after it may find a connection that died.
        while (await client.send("GET", "/files")).status_code != 200:
            pass
        file = await client.upload()
        assert [event.data for event in await source.got(1)] == [file]


async def test_a_mistake_in_the_one_reader_ends_the_streams_and_they_go_on_without_a_gap(
    url: str, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def mistaken(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake of ours")

    async with streaming(url, client) as source:
        with monkeypatch.context() as patch:
            patch.setattr(changes, "changes_of_all", mistaken)
            file = await client.upload()
            await source.until(lambda one: one.ended)
        async with streaming(url, client, last_id=source.last_id) as again:
            assert [event.data for event in await again.got(1)] == [file]
            other = await client.upload()
            assert (await again.got(2))[1].data == other


async def test_a_process_that_is_asked_to_stop_ends_its_streams_at_once(
    settings: Settings,
) -> None:
    async with (
        followed(settings),
        started("api.app", settings) as (child, url),
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        AsyncExitStack() as stack,
    ):
        client = ApiClient(http, tenant=new_id("ls"))
        sources = [
            await stack.enter_async_context(streaming(url, client.but(user=new_id("user"))))
            for _ in range(20)
        ]
        child.terminate()
        # Before the time requests may drain is over.
        async with asyncio.timeout(DRAIN_SECONDS - FIRST_REQUEST_SECONDS):
            for source in sources:
                await source.until(lambda one: one.ended)
            assert await child.wait() == 0


def test_a_full_buffer_is_given_up_whole() -> None:
    listener = Listener("t:ls_a", "user_1")
    for position in range(1, BUFFER + 1):
        listener.push(position, b"x")
    assert len(listener.take()) == BUFFER
    for position in range(BUFFER + 1, 2 * BUFFER + 3):
        listener.push(position, b"x")
    assert listener.resync == "slow"
    assert listener.take() == b""

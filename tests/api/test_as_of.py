"""`asOf` of list, stats and detail: a library as it was, over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest

from adapters.runtime import open_api_runtime
from adapters.settings import Settings
from api import app
from tests.kit.http import JSON, ApiClient, refused, serving


async def test_a_library_is_told_as_it_was_before_and_after_each_change(client: ApiClient) -> None:
    before = (await client.get("/files")).headers["media-position"]
    first = await client.upload(fileName="a.png")
    one = client.position
    second = await client.upload(fileName="b.png")
    two = client.position
    await client.delete(first["id"])
    three = client.position
    assert await client.listed(asOf=before) == []
    assert await client.listed(asOf=one) == [first]
    assert await client.listed(asOf=two) == [second, first]
    assert await client.listed(asOf=two, sort="fileName") == [first, second]
    assert await client.listed(asOf=two, search="A.P") == [first]
    assert await client.listed(asOf=three) == [second] == await client.listed()
    assert (await client.get(f"/files/{first['id']}", asOf=two)).json() == first
    refused(await client.get(f"/files/{first['id']}", asOf=three), 404, "MEDIA_NOT_FOUND")
    refused(await client.get(f"/files/{first['id']}", asOf=before), 404, "MEDIA_NOT_FOUND")
    stats = (await client.get("/files/stats", asOf=two)).json()
    assert (stats["totalFiles"], stats["recent"]) == (2, [second, first])
    answer = await client.get("/files", asOf=one)
    assert answer.headers["media-position"] == one


async def test_as_of_now_is_what_is_live(client: ApiClient) -> None:
    for number in range(3):
        await client.upload(fileName=f"{number}.png")
    await client.upload(isPublic=False)
    pending = await client.presign()
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for path in ("/files", "/files/stats", f"/files/{pending['mediaId']}"):
        live, then = await client.get(path), await client.get(path, asOf=now)
        assert (live.status_code, live.json()) == (then.status_code, then.json()), path
        at = await client.get(path, asOf=client.position)
        assert at.json() == live.json()


async def test_a_pending_upload_of_the_past_is_shown_to_its_uploader_only(
    client: ApiClient,
) -> None:
    pending = await client.presign()
    path, then = f"/files/{pending['mediaId']}", client.position
    await client.delete(pending["mediaId"])
    shown = await client.get(path, asOf=then)
    assert (shown.status_code, shown.json()["status"]) == (200, "pending_upload")
    colleague = client.but(user="user_colleague")
    refused(await colleague.get(path, asOf=then), 404, "MEDIA_NOT_FOUND")
    refused(await client.get(path, asOf=client.position), 404, "MEDIA_NOT_FOUND")


async def page_of(client: ApiClient, **parameters: Any) -> tuple[list[JSON], str | None]:
    answer = await client.get("/files", limit=2, **parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"], answer.json()["nextCursor"]


async def test_pages_of_the_past_stay_whole_while_the_library_changes(client: ApiClient) -> None:
    files = [await client.upload(fileName=f"{number}.png") for number in range(5)]
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    pages, cursor = await page_of(client, asOf=now)
    await asyncio.gather(*(client.delete(file["id"]) for file in files[:3]))
    await client.upload()
    while cursor is not None:
        more, cursor = await page_of(client, asOf=now, cursor=cursor)
        pages += more
    assert pages == files[::-1]


async def test_a_caller_s_clock_may_be_a_little_ahead(client: ApiClient) -> None:
    file = await client.upload()
    now = (datetime.now(UTC) + timedelta(seconds=3)).isoformat().replace("+00:00", "Z")
    assert await client.listed(asOf=now) == [file]


async def test_a_cursor_is_bound_to_its_moment(client: ApiClient) -> None:
    for _ in range(3):
        await client.upload()
    cursor = (await client.get("/files", asOf=client.position, limit=1)).json()["nextCursor"]
    live = (await client.get("/files", limit=1)).json()["nextCursor"]
    for parameters in (
        {"asOf": str(int(client.position) - 1), "cursor": cursor},
        {"cursor": cursor},
        {"asOf": client.position, "cursor": live},
        {"asOf": client.position, "cursor": cursor, "sort": "fileName"},
    ):
        refused(await client.get("/files", limit=1, **parameters), 400, "INVALID_CURSOR")


async def test_the_past_of_another_workspace_is_nobody_s(
    client: ApiClient, stranger: ApiClient
) -> None:
    file, personal = await client.upload(), await client.upload(scope="user")
    then = client.position
    for by in (stranger, stranger.but(permissions="system:owner")):
        assert await by.listed(asOf=then) == []
        assert (await by.get("/files/stats", asOf=then)).json()["totalFiles"] == 0
        refused(await by.get(f"/files/{file['id']}", asOf=then), 404, "MEDIA_NOT_FOUND")
    assert await client.listed(asOf=then) == [file]
    assert await client.listed(asOf=then, scope="user") == [personal]
    assert (await client.get(f"/files/{personal['id']}", asOf=then)).json() == personal
    colleague = client.but(user="user_colleague")
    refused(await colleague.get(f"/files/{personal['id']}", asOf=then), 404, "MEDIA_NOT_FOUND")


async def test_a_removed_workspace_has_no_past(
    client: ApiClient, internal: httpx.AsyncClient
) -> None:
    file = await client.upload()
    then = client.position
    removed = await internal.delete(f"/internal/tenants/{client.tenant}")
    assert removed.status_code == 202
    assert await client.listed(asOf=then) == []
    assert (await client.get("/files/stats", asOf=then)).json()["totalFiles"] == 0
    refused(await client.get(f"/files/{file['id']}", asOf=then), 404, "MEDIA_NOT_FOUND")


async def test_the_bin_has_no_past(client: ApiClient) -> None:
    answer = await client.get("/files", status="deleted", asOf="1")
    refused(answer, 400, "INVALID_FIELD", "asOf")


async def test_what_is_in_the_bin_was_a_file_before_and_is_one_again(client: ApiClient) -> None:
    file = await client.upload()
    uploaded = client.position
    await client.delete(file["id"])
    deleted = client.position
    restored = await client.send("POST", f"/files/{file['id']}/restore")
    assert restored.status_code == 200, restored.text
    changed = await client.send("PATCH", f"/files/{file['id']}", json={"isPublic": False})
    assert changed.status_code == 200, changed.text
    assert await client.listed(asOf=uploaded) == [file]
    assert await client.listed(asOf=deleted) == []
    refused(await client.get(f"/files/{file['id']}", asOf=deleted), 404, "MEDIA_NOT_FOUND")
    assert await client.listed(asOf=client.position) == await client.listed()
    assert (await client.listed(asOf=client.position))[0]["isPublic"] is False


async def test_what_lies_ahead_is_refused_and_what_was_before_is_empty(client: ApiClient) -> None:
    await client.upload()
    ahead = str(int(client.position) + 10**15)
    for text in ("2999-01-01T00:00:00Z", ahead):
        answer = await client.send("GET", "/files", params={"asOf": text})
        refused(answer, 400, "INVALID_FIELD", "asOf")
    for text in ("1999-01-01T00:00:00Z", "0"):
        answer = await client.get("/files", asOf=text)
        assert (answer.json()["items"], answer.headers["media-position"]) == ([], "0")
        assert (await client.get("/files/stats", asOf=text)).json()["totalFiles"] == 0


@pytest.fixture
async def bounded(settings: Settings, _followers: None) -> AsyncIterator[httpx.AsyncClient]:
    """The public app with `MEDIA_AS_OF_EVENTS=3`."""
    narrow = msgspec.structs.replace(settings, as_of_events=3)
    async with open_api_runtime(narrow) as runtime, serving(app.create_app(runtime)) as http:
        yield http


async def test_a_past_that_costs_too_much_is_refused_with_the_limit(
    client: ApiClient, bounded: httpx.AsyncClient
) -> None:
    files = [await client.upload() for _ in range(4)]
    by = ApiClient(bounded, tenant=client.tenant, user=client.user)
    for path in ("/files", "/files/stats"):
        body = refused(await by.get(path, asOf=client.position), 400, "AS_OF_TOO_LARGE")
        assert body["details"] == {"limit": 3}
    assert (await by.get(f"/files/{files[0]['id']}", asOf=client.position)).json() == files[0]

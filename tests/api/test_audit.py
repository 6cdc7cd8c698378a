"""`GET /audit`, its export, and who, what and from which request in a file's history."""

import csv
import io
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import httpx
import psycopg
import pytest
from litestar.types import ASGIApp

from adapters.runtime import Runtime
from adapters.settings import Settings
from api import app, audit_export
from domain.errors import DatabaseUnavailable
from projections import audit_pages
from tests.kit.http import ApiClient, new_id, refused
from tests.kit.log import event_store
from tests.kit.sse import listening
from tests.projections.histories import uploaded

AUDITOR = "media:audit.read"
JSON = dict[str, Any]


@pytest.fixture
def auditor(client: ApiClient) -> ApiClient:
    """Somebody of the client's workspace who may do nothing but read the trail."""
    return client.but(user=new_id("user"), permissions=AUDITOR)


@pytest.fixture(scope="module")
async def asgi(runtime: Runtime, _followers: None) -> ASGIApp:
    return app.create_app(runtime)


async def trail(by: ApiClient, **parameters: Any) -> list[JSON]:
    """All pages."""
    items: list[JSON] = []
    while True:
        answer = await by.get("/audit", **parameters)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        parameters["cursor"] = answer.json()["nextCursor"]
        if parameters["cursor"] is None:
            return items


def kinds(items: list[JSON]) -> list[str]:
    return [item["type"].split(".")[1] for item in items]


async def test_the_trail_says_who_did_what_in_which_request_newest_first(
    client: ApiClient, auditor: ApiClient
) -> None:
    file = await client.upload(fileName="plan.png")
    await client.delete(file["id"], headers={"x-request-id": "req-of-the-delete"})
    auditor.position = client.position
    items = await trail(auditor)
    assert kinds(items)[-3:] == ["file_deleted", "upload_completed", "upload_requested"]
    deleted = next(item for item in items if "file_deleted" in item["type"])
    assert deleted["subject"] == file["id"]
    assert deleted["actor"] == f"user:{client.user}"
    assert (deleted["access"], deleted["requestId"]) == ("workspace", "req-of-the-delete")
    assert deleted["commandId"]
    assert deleted["data"]["fileName"] == "plan.png"


async def test_filters_narrow_the_trail_and_pages_go_on_with_the_cursor(
    client: ApiClient, auditor: ApiClient
) -> None:
    colleague = client.but(user=new_id("user"))
    first = await client.upload()
    second = await colleague.upload()
    await colleague.delete(first["id"])
    auditor.position = colleague.position
    everything = await trail(auditor)
    assert await trail(auditor, limit=2) == everything
    by_colleague = await trail(auditor, actor=f"user:{colleague.user}", limit=1)
    assert by_colleague == [i for i in everything if i["actor"] == f"user:{colleague.user}"]
    assert {i["subject"] for i in await trail(auditor, file=second["id"])} == {second["id"]}
    some = await trail(auditor, type="media_file.upload_completed,media_file.file_deleted", limit=1)
    assert [k for k in kinds(everything) if k in {"upload_completed", "file_deleted"}] == kinds(
        some
    )
    middle = everything[len(everything) // 2]
    assert await trail(auditor, to=middle["position"]) == [
        item for item in everything if int(item["position"]) < int(middle["position"])
    ]
    since = await trail(auditor, **{"from": middle["at"]})
    assert since == [item for item in everything if item["at"] >= middle["at"]]
    assert (
        await trail(auditor, **{"from": "2001-01-01T00:00:00Z", "to": "2001-02-01T00:00:00Z"}) == []
    )


async def test_only_who_may_audit_reads_the_trail(client: ApiClient) -> None:
    for path in ("/audit", "/audit/export?format=csv"):
        refused(await client.send("GET", path), 403, "FORBIDDEN")
        everything_else = "media:files.read media:files.write media:webhooks.write"
        by = client.but(permissions=everything_else)
        refused(await by.send("GET", path), 403, "FORBIDDEN")
        for permissions in (AUDITOR, "system:owner"):
            answer = await client.but(permissions=permissions).send("GET", path)
            assert answer.status_code == 200
    refused(await client.but(permissions=AUDITOR).send("GET", "/files"), 403, "FORBIDDEN")


async def test_nothing_of_another_workspace_or_person_is_in_the_trail(
    client: ApiClient, stranger: ApiClient, auditor: ApiClient
) -> None:
    mine, theirs = await client.upload(), await stranger.upload()
    personal = await client.upload(scope="user")
    auditor.position = client.position
    assert {item["subject"] for item in await trail(auditor)} == {mine["id"]}
    assert await trail(auditor, file=theirs["id"]) == []
    assert await trail(auditor, file=personal["id"]) == []
    assert await trail(auditor, actor=f"user:{stranger.user}") == []
    own = client.but(permissions=AUDITOR)
    own.position = client.position
    assert {item["subject"] for item in await trail(own, scope="user")} == {personal["id"]}
    owner = stranger.but(permissions="system:owner")
    assert {item["subject"] for item in await trail(owner)} == {theirs["id"]}
    cursor = (await auditor.get("/audit", limit=1)).json()["nextCursor"]
    assert cursor
    foreign = stranger.but(permissions=AUDITOR)
    refused(await foreign.get("/audit", limit=1, cursor=cursor), 400, "INVALID_CURSOR")
    text = (await foreign.get("/audit/export", format="jsonl")).text
    assert mine["id"] not in text
    assert theirs["id"] in text


async def test_a_cursor_is_bound_to_its_filters(client: ApiClient, auditor: ApiClient) -> None:
    await client.upload()
    auditor.position = client.position
    cursor = (await auditor.get("/audit", limit=1)).json()["nextCursor"]
    other = await auditor.get("/audit", limit=1, cursor=cursor, actor="user:a")
    refused(other, 400, "INVALID_CURSOR")
    refused(await auditor.get("/audit", cursor=f"{cursor[:-2]}xx"), 400, "INVALID_CURSOR")
    listed = await client.upload()
    assert listed
    of_files = (await client.get("/files", limit=1)).json()["nextCursor"]
    if of_files is not None:
        refused(await auditor.get("/audit", cursor=of_files), 400, "INVALID_CURSOR")


async def test_history_says_what_each_event_changed(client: ApiClient) -> None:
    file = await client.upload(fileName="plan.png")
    await client.delete(file["id"], headers={"x-request-id": "req-9"})
    items = (await client.get(f"/files/{file['id']}/history")).json()["items"]
    changes = [{c["field"]: (c["from"], c["to"]) for c in item["changes"]} for item in items]
    assert changes[0]["fileName"] == (None, "plan.png")
    assert changes[0]["status"] == (None, "pending_upload")
    assert changes[1]["status"] == ("pending_upload", "uploaded")
    assert changes[2]["status"] == ("uploaded", "deleted")
    assert (items[2]["requestId"], items[2]["actor"]) == ("req-9", f"user:{client.user}")
    assert items[2]["commandId"]
    assert set(items[2]) >= {"position", "version", "type", "at", "actor", "access", "data"}


async def exported(by: ApiClient, to: str, **parameters: Any) -> httpx.Response:
    answer = await by.get("/audit/export", format=to, **parameters)
    assert answer.status_code == 200, answer.text
    return answer


async def test_an_export_is_the_whole_trail_with_a_last_line_that_says_so(
    client: ApiClient, auditor: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_export, "PAGE", 3)
    for _ in range(4):
        await client.upload()
    auditor.position = client.position
    everything = await trail(auditor)
    answer = await exported(auditor, "jsonl")
    assert answer.headers["content-disposition"].startswith('attachment; filename="audit-')
    *lines, last = [json.loads(line) for line in answer.text.splitlines()]
    assert lines == everything
    assert (last["type"], last["data"]) == ("export.complete", {"entries": len(everything)})
    assert last["position"] == answer.headers["media-position"]
    table = await exported(auditor, "csv")
    header, *rows, end = list(csv.reader(io.StringIO(table.text, newline="")))
    assert header[:4] == ["position", "at", "type", "subject"]
    as_read = [dict(zip(header, row, strict=True)) for row in rows]
    assert [row["position"] for row in as_read] == [item["position"] for item in everything]
    assert [json.loads(row["data"]) for row in as_read] == [item["data"] for item in everything]
    assert dict(zip(header, end, strict=True))["type"] == "export.complete"
    deletes = await exported(auditor, "jsonl", type="media_file.file_deleted")
    assert json.loads(deletes.text)["data"] == {"entries": 0}


@pytest.mark.parametrize("request_id", ["=1+1", "+1", "-1", "@SUM(A1)"])
async def test_no_field_of_a_table_is_a_formula(
    client: ApiClient, auditor: ApiClient, request_id: str
) -> None:
    name = '=cmd|"/c calc",\u2028x.png'
    await client.presign(fileName=name, headers={"x-request-id": request_id})
    auditor.position = client.position
    table = await exported(auditor, "csv")
    assert table.text.count("\r\n") == 3
    header, row, _ = list(csv.reader(io.StringIO(table.text, newline="")))
    read = dict(zip(header, row, strict=True))
    assert read["requestId"] == f"'{request_id}"
    assert json.loads(read["data"])["fileName"] == name
    assert not any(field.startswith(("=", "+", "-", "@", "\t", "\r")) for field in row)


@pytest.fixture
async def url(asgi: ASGIApp) -> AsyncIterator[str]:
    async with listening(asgi) as address:
        yield address


async def receive(url: str, by: ApiClient, into: bytearray) -> None:
    parameters = {"format": "jsonl"}
    async with (
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        http.stream("GET", "/audit/export", params=parameters, headers=by.headers) as answer,
    ):
        assert answer.status_code == 200
        async for chunk in answer.aiter_raw():
            into += chunk


async def test_an_export_that_breaks_off_can_be_told_from_a_whole_one(
    url: str, client: ApiClient, auditor: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_export, "PAGE", 2)
    for _ in range(3):
        await client.upload()
    auditor.position = client.position
    assert len(await trail(auditor)) == 6
    page, asked = audit_pages.page, 0

    async def failing(*arguments: Any) -> Any:
        nonlocal asked
        asked += 1
        if asked == 3:
            raise DatabaseUnavailable("The database does not answer.")
        return await page(*arguments)

    monkeypatch.setattr(audit_pages, "page", failing)
    received = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await receive(url, auditor, received)
    assert received.count(b"\n") == 4
    assert b"export.complete" not in received


async def test_a_database_that_is_away_at_the_beginning_is_an_error_as_any_other(
    auditor: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> Any:
        raise DatabaseUnavailable("The database does not answer.")

    monkeypatch.setattr(audit_pages, "page", failing)
    refused(await auditor.send("GET", "/audit/export?format=csv"), 500, "DB_ERROR")


@pytest.mark.long
async def test_an_export_of_a_long_trail_is_sent_in_pieces_and_holds_no_transaction(
    url: str, auditor: ApiClient, settings: Settings
) -> None:
    async with event_store(settings.database_url, "media_worker", size=1) as store:
        base = random.randrange(10**4) * 10_000
        facts = [
            fact
            for number in range(5_000)
            for fact in uploaded(f"t:{auditor.tenant}", base + number)
        ]
        position = await store.append(facts)
    auditor.position = str(position)
    while int((await auditor.get("/audit")).headers["media-position"]) < position:
        pass
    largest = lines = 0
    last = b""
    async with (
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        http.stream(
            "GET", "/audit/export", params={"format": "jsonl"}, headers=auditor.headers
        ) as answer,
    ):
        async for chunk in answer.aiter_raw():
            largest = max(largest, len(chunk))
            lines += chunk.count(b"\n")
            last = chunk
        async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
            cursor = await connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'media-api'"
                " AND datname = current_database() AND state LIKE 'idle in transaction%'"
            )
            assert await cursor.fetchone() == (0,)
    assert lines == 10_001
    assert b'"entries":10000' in last
    assert largest < 1_000_000

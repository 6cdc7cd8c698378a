"""Presign, PUT, complete, status."""

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, timedelta

import httpx
import msgspec
import psycopg
import pytest

from adapters.runtime import Runtime
from adapters.settings import Settings
from api import app
from tests.kit.http import SVG, ApiClient, asked, new_id, refused, serving
from tests.kit.library import PNG

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
At = Callable[..., ApiClient]


@pytest.fixture
def at(runtime: Runtime, client: ApiClient) -> At:
    """The same client, that much later."""

    def later(**duration: float) -> ApiClient:
        def clock() -> datetime:
            return runtime.clock() + timedelta(**duration)

        http = serving(app.create_app(msgspec.structs.replace(runtime, clock=clock)))
        return ApiClient(http, tenant=client.tenant, user=client.user)

    return later


async def test_a_presign_answers_with_everything_the_browser_needs(client: ApiClient) -> None:
    answer = await client.send("POST", "/upload/presign", json=asked())
    assert answer.status_code == 200
    body = answer.json()
    media_id = body["mediaId"]
    assert re.fullmatch(r"media_[A-Za-z0-9]{16}", media_id)
    nanoid = media_id.removeprefix("media_")
    assert re.fullmatch(rf"{client.tenant}/blog/\d{{4}}/\d\d/{nanoid}\.png", body["key"])
    assert body["method"] == "PUT"
    assert {name.lower() for name in body["headers"]} >= {"content-type", "if-none-match"}
    assert body["publicUrl"] == f"http://media.test/{body['key']}"
    assert STAMP.fullmatch(body["expiresAt"])
    assert int(answer.headers["media-position"]) > 0
    assert set(body) == {
        "mediaId", "key", "uploadUrl", "method", "headers", "publicUrl", "expiresAt"
    }  # fmt: skip


CONTRACT = (
    *("id", "tenantId", "serviceCode", "fileName", "fileSize", "mimeType", "category", "key"),
    *("status", "isPublic", "url", "uploadedBy"),
)


async def test_an_uploaded_file_has_the_shape_of_the_contract(client: ApiClient) -> None:
    file = await client.upload(fileName="Ünïcode ☃.png")
    stamps = [file.pop("createdAt"), file.pop("updatedAt")]
    assert all(STAMP.fullmatch(stamp) for stamp in stamps)
    key = file["key"]
    # What later features found in the file, or made from it, comes beside these.
    assert {name: file[name] for name in CONTRACT} == {
        "id": file["id"],
        "tenantId": client.tenant,
        "serviceCode": "blog",
        "fileName": "Ünïcode ☃.png",
        "fileSize": len(PNG),
        "mimeType": "image/png",
        "category": "image",
        "key": key,
        "status": "uploaded",
        "isPublic": True,
        "url": f"http://media.test/{key}",
        "uploadedBy": client.user,
    }


async def test_what_complete_answers_is_what_list_and_detail_show(client: ApiClient) -> None:
    file = await client.upload()
    assert await client.listed() == [file]
    assert (await client.get(f"/files/{file['id']}")).json() == file


async def test_a_second_complete_gives_the_same_answer(client: ApiClient) -> None:
    file = await client.upload()
    again = await client.complete(file["id"])
    assert again.status_code == 200
    assert again.json() == file


async def test_fifty_completes_at_once_record_one_event_and_answer_alike(
    client: ApiClient,
) -> None:
    presigned = await client.presign()
    await client.put(presigned)
    answers = await asyncio.gather(*(client.complete(presigned["mediaId"]) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    history = (await client.get(f"/files/{presigned['mediaId']}/history")).json()["items"]
    assert [item["type"] for item in history] == [
        "media_file.upload_requested.v1",
        "media_file.upload_completed.v1",
    ]


async def test_complete_before_the_bytes_is_409_and_works_afterwards(client: ApiClient) -> None:
    presigned = await client.presign()
    refused(await client.complete(presigned["mediaId"]), 409, "UPLOAD_INCOMPLETE")
    await client.put(presigned)
    assert (await client.complete(presigned["mediaId"])).status_code == 200


async def test_bytes_of_another_type_are_rejected_for_good(client: ApiClient) -> None:
    body = b"<html>" + b"x" * (len(PNG) - 6)
    presigned = await client.presign()
    await client.put(presigned, body)
    for _ in range(2):
        refused(await client.complete(presigned["mediaId"]), 409, "UPLOAD_MISMATCH")
    status = (await client.get(f"/upload/{presigned['mediaId']}")).json()
    assert status["status"] == "rejected"
    assert status["error"]["code"] == "UPLOAD_MISMATCH"
    refused(await client.get(f"/files/{presigned['mediaId']}"), 404, "MEDIA_NOT_FOUND")


async def test_a_type_off_the_list_or_too_large_is_refused(client: ApiClient) -> None:
    async def presign(**changes: object) -> httpx.Response:
        return await client.send("POST", "/upload/presign", json=asked(**changes))

    refused(await presign(contentType="text/html"), 400, "UNSUPPORTED_MIME")
    refused(await presign(contentType="IMAGE/PNG"), 400, "UNSUPPORTED_MIME")
    body = refused(await presign(fileSize=10 * 1024 * 1024 + 1), 400, "FILE_TOO_LARGE")
    assert body["details"]["limit"] == 10 * 1024 * 1024
    assert (await presign(fileSize=10 * 1024 * 1024)).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        'quote".html; x="y.png',
        "semi;colon=1.png",
        "percent%00%0d%0aSet-Cookie: a=b.png",
        "日本語.png",
        "\u202egnp.exe",
        "e\u0301.png",
        " ",
        "a" * 255,
        "'; DROP TABLE events; --",
        "<script>alert(1)</script>",
    ],
)
async def test_a_hostile_name_is_kept_and_goes_nowhere_else(client: ApiClient, name: str) -> None:
    file = await client.upload(fileName=name)
    assert file["fileName"] == {"e\u0301.png": "\u00e9.png"}.get(name, name)
    assert re.fullmatch(rf"{client.tenant}/blog/\d{{4}}/\d\d/[A-Za-z0-9]{{16}}\.png", file["key"])
    assert await client.names(search=name.strip()[:60]) == [file["fileName"]]
    download = await client.get(f"/files/{file['id']}/download")
    async with httpx.AsyncClient(timeout=60) as browser:
        stored = await browser.get(download.headers["location"])
    assert stored.content == PNG
    assert set(stored.headers.get_list("set-cookie")) == set()


async def test_a_private_file_has_no_url_and_can_be_downloaded(client: ApiClient) -> None:
    presigned = await client.presign(isPublic=False)
    assert presigned["publicUrl"] is None
    await client.put(presigned)
    file = (await client.complete(presigned["mediaId"])).json()
    assert (file["isPublic"], file["url"]) == (False, None)
    answer = await client.get(f"/files/{file['id']}/download")
    assert answer.status_code == 302
    async with httpx.AsyncClient(timeout=60) as browser:
        stored = await browser.get(answer.headers["location"])
    assert stored.content == PNG
    assert stored.headers["content-disposition"].startswith("attachment")


async def test_a_drawing_is_served_sanitised_with_the_size_it_has_then(client: ApiClient) -> None:
    hostile = SVG.replace(b"<rect", b"<script>alert(1)</script><rect onload='x()'")
    file = await client.upload(body=hostile, fileName="a.svg", contentType="image/svg+xml")
    assert file["fileSize"] != len(hostile)
    answer = await client.get(f"/files/{file['id']}/download")
    async with httpx.AsyncClient(timeout=60) as browser:
        stored = await browser.get(answer.headers["location"])
    assert len(stored.content) == file["fileSize"]
    assert b"script" not in stored.content
    assert b"onload" not in stored.content


async def test_the_status_of_an_upload_follows_its_life(client: ApiClient) -> None:
    presigned = await client.presign()
    path = f"/upload/{presigned['mediaId']}"
    pending = {
        "mediaId": presigned["mediaId"],
        "status": "pending_upload",
        "processing": None,
        "file": None,
        "error": None,
    }
    assert (await client.get(path)).json() == pending
    await client.put(presigned)
    file = (await client.complete(presigned["mediaId"])).json()
    uploaded = (await client.get(path)).json()
    assert uploaded == pending | {"status": "uploaded", "file": file}
    await client.delete(file["id"])
    deleted = (await client.get(path)).json()
    assert (deleted["status"], deleted["file"]) == ("deleted", None)


async def test_a_slow_verification_is_202_and_the_status_tells_how_it_went(
    runtime: Runtime, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime.uploads, "_complete_wait", timedelta(0))
    presigned = await client.presign()
    await client.put(presigned)
    answer = await client.complete(presigned["mediaId"])
    media_id = presigned["mediaId"]
    assert answer.status_code == 202
    assert answer.json() == {
        "mediaId": media_id,
        "status": "pending_upload",
        "processing": "verifying",
        "statusUrl": f"/upload/{media_id}",
    }
    assert int(answer.headers["media-position"]) > 0
    assert (await client.get(f"/upload/{media_id}")).json()["processing"] == "verifying"


async def test_after_an_hour_stored_bytes_count_and_missing_ones_are_410(
    client: ApiClient, at: At
) -> None:
    stored, missing = await client.presign(), await client.presign()
    await client.put(stored)
    later = at(hours=1)
    refused(await later.complete(missing["mediaId"]), 410, "UPLOAD_EXPIRED")
    assert (await later.complete(stored["mediaId"])).status_code == 200


async def test_after_a_day_it_is_410_before_the_sweep_too(client: ApiClient, at: At) -> None:
    presigned = await client.presign()
    await client.put(presigned)
    later = at(hours=24)
    refused(await later.complete(presigned["mediaId"]), 410, "UPLOAD_EXPIRED")
    status = (await later.get(f"/upload/{presigned['mediaId']}")).json()
    assert status["status"] == "expired"
    assert status["error"]["code"] == "UPLOAD_EXPIRED"


async def test_a_personal_upload_lands_in_the_user_s_own_namespace(client: ApiClient) -> None:
    for personal in (
        await client.upload(scope="user", serviceCode="avatar"),
        await client.but(tenant=None).upload(serviceCode="avatar"),
    ):
        assert personal["key"].startswith(f"users/{client.user}/avatar/")
        assert personal["tenantId"] is None
    alone = client.but(tenant=None)
    answer = await alone.send("POST", "/upload/presign", json=asked(scope="tenant"))
    refused(answer, 400, "INVALID_FIELD", "scope")


async def test_no_url_is_ever_written_to_the_log(client: ApiClient, settings: Settings) -> None:
    presigned = await client.presign(fileName=new_id("name"))
    async with await psycopg.AsyncConnection.connect(settings.database_url) as connection:
        cursor = await connection.execute(
            "SELECT data::text FROM events WHERE stream = %s", (presigned["mediaId"],)
        )
        ((data,),) = await cursor.fetchall()
    assert "http" not in data
    assert "Signature" not in data

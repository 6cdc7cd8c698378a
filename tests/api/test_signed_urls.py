"""Signed URLs: a private file for whoever has the URL, for as long as it says, through the edge."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest

from adapters.runtime import open_api_runtime
from adapters.settings import Settings
from adapters.system import utc_now
from api import app
from tests.kit.edge import serving_edge
from tests.kit.http import JSON, SVG, ApiClient, new_id, refused, serving
from tests.kit.library import PNG


@pytest.fixture(scope="module")
async def http(settings: Settings, _followers: None) -> AsyncIterator[httpx.AsyncClient]:
    """The public app, whose signed URLs lead through the edge."""
    async with (
        serving_edge(settings) as through_edge,
        open_api_runtime(through_edge) as runtime,
        serving(app.create_app(runtime)) as client,
    ):
        yield client


@pytest.fixture
async def browser() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


async def sign(by: ApiClient, file: JSON, **body: object) -> httpx.Response:
    return await by.query("POST", f"/files/{file['id']}/signed-url", json=body)


@pytest.mark.parametrize("public", [True, False])
async def test_the_url_serves_the_file_under_its_name(
    client: ApiClient, browser: httpx.AsyncClient, *, public: bool
) -> None:
    file = await client.upload(isPublic=public)
    answer = await sign(client, file)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    for download, disposition in ((False, "inline"), (True, "attachment")):
        signed = (await sign(client, file, download=download)).json()
        got = await browser.get(signed["url"])
        assert (got.status_code, got.content) == (200, PNG)
        assert got.headers["content-type"] == "image/png"
        assert got.headers["cache-control"] == "no-store"
        expected = f"{disposition}; filename=\"file\"; filename*=UTF-8''hero.png"
        assert got.headers["content-disposition"] == expected


async def test_it_expires_when_it_says(client: ApiClient) -> None:
    file = await client.upload(isPublic=False)
    for seconds in (60, 900, 604_800):
        asked = {} if seconds == 900 else {"expiresIn": seconds}
        asked_at = utc_now().replace(microsecond=0)
        expires = datetime.fromisoformat((await sign(client, file, **asked)).json()["expiresAt"])
        assert asked_at <= expires - timedelta(seconds=seconds) <= utc_now()


async def test_a_changed_url_serves_nothing(client: ApiClient, browser: httpx.AsyncClient) -> None:
    file, other = await client.upload(isPublic=False), await client.upload(isPublic=False)
    url = (await sign(client, file)).json()["url"]
    for changed in (
        url.replace(file["key"], other["key"]),
        url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000"),
        url.replace("inline", "attachment"),
        url.replace("image%2Fpng", "text%2Fhtml"),
        url[:-1] + ("0" if url[-1] != "0" else "1"),
    ):
        assert changed != url
        assert (await browser.get(changed)).status_code == 403
    assert (await browser.get(url.partition("?")[0])).status_code == 404


async def test_a_drawing_is_never_shown_inline(
    client: ApiClient, browser: httpx.AsyncClient
) -> None:
    drawing = {"fileName": "logo.svg", "contentType": "image/svg+xml"}
    file = await client.upload(body=SVG, isPublic=False, **drawing)
    url = (await sign(client, file, download=False)).json()["url"]
    assert (await browser.get(url)).headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "wrong", [59, 604_801, 0, -1, 10**30, "900", 900.5, None, True, [], {}], ids=str
)
async def test_a_lifetime_that_r2_would_not_sign_is_refused(
    client: ApiClient, wrong: object
) -> None:
    file = await client.upload(isPublic=False)
    refused(await sign(client, file, expiresIn=wrong), 400, "INVALID_FIELD", "expiresIn")


async def test_another_workspace_gets_none(client: ApiClient, stranger: ApiClient) -> None:
    for public in (True, False):
        file = await client.upload(isPublic=public)
        stranger.position = client.position
        refused(await sign(stranger, file), 404, "MEDIA_NOT_FOUND")
        owner = stranger.but(permissions="system:owner")
        refused(await sign(owner, file), 404, "MEDIA_NOT_FOUND")
    writer = client.but(permissions="media:files.write")
    refused(await sign(writer, file), 403, "FORBIDDEN")


async def test_a_personal_file_is_signed_for_its_owner_alone(client: ApiClient) -> None:
    file = await client.upload(isPublic=False, scope="user")
    assert (await sign(client, file)).status_code == 200
    colleague = client.but(user=new_id("user"))
    refused(await sign(colleague, file), 404, "MEDIA_NOT_FOUND")


async def test_what_is_deleted_or_pending_is_not_signed(client: ApiClient) -> None:
    file, pending = await client.upload(isPublic=False), await client.presign()
    await client.delete(file["id"])
    refused(await sign(client, file), 404, "MEDIA_NOT_FOUND")
    refused(await sign(client, {"id": pending["mediaId"]}), 404, "MEDIA_NOT_FOUND")


async def test_a_body_is_not_needed(client: ApiClient) -> None:
    file = await client.upload(isPublic=False)
    answer = await client.query("POST", f"/files/{file['id']}/signed-url")
    assert answer.status_code == 200


async def test_no_line_of_the_log_holds_a_signature(
    client: ApiClient, capsys: pytest.CaptureFixture[str]
) -> None:
    file = await client.upload(isPublic=False)
    url = (await sign(client, file)).json()["url"]
    written = capsys.readouterr().out
    assert '"event":"media.files.signed_url"' in written
    assert url.rpartition("X-Amz-Signature=")[2] not in written

"""`?variant=` of the delivery routes, signed URLs and resolve: found, or made once and found."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from adapters.runtime import Runtime, open_api_runtime
from adapters.settings import Settings
from api import app, on_demand
from api.delivery import KEY_SECONDS, LINK_SECONDS
from tests.kit.edge import serving_edge
from tests.kit.http import JSON, ApiClient, refused, serving, state_of
from tests.kit.samples import sample
from tests.workers.processes import running, until
from workers import jobs, reactor

JPEG: dict[str, Any] = {"contentType": "image/jpeg", "fileName": "hero.jpg"}
PDF: dict[str, Any] = {"contentType": "application/pdf", "fileName": "a.pdf"}
OG = "og_1200x630"


@pytest.fixture(scope="module")
async def _workers(settings: Settings) -> AsyncIterator[None]:
    async with running(settings, reactor.main, jobs.main):
        yield


async def upload(client: ApiClient, kind: dict[str, Any] = JPEG, **changes: Any) -> JSON:
    file = await client.upload(body=sample(kind["contentType"]), **(kind | changes))
    # The delivery routes ask for no position: they see what the file list has.
    await client.get(f"/files/{file['id']}")
    return file


async def pointed(
    http: httpx.AsyncClient, path: str, accept: str | None = None, *, method: str = "GET"
) -> httpx.Response:
    """The redirect; asked for again while it is still being made."""
    headers = {} if accept is None else {"accept": accept}
    async with asyncio.timeout(60):
        while (answer := await http.request(method, path, headers=headers)).status_code == 409:
            refused(answer, 409, "RENDITION_PENDING")
            assert int(answer.headers["retry-after"]) > 0
    return answer


async def count(client: ApiClient, file: JSON, name: str) -> int:
    items = (await client.get(f"/files/{file['id']}/history")).json()["items"]
    return [item["type"].split(".")[1] for item in items].count(name)


@pytest.mark.long
async def test_few_are_waited_for_at_once_and_none_for_long(
    runtime: Runtime, client: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody makes any here: it stands before the first test that has workers."""
    monkeypatch.setattr(on_demand, "WAIT_SECONDS", 5.0)
    monkeypatch.setattr(on_demand.OnDemand.__init__, "__kwdefaults__", {"most": 2})
    files = [await upload(client) for _ in range(3)]
    asgi = app.create_app(runtime)
    waits: on_demand.OnDemand = state_of(asgi)["on_demand"]

    async def both_wait() -> bool:
        return len(waits._waits) == 2

    async with serving(asgi) as http:
        asking = [
            asyncio.create_task(http.get(f"/m/{file['id']}?variant={OG}")) for file in files[:2]
        ]
        await until(both_wait)
        over = await http.get(f"/m/{files[2]['id']}?variant={OG}")
        assert not any(task.done() for task in asking)
        refused(over, 409, "RENDITION_PENDING")
        # Who asks for what is waited for already takes no more room.
        same = await http.get(f"/m/{files[0]['id']}?variant={OG}")
        for answer in (same, *(await asyncio.gather(*asking))):
            refused(answer, 409, "RENDITION_PENDING")
            assert answer.headers["retry-after"]
        assert (await http.get(f"/m/{files[2]['id']}")).status_code == 302


@pytest.mark.usefixtures("_workers")
async def test_a_variant_is_made_when_it_is_first_asked_for_and_then_kept(
    client: ApiClient, http: httpx.AsyncClient, settings: Settings
) -> None:
    file = await upload(client)
    folder = file["url"].removesuffix(".jpg")
    for path, seconds in ((f"/cdn/{file['key']}", KEY_SECONDS), (f"/m/{file['id']}", LINK_SECONDS)):
        for method in ("GET", "HEAD"):
            answer = await pointed(http, f"{path}?variant={OG}", method=method)
            assert answer.status_code == 302
            assert answer.headers["location"] == f"{folder}/{OG}.r1.jpg"
            assert answer.headers["cache-control"] == f"public, max-age={seconds}"
            assert "Accept" in answer.headers.get_list("vary")
            assert answer.headers["cloudflare-cdn-cache-control"] == "no-store"
    webp = await pointed(http, f"/m/{file['id']}?variant={OG}", "image/webp,*/*")
    assert webp.headers["location"] == f"{folder}/{OG}.r1.webp"


@pytest.mark.usefixtures("_workers")
async def test_of_many_who_ask_at_once_one_has_it_made(
    client: ApiClient, http: httpx.AsyncClient
) -> None:
    file = await upload(client)
    paths = [f"/cdn/{file['key']}?variant={OG}", f"/m/{file['id']}?variant={OG}"] * 15
    answers = await asyncio.gather(*(pointed(http, path) for path in paths))
    assert {answer.headers["location"] for answer in answers} == {
        file["url"].replace(".jpg", f"/{OG}.r1.jpg")
    }
    assert await count(client, file, "rendition_requested") == 1


@pytest.mark.usefixtures("_workers")
async def test_what_is_ready_is_found_without_asking_the_log(
    client: ApiClient, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await upload(client)
    path = f"/m/{file['id']}?variant={OG}"
    await pointed(http, path)

    async def never(*_: object, **__: object) -> None:
        raise AssertionError("the log was asked")

    async def listed() -> bool:
        shown = (await client.get(f"/files/{file['id']}")).json()
        return bool(shown["variants"].get(OG, {}).get("status") == "ready")

    await until(listed)
    monkeypatch.setattr(on_demand.OnDemand, "ready", never)
    assert (await http.get(path)).status_code == 302


@pytest.mark.usefixtures("_workers")
async def test_a_file_deleted_while_a_variant_is_made_is_not_there_afterwards(
    client: ApiClient, http: httpx.AsyncClient
) -> None:
    for delay in (0, 0.05, 0.2):
        file = await upload(client)
        path = f"/cdn/{file['key']}?variant={OG}"
        asking = asyncio.create_task(pointed(http, path))
        await asyncio.sleep(delay)
        assert (await client.delete(file["id"])).status_code == 200
        assert (await asking).status_code in {302, 404}
        await client.listed()
        refused(await http.get(path), 404, "MEDIA_NOT_FOUND")


async def test_there_are_no_other_sizes(client: ApiClient, http: httpx.AsyncClient) -> None:
    file = await upload(client)
    for name in ("", "thumb_201", "1200x630", "THUMB_200", "a" * 5000, "..", "%00", "poster"):
        answer = await http.get(f"/cdn/{file['key']}?variant={name}")
        refused(answer, 400, "INVALID_FIELD", "variant")
    answer = await http.get(f"/cdn/{file['key']}?variant={OG}&variant={OG}")
    refused(answer, 400, "INVALID_FIELD", "variant")
    assert (await http.get(f"/cdn/{file['key']}?width=200")).headers["location"] == file["url"]


async def test_a_document_has_none(client: ApiClient, http: httpx.AsyncClient) -> None:
    file = await upload(client, PDF)
    refused(await http.get(f"/m/{file['id']}?variant=thumb_200"), 404, "NO_RENDITION")


async def test_a_private_file_s_variants_are_not_there(
    client: ApiClient, http: httpx.AsyncClient
) -> None:
    file = await upload(client, isPublic=False)
    for path in (f"/cdn/{file['key']}", f"/m/{file['id']}"):
        refused(await http.get(f"{path}?variant={OG}"), 404, "MEDIA_NOT_FOUND")
    assert await count(client, file, "rendition_requested") == 0


@pytest.mark.usefixtures("_followers")
@pytest.mark.usefixtures("_workers")
async def test_resolve_knows_the_variant_of_public_files(
    client: ApiClient, http: httpx.AsyncClient, internal: httpx.AsyncClient, settings: Settings
) -> None:
    public, private = await upload(client), await upload(client, isPublic=False)
    document = await upload(client, PDF)
    ids = [public["id"], private["id"], document["id"]]

    async def urls() -> list[str | None]:
        answer = await internal.post("/internal/resolve", json={"mediaIds": ids, "variant": OG})
        assert answer.status_code == 200, answer.text
        return [answer.json()["resolved"][one]["url"] for one in ids]

    link = f"{settings.delivery_url}/cdn/{public['key']}?variant={OG}"
    assert await urls() == [link, None, None]
    ready = (await pointed(http, f"/m/{public['id']}?variant={OG}")).headers["location"]

    async def told() -> bool:
        return await urls() != [link, None, None]

    await until(told)
    assert await urls() == [ready, None, None]
    wrong = await internal.post("/internal/resolve", json={"mediaIds": ids, "variant": "x"})
    refused(wrong, 400, "INVALID_FIELD", "variant")


@pytest.mark.usefixtures("_followers", "_workers")
async def test_a_private_file_s_variant_is_served_to_whoever_has_the_signed_url(
    settings: Settings, client: ApiClient
) -> None:
    async with (
        serving_edge(settings) as through_edge,
        open_api_runtime(through_edge) as opened,
        serving(app.create_app(opened)) as http,
    ):
        by = ApiClient(http, tenant=client.tenant, user=client.user)
        file = await upload(by, isPublic=False)
        body = {"variant": OG, "expiresIn": 60}
        path = f"/files/{file['id']}/signed-url"
        async with asyncio.timeout(60):
            while (answer := await by.query("POST", path, json=body)).status_code == 409:
                refused(answer, 409, "RENDITION_PENDING")
        assert answer.status_code == 200, answer.text
        async with httpx.AsyncClient(trust_env=False, timeout=60) as browser:
            got = await browser.get(answer.json()["url"])
        assert got.status_code == 200
        assert got.headers["content-type"] == "image/jpeg"
        assert got.headers["content-disposition"].endswith(f"hero-{OG}.jpg")
        assert got.content[:3] == b"\xff\xd8\xff"
        document = await upload(by, PDF, isPublic=False)
        path = f"/files/{document['id']}/signed-url"
        refused(await by.send("POST", path, json=body), 404, "NO_RENDITION")
        wrong = await by.send("POST", path, json={"variant": "x"})
        refused(wrong, 400, "INVALID_FIELD", "variant")

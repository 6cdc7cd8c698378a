"""The development gateway: who one is, what is passed on, which pages there are."""

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import uvicorn

from adapters.settings import Settings
from api.dev_gateway import PEOPLE, open_gateway
from api.draining_server import Server
from tests.api.test_edge_process import environment


class Upstream:
    """Stands where the public app stands and tells what reached it."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        seen = {
            "method": scope["method"],
            "path": f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}",
            "headers": {name.decode(): value.decode() for name, value in scope["headers"]},
            "body": body.decode(),
        }
        headers = [(b"content-type", b"application/json"), (b"media-position", b"42")]
        await send({"type": "http.response.start", "status": 201, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(seen)})


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await task
        listening.close()


@pytest.fixture
async def browser(settings: Settings, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "secret.txt").write_text("outside")
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<h1>the dashboard</h1>")
    (built / "assets" / "index-a1.js").write_text("run()")
    async with serving(Upstream()) as port:
        settings = msgspec.structs.replace(settings, port=port)
        async with (
            open_gateway(settings, built=built) as gateway,
            serving(gateway) as own,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{own}", timeout=60) as client,
        ):
            yield client


async def become(browser: httpx.AsyncClient, person: str, workspace: str | None = None) -> None:
    body = {"person": person} | ({"workspace": workspace} if workspace else {})
    assert (await browser.post("/api/session", json=body)).status_code == 204


async def test_a_request_is_passed_on_with_the_identity_of_the_chosen_person(
    browser: httpx.AsyncClient, settings: Settings
) -> None:
    await become(browser, "editor")
    forged = {"x-user-id": "somebody", "x-tenant-id": "other", "x-gateway-key": "guess"}

    answer = await browser.post(
        "/api/media/upload/presign?a=%2Fb", content=b'{"x":1}', headers=forged
    )

    seen = answer.json()
    assert (answer.status_code, answer.headers["media-position"]) == (201, "42")
    assert (seen["method"], seen["path"]) == ("POST", "/upload/presign?a=%2Fb")
    assert seen["body"] == '{"x":1}'
    assert seen["headers"]["x-user-id"] == "user_789"
    assert seen["headers"]["x-tenant-id"] == "ls_abc123"
    assert seen["headers"]["x-user-permissions"] == "media:files.read media:files.write"
    assert seen["headers"]["x-gateway-key"] == settings.gateway_keys[-1]
    assert "cookie" not in seen["headers"]


@pytest.mark.parametrize("person", list(PEOPLE))
async def test_everybody_of_the_switch_can_be_chosen(
    browser: httpx.AsyncClient, person: str
) -> None:
    await become(browser, person)
    session = (await browser.get("/api/session")).json()
    assert session["person"] == person
    assert set(session["people"]) == set(PEOPLE)
    seen = (await browser.get("/api/media/files")).json()["headers"]
    assert seen["x-user-id"] == session["userId"] == PEOPLE[person].user_id
    assert seen["x-tenant-id"] == session["workspace"] == PEOPLE[person].workspace


async def test_without_a_choice_one_is_the_owner_and_a_workspace_can_be_named(
    browser: httpx.AsyncClient,
) -> None:
    assert (await browser.get("/api/session")).json()["person"] == "owner"
    await become(browser, "reader", "ls_mine")
    assert (await browser.get("/api/session")).json()["workspace"] == "ls_mine"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"person":"root"}', b'{"person":"owner","workspace":"a b"}', b"x" * 5000],
)
async def test_who_does_not_exist_cannot_be_chosen(browser: httpx.AsyncClient, body: bytes) -> None:
    answer = await browser.post("/api/session", content=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_FIELD")
    assert (await browser.get("/api/session")).json()["person"] == "owner"


async def test_another_site_cannot_act_through_it(browser: httpx.AsyncClient) -> None:
    answer = await browser.post("/api/media/x", headers={"sec-fetch-site": "cross-site"})
    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")


async def test_every_address_of_the_dashboard_is_its_page(browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/")).headers["location"] == "/dashboard/media"
    for path in ("/dashboard/media", "/dashboard/media/files?search=x", "/blog/editor"):
        page = await browser.get(path)
        assert page.text == "<h1>the dashboard</h1>"
        assert page.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in page.headers["content-security-policy"]
    script = await browser.get("/assets/index-a1.js")
    assert (script.text, script.headers["content-type"]) == (
        "run()",
        "text/javascript; charset=utf-8",
    )
    assert "immutable" in script.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["/nothing", "/assets/gone.js", "/../secret.txt", "/%2e%2e/secret.txt", "/api/other"]
)
async def test_nothing_else_is_served(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


async def test_a_service_that_does_not_answer_is_a_502_in_the_envelope(
    settings: Settings, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    away = msgspec.structs.replace(settings, port=port)
    async with (
        open_gateway(away, built=tmp_path) as gateway,
        serving(gateway) as own,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{own}", timeout=60) as client,
    ):
        answer = await client.get("/api/media/files")
        page = await client.get("/dashboard/media")
    assert (answer.status_code, answer.json()["code"]) == (502, "MEDIA_UNAVAILABLE")
    assert (page.status_code, page.text) == (
        503,
        "The dashboard is not built. ./dev up builds it.\n",
    )


async def test_a_live_stream_ends_upstream_when_its_reader_goes(
    settings: Settings, tmp_path: Path
) -> None:
    ended = asyncio.Event()

    async def endless(_scope: Any, receive: Any, send: Any) -> None:
        await receive()
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"id: 1\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass
        ended.set()

    async with (
        serving(endless) as port,
        open_gateway(msgspec.structs.replace(settings, port=port), built=tmp_path) as gateway,
        serving(gateway) as own,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{own}", timeout=60) as client,
    ):
        async with client.stream("GET", "/api/media/files/events") as stream:
            assert await anext(stream.aiter_raw()) == b"id: 1\n\n"
            assert not ended.is_set()
        async with asyncio.timeout(60):
            await ended.wait()


def test_it_does_not_start_in_production(settings: Settings) -> None:
    secret = "s" * 40
    production = environment(
        settings,
        MEDIA_ENVIRONMENT="production",
        MEDIA_GATEWAY_KEYS=secret,
        MEDIA_CURSOR_KEYS=secret,
        MEDIA_PUBLIC_BASE_URL="https://media.test",
        MEDIA_DELIVERY_BASE_URL="https://api.media.test",
        MEDIA_S3_UPLOAD_ENDPOINT="https://s3.media.test",
        MEDIA_CDN="none",
    )
    ended = subprocess.run(
        [sys.executable, "-m", "api.dev_gateway"],
        env=production,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == 2
    assert "does not run in production" in ended.stderr


def test_the_process_serves_and_ends_when_it_is_asked_to(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "api.dev_gateway"],
        env=environment(settings, MEDIA_WEB_PORT=str(port)),
    )
    try:
        with httpx.Client(
            trust_env=False, transport=httpx.HTTPTransport(retries=9), timeout=60
        ) as client:
            answer = client.get(f"http://127.0.0.1:{port}/api/session")
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (answer.status_code, code) == (200, 0)

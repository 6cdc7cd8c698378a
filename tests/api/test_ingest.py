"""Ingest through the app, with the reactor and the job workers at work and a source on loopback."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import psycopg
import pytest

from adapters.postgres import Pool, open_pool
from adapters.runtime import Runtime, open_api_runtime, open_internal_runtime
from adapters.settings import Settings
from api import app, internal_app
from domain.media_type import ServiceRules
from tests.kit.http import ApiClient, followed, new_id, refused, serving
from tests.kit.http_source import HttpSource, http_source, redirect, response
from tests.kit.library import PNG
from tests.kit.samples import sample
from tests.workers.processes import running, until
from workers import jobs, reactor

KIBIBYTE = 1024
SMALL = ServiceRules(
    types=("image/png", "video/mp4"),
    max_bytes={"image": 64 * KIBIBYTE, "video": 128 * KIBIBYTE, "document": 1},
)
TOO_MUCH = b"\0" * (256 * KIBIBYTE)
JSON = dict[str, Any]


@pytest.fixture(scope="module")
async def source() -> AsyncIterator[HttpSource]:
    async with http_source() as source:
        yield source


@pytest.fixture(scope="module")
def own_settings(settings: Settings, source: HttpSource) -> Settings:
    """The source is let through; the service `avatar` takes small files of two types."""
    return msgspec.structs.replace(
        settings,
        permitted_sources=(source.pair,),
        services={**settings.services, "avatar": SMALL},
        job_threads=2,
        fetch_threads=8,
        ingest_wait_seconds=60,
    )


@pytest.fixture(scope="module")
async def runtime(own_settings: Settings) -> AsyncIterator[Runtime]:
    async with open_api_runtime(own_settings) as opened:
        yield opened


@pytest.fixture(scope="module")
async def http(runtime: Runtime, own_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        followed(own_settings),
        running(own_settings, reactor.main, jobs.main),
        serving(app.create_app(runtime)) as client,
    ):
        yield client


class Log:
    """What only an operator sees."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def _value(self, statement: str, *parameters: object) -> Any:
        async with self._pool.connection() as connection:
            row = await (await connection.execute(statement.encode(), parameters)).fetchone()
        return row and row[0]

    async def newest(self, client: ApiClient) -> str:
        """The id of the last file of the client's workspace."""
        newest = "SELECT stream FROM events WHERE owner = %s ORDER BY position DESC LIMIT 1"
        return str(await self._value(newest, f"t:{client.tenant}"))

    async def events(self, client: ApiClient) -> int:
        """How many the client has caused: the workers are at work for others meanwhile."""
        owners = [f"t:{client.tenant}", f"u:{client.user}"]
        return int(await self._value("SELECT count(*) FROM events WHERE owner = ANY(%s)", owners))

    async def has(self, stream: str, event: str) -> bool:
        known = "SELECT array_agg(split_part(type, '.', 2)) FROM events WHERE stream = %s"
        return event in await self._value(known, stream)

    async def text_holding(self, secret: str) -> int:
        holding = "SELECT count(*) FROM events WHERE strpos(data::text, %s) > 0"
        return int(await self._value(holding, secret))

    async def kept_urls(self) -> int:
        return int(await self._value("SELECT count(*) FROM ingest_sources"))

    async def no_url_is_kept(self) -> bool:
        return await self.kept_urls() == 0

    async def nothing_is_left(self, runtime: Runtime) -> bool:
        """Whether incoming is empty of what nobody will fetch or verify any more."""
        later = runtime.clock() + timedelta(minutes=1)
        return [key async for key in runtime.objects.list_older_than("incoming", later)] == []


@pytest.fixture(scope="module")
async def log(settings: Settings) -> AsyncIterator[Log]:
    pool = await open_pool(settings.database_url, role="media_worker", size=2)
    yield Log(pool)
    await pool.close()


def asked(source: HttpSource, path: str, **changes: Any) -> JSON:
    body = {"url": source.url(path), "serviceCode": "blog"} | changes
    return {name: value for name, value in body.items() if value is not None}


async def ingest(client: ApiClient, body: JSON, **headers: str) -> httpx.Response:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.send("POST", "/upload/ingest-url", json=body, headers=given)


async def begun(client: ApiClient, body: JSON) -> str:
    """The id of an ingest nobody waits for."""
    answer = await ingest(client, body, prefer="respond-async")
    assert answer.status_code == 202, answer.text
    return str(answer.json()["mediaId"])


async def status_of(client: ApiClient, media_id: str) -> JSON:
    answer = await client.send("GET", f"/upload/{media_id}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def story(client: ApiClient, media_id: str) -> list[JSON]:
    return list((await client.get(f"/files/{media_id}/history")).json()["items"])


async def events_of(client: ApiClient, media_id: str) -> list[str]:
    return [entry["type"].split(".")[1] for entry in await story(client, media_id)]


def as_uploaded(file: JSON) -> JSON:
    """What an upload settles, whatever the inspection has found by then."""
    settled = ("id", "fileName", "mimeType", "fileSize", "key", "url", "status", "createdAt")
    return {name: file[name] for name in settled}


class Held:
    """An answer that stops in the middle of its body until it is let go."""

    def __init__(self, source: HttpSource, path: str, body: bytes = PNG) -> None:
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self._body = body
        source.answers[path] = self._answer

    async def _answer(self, writer: asyncio.StreamWriter) -> None:
        whole = response(self._body, headers=[("Content-Type", "image/png")])
        writer.write(whole[:-10])
        await writer.drain()
        self.asked.set()
        await self.go_on.wait()
        writer.write(whole[-10:])
        await writer.drain()


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + PNG)
    while True:
        writer.write(b"\0" * 65_536)
        await writer.drain()


async def cut_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + PNG)
    await writer.drain()


# What works.


async def test_an_image_becomes_an_ordinary_file(client: ApiClient, source: HttpSource) -> None:
    source.answers["/a/hero.png"] = response(PNG, headers=[("Content-Type", "image/png")])
    answer = await ingest(client, asked(source, "/a/hero.png"))
    assert answer.status_code == 200, answer.text
    file = answer.json()
    assert (file["fileName"], file["mimeType"], file["fileSize"]) == (
        "hero.png",
        "image/png",
        len(PNG),
    )
    assert file["status"] == "uploaded"
    assert file["key"].endswith(f"{file['id'].removeprefix('media_')}.png")
    assert as_uploaded((await client.get(f"/files/{file['id']}")).json()) == as_uploaded(file)
    assert await client.names() == ["hero.png"]
    assert (await events_of(client, file["id"]))[:4] == [
        "ingest_requested",
        "upload_requested",
        "verification_deferred",
        "upload_completed",
    ]
    assert (await client.get("/files/stats")).json()["pendingUploads"] == 0
    status = await status_of(client, file["id"])
    assert (status["status"], status["processing"]) == ("uploaded", None)
    assert as_uploaded(status["file"]) == as_uploaded(file)


@pytest.mark.parametrize("mime_type", ["image/jpeg", "image/svg+xml", "image/avif", "video/webm"])
async def test_the_type_comes_from_the_bytes(
    client: ApiClient, source: HttpSource, mime_type: str
) -> None:
    source.answers["/download"] = response(
        sample(mime_type), headers=[("Content-Type", "application/octet-stream")]
    )
    answer = await ingest(client, asked(source, "/download"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["mimeType"] == mime_type
    extension = answer.json()["key"].rpartition(".")[2]
    assert answer.json()["fileName"] == f"download.{extension}"


async def test_the_caller_may_name_the_file_and_keep_it_private(
    client: ApiClient, source: HttpSource
) -> None:
    source.answers["/x.png"] = response(
        PNG, headers=[("Content-Disposition", "attachment; filename*=UTF-8''%C3%A4.png")]
    )
    named = asked(source, "/x.png", fileName="Mein Bild", isPublic=False, scope="user")
    file = (await ingest(client, named)).json()
    assert (file["fileName"], file["url"], file["tenantId"]) == ("Mein Bild", None, None)
    assert file["key"].startswith(f"users/{client.user}/")
    file = (await ingest(client, asked(source, "/x.png"))).json()
    assert file["fileName"] == "ä.png"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed(client: ApiClient, source: HttpSource, status: int) -> None:
    source.answers |= {
        "/old": redirect("/newer", status),
        "/newer": redirect(source.url("/new.png"), status),
        "/new.png": response(PNG, headers=[("Content-Type", "image/png")]),
    }
    answer = await ingest(client, asked(source, "/old"))
    assert answer.status_code == 200, answer.text
    assert answer.json()["fileName"] == "new.png"


async def test_a_gzipped_answer_is_the_file_it_unpacks_to(
    client: ApiClient, source: HttpSource
) -> None:
    svg = sample("image/svg+xml")
    source.answers["/z.svg"] = response(
        gzip.compress(svg),
        headers=[("Content-Type", "image/svg+xml"), ("Content-Encoding", "gzip")],
    )
    answer = await ingest(client, asked(source, "/z.svg"))
    assert answer.status_code == 200, answer.text


# What does not.


REFUSALS: list[tuple[str, Any, int, str]] = [
    ("/404", response(status=404), 502, "SOURCE_UNAVAILABLE"),
    ("/500", response(PNG, status=500), 502, "SOURCE_UNAVAILABLE"),
    ("/204", response(status=204), 502, "SOURCE_UNAVAILABLE"),
    ("/206", response(PNG, status=206), 502, "SOURCE_UNAVAILABLE"),
    ("/cut-off", cut_off, 502, "SOURCE_UNAVAILABLE"),
    ("/empty", response(b""), 400, "UNSUPPORTED_MIME"),
    (
        "/html",
        response(b"<html>hello", headers=[("Content-Type", "text/html")]),
        400,
        "UNSUPPORTED_MIME",
    ),
    (
        "/lie",
        response(b"<html>hello", headers=[("Content-Type", "image/png")]),
        400,
        "UNSUPPORTED_MIME",
    ),
    (
        "/two-minds",
        response(PNG, headers=[("Content-Type", "text/html; charset=utf-8")]),
        400,
        "UNSUPPORTED_MIME",
    ),
    ("/not-here.gif", response(sample("image/gif")), 400, "UNSUPPORTED_MIME"),
    ("/large", response(PNG + TOO_MUCH), 400, "FILE_TOO_LARGE"),
    ("/large-for-an-image", response(PNG + TOO_MUCH[: 100 * KIBIBYTE]), 400, "FILE_TOO_LARGE"),
    ("/endless", endless, 400, "FILE_TOO_LARGE"),
    (
        "/bomb",
        response(gzip.compress(PNG + TOO_MUCH * 100), headers=[("Content-Encoding", "gzip")]),
        400,
        "FILE_TOO_LARGE",
    ),
    ("/loop", redirect("/loop"), 400, "REDIRECT_LOOP"),
    ("/inside", redirect("http://169.254.169.254/latest/meta-data/"), 400, "SSRF_BLOCKED"),
    ("/port", redirect("http://127.0.0.1:22/"), 400, "SSRF_BLOCKED"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=[case[0] for case in REFUSALS])
async def test_a_source_that_is_no_file_is_refused_and_leaves_none(
    client: ApiClient, source: HttpSource, log: Log, case: tuple[str, Any, int, str]
) -> None:
    path, given, status, code = case
    source.answers[path] = given
    answer = await ingest(client, asked(source, path, serviceCode="avatar"))
    refusal = refused(answer, status, code)
    assert int(answer.headers["media-position"]) > 0
    media_id = await log.newest(client)
    assert await status_of(client, media_id) == {
        "mediaId": media_id,
        "status": "rejected",
        "processing": None,
        "file": None,
        "error": {"code": code, "error": refusal["error"]},
    }
    again = await client.complete(media_id)
    assert refused(again, status, code)["error"] == refusal["error"]
    assert await events_of(client, media_id) == ["ingest_requested", "ingest_failed"]
    assert await client.names() == []
    assert (await client.get("/files/stats")).json()["pendingUploads"] == 0
    await until(log.no_url_is_kept)


async def test_bytes_that_do_not_pass_the_verification_are_refused_as_an_upload_is(
    client: ApiClient, source: HttpSource, log: Log
) -> None:
    source.answers["/broken.svg"] = response(b'<svg xmlns="http://www.w3.org/2000/svg"><g></svg>')
    refused(await ingest(client, asked(source, "/broken.svg")), 409, "UPLOAD_MISMATCH")
    media_id = await log.newest(client)
    assert (await events_of(client, media_id))[:4] == [
        "ingest_requested",
        "upload_requested",
        "verification_deferred",
        "upload_rejected",
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"url": None}, "MISSING_FIELDS"),
        ({"url": ""}, "SSRF_BLOCKED"),
        ({"url": "ftp://example.com/a"}, "SSRF_BLOCKED"),
        ({"url": "http://user:secret@example.com/a"}, "SSRF_BLOCKED"),
        ({"url": "http://169.254.169.254/latest/meta-data/"}, "SSRF_BLOCKED"),
        ({"url": "http://localhost/"}, "SSRF_BLOCKED"),
        ({"url": "http://[::ffff:127.0.0.1]/"}, "SSRF_BLOCKED"),
        ({"url": "http://0x7f.1/"}, "SSRF_BLOCKED"),
        ({"url": "http://example.com:8080/"}, "SSRF_BLOCKED"),
        ({"url": "http://example.com/" + "a" * 3000}, "SSRF_BLOCKED"),
        ({"url": "http://example.com/\0"}, "SSRF_BLOCKED"),
        ({"url": 7}, "INVALID_FIELD"),
        ({"serviceCode": "nobody"}, "INVALID_FIELD"),
        ({"fileName": ""}, "INVALID_FIELD"),
        ({"fileName": "a\nb"}, "INVALID_FIELD"),
        ({"isPublic": "yes"}, "INVALID_FIELD"),
        ({"scope": "world"}, "INVALID_FIELD"),
    ],
)
async def test_what_is_refused_on_its_face_changes_nothing(
    client: ApiClient,
    source: HttpSource,
    log: Log,
    changes: JSON,
    code: str,
) -> None:
    before = await log.events(client)
    requests = len(source.requests)
    body = refused(await ingest(client, asked(source, "/a.png", **changes)), 400, code)
    if code == "INVALID_FIELD":
        assert body["details"] == {"field": next(iter(changes))}
    assert await log.events(client) == before
    assert len(source.requests) == requests


async def test_without_the_permission_nothing_is_fetched(
    client: ApiClient, source: HttpSource
) -> None:
    reader = client.but(permissions="media:files.read")
    refused(await ingest(reader, asked(source, "/a.png")), 403, "FORBIDDEN")


# Waiting.


async def test_who_prefers_not_to_wait_is_told_where_to_ask(
    client: ApiClient, source: HttpSource
) -> None:
    held = Held(source, "/held.png")
    answer = await ingest(client, asked(source, "/held.png"), prefer="respond-async")
    assert answer.status_code == 202
    body = answer.json()
    assert body == {
        "mediaId": body["mediaId"],
        "status": "pending_upload",
        "processing": "fetching",
        "statusUrl": f"/upload/{body['mediaId']}",
    }
    assert answer.headers["location"] == body["statusUrl"]
    assert answer.headers["preference-applied"] == "respond-async"
    status = await status_of(client, body["mediaId"])
    assert (status["status"], status["processing"]) == ("pending_upload", "fetching")
    waiting = await client.complete(body["mediaId"])
    assert (waiting.status_code, waiting.json()) == (202, body)
    held.go_on.set()
    await until(lambda: _has_status(client, body["mediaId"], "uploaded"))


async def _has_status(client: ApiClient, media_id: str, status: str) -> bool:
    return bool((await status_of(client, media_id))["status"] == status)


async def test_a_wait_that_is_over_answers_as_if_nobody_waited(
    client: ApiClient, source: HttpSource
) -> None:
    held = Held(source, "/slow.png")
    answer = await ingest(client, asked(source, "/slow.png"), prefer="wait=1")
    assert answer.status_code == 202
    assert "preference-applied" not in answer.headers
    held.go_on.set()
    await until(lambda: _has_status(client, answer.json()["mediaId"], "uploaded"))


async def test_slow_sources_hold_up_no_deletion(
    client: ApiClient, source: HttpSource, runtime: Runtime
) -> None:
    file = await client.upload()
    many = runtime.settings.job_threads + runtime.settings.fetch_threads
    held = [Held(source, f"/slow-{number}.png") for number in range(many)]
    ids = [await begun(client, asked(source, f"/slow-{number}.png")) for number in range(many)]
    await asyncio.wait_for(held[0].asked.wait(), 60)
    await client.delete(file["id"])

    async def gone() -> bool:
        return await runtime.objects.head("public", file["key"]) is None

    await until(gone)
    for one in held:
        one.go_on.set()
    for media_id in ids:
        await until(lambda id_=media_id: _has_status(client, id_, "uploaded"))  # type: ignore[misc]


# Doing it twice.


async def test_the_same_key_fetches_once(client: ApiClient, source: HttpSource) -> None:
    held = Held(source, "/once.png")
    key = new_id("key")
    both = asyncio.gather(
        *(ingest(client, asked(source, "/once.png"), idempotency_key=key) for _ in range(5))
    )
    await asyncio.wait_for(held.asked.wait(), 60)
    held.go_on.set()
    answers = [*await both, await ingest(client, asked(source, "/once.png"), idempotency_key=key)]
    assert {answer.status_code for answer in answers} == {200}
    files = [as_uploaded(answer.json()) for answer in answers]
    assert files == files[:1] * len(files)
    assert sum("/once.png" in request for request in source.requests) == 1
    other = asked(source, "/twice.png")
    refused(await ingest(client, other, idempotency_key=key), 409, "IDEMPOTENCY_CONFLICT")


async def test_the_same_key_keeps_a_failure(client: ApiClient, source: HttpSource) -> None:
    key = new_id("key")
    source.answers["/late.png"] = response(status=503)
    first = await ingest(client, asked(source, "/late.png"), idempotency_key=key)
    refused(first, 502, "SOURCE_UNAVAILABLE")
    source.answers["/late.png"] = response(PNG)
    again = await ingest(client, asked(source, "/late.png"), idempotency_key=key)
    assert again.content == first.content
    assert (await ingest(client, asked(source, "/late.png"))).status_code == 200


# Calling it off.


async def test_a_pending_ingest_can_be_cancelled(
    client: ApiClient, source: HttpSource, runtime: Runtime, log: Log
) -> None:
    held = Held(source, "/cancelled.png")
    media_id = await begun(client, asked(source, "/cancelled.png"))
    await asyncio.wait_for(held.asked.wait(), 60)
    assert (await client.delete(media_id)).json() == {"id": media_id, "deleted": True}
    refused(await client.delete(media_id), 404, "MEDIA_NOT_FOUND")
    held.go_on.set()
    await until(log.no_url_is_kept)
    assert (await status_of(client, media_id))["status"] == "deleted"
    assert await events_of(client, media_id) == ["ingest_requested", "ingest_cancelled"]
    await until(lambda: log.nothing_is_left(runtime))


async def test_a_removed_workspace_keeps_no_ingest(
    client: ApiClient,
    source: HttpSource,
    runtime: Runtime,
    own_settings: Settings,
    log: Log,
) -> None:
    key = new_id("key")
    source.answers["/kept.png"] = response(PNG)
    kept = asked(source, "/kept.png")
    assert (await ingest(client, kept, idempotency_key=key)).status_code == 200
    held = Held(source, "/removed.png")
    media_id = await begun(client, asked(source, "/removed.png"))
    await asyncio.wait_for(held.asked.wait(), 60)
    async with (
        open_internal_runtime(own_settings) as opened,
        serving(internal_app.create_app(opened)) as internal,
    ):
        answer = await internal.delete(f"/internal/tenants/{client.tenant}")
        assert answer.status_code == 202
    requests = len(source.requests)
    for body in (asked(source, "/a.png"), asked(source, "/a.png", scope="user")):
        refused(await ingest(client, body), 403, "TENANT_REMOVED")
    refused(await ingest(client, kept, idempotency_key=key), 403, "TENANT_REMOVED")
    assert len(source.requests) == requests
    held.go_on.set()
    await until(log.no_url_is_kept)
    await until(lambda: log.has(media_id, "ingest_cancelled"))
    await until(lambda: log.nothing_is_left(runtime))


# What is said of it.


async def test_the_openapi_document_describes_the_route(runtime: Runtime) -> None:
    settings = msgspec.structs.replace(runtime.settings, docs=True)
    documented = msgspec.structs.replace(runtime, settings=settings)
    async with serving(app.create_app(documented)) as shown:
        paths = (await shown.get("/openapi.json")).json()["paths"]
    route = paths["/upload/ingest-url"]["post"]
    assert {"200", "202", "400", "403", "409", "502"} <= set(route["responses"])
    assert "Prefer" in {parameter["name"] for parameter in route["parameters"]}


# Secrets, and other people.


async def test_the_query_of_the_url_is_nowhere_once_it_was_used(
    client: ApiClient, source: HttpSource, log: Log, capfd: pytest.CaptureFixture[str]
) -> None:
    secret = "sig=Top5ecret"
    source.answers[f"/signed.png?{secret}"] = response(PNG)
    answer = await ingest(client, asked(source, f"/signed.png?{secret}#{secret}"))
    assert answer.status_code == 200, answer.text
    first = (await story(client, answer.json()["id"]))[0]
    assert first["data"]["source"] == source.url("/signed.png")
    assert await log.text_holding(secret) == 0
    await until(log.no_url_is_kept)
    assert secret not in "".join(capfd.readouterr())


async def test_the_app_itself_cannot_read_the_urls(runtime: Runtime) -> None:
    async with runtime.pool.connection() as connection:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute("SELECT url FROM ingest_sources")


async def test_another_workspace_neither_sees_nor_stops_an_ingest(
    client: ApiClient, stranger: ApiClient, source: HttpSource
) -> None:
    held = Held(source, "/mine.png")
    media_id = await begun(client, asked(source, "/mine.png"))
    refused(await stranger.send("GET", f"/upload/{media_id}"), 404, "MEDIA_NOT_FOUND")
    refused(await stranger.delete(media_id), 403, "OWNERSHIP_DENIED")
    held.go_on.set()
    await until(lambda: _has_status(client, media_id, "uploaded"))

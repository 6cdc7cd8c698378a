"""Malware scanning as a user and an operator meet it, with a real clamd behind."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest

from adapters.embedded import free_port
from adapters.runtime import Runtime, open_api_runtime, open_internal_runtime
from adapters.scanner_check import ScannerCheck
from adapters.settings import Settings
from api import app, internal_app
from application.integration_events import integration_event
from domain.media_type import MEDIA_TYPES
from tests.kit.clamd import SIGNATURE
from tests.kit.exposition import samples
from tests.kit.http import ApiClient, followed, new_id, refused, serving
from tests.kit.http_source import HttpSource, http_source, response
from tests.kit.samples import infected_pdf, sample
from tests.workers.processes import running, until
from workers import jobs, reactor

PDF: dict[str, Any] = {"contentType": "application/pdf", "fileName": "invoice.pdf"}


@pytest.fixture(scope="module")
async def source() -> AsyncIterator[HttpSource]:
    async with http_source() as source:
        source.answers["/bad.pdf"] = response(
            infected_pdf(), headers=[("Content-Type", "application/pdf")]
        )
        source.answers["/good.pdf"] = response(
            sample("application/pdf"), headers=[("Content-Type", "application/pdf")]
        )
        yield source


@pytest.fixture(scope="module")
def own_settings(settings: Settings, scanner: str, source: HttpSource) -> Settings:
    return msgspec.structs.replace(
        settings,
        scanner=scanner,
        permitted_sources=(source.pair,),
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


@pytest.fixture
def client(http: httpx.AsyncClient) -> ApiClient:
    return ApiClient(http, tenant=new_id("ls"), user=new_id("user"))


async def gone(runtime: Runtime, media_id: str) -> bool:
    """Whether no bucket holds a byte of the file."""
    file = (await runtime.media.load(media_id)).file(media_id)
    assert file is not None
    heads = [await runtime.objects.head(bucket, file.key) for bucket in ("incoming", "public")]
    return heads == [None, None]


async def told(runtime: Runtime, media_id: str) -> list[Any]:
    """What other services are told of the file."""
    events = (await runtime.media.load(media_id)).streams[media_id]
    return [one.data for event in events if (one := integration_event(event)) is not None]


@pytest.mark.parametrize("mime_type", list(MEDIA_TYPES))
async def test_a_clean_file_of_each_type_is_published_at_once(
    client: ApiClient, mime_type: str
) -> None:
    file = await client.upload(body=sample(mime_type), contentType=mime_type, fileName="a.file")
    assert file["status"] == "uploaded"


async def test_an_infected_upload_is_refused_for_good_and_its_bytes_are_removed(
    client: ApiClient, runtime: Runtime
) -> None:
    body = infected_pdf()
    presigned = await client.presign(fileSize=len(body), **PDF)
    media_id = presigned["mediaId"]
    assert (await client.put(presigned, body)).status_code == 200
    first = refused(await client.complete(media_id), 422, "INFECTED")
    assert first["details"]["reason"] == "infected"
    assert SIGNATURE in first["details"]["signature"]
    assert SIGNATURE in first["error"]
    again = refused(await client.complete(media_id), 422, "INFECTED")
    assert again["error"] == first["error"]
    status = (await client.get(f"/upload/{media_id}")).json()
    assert (status["status"], status["processing"]) == ("rejected", None)
    assert status["error"] == {"code": "INFECTED", "error": first["error"]}
    assert await client.listed() == []
    await until(lambda: gone(runtime, media_id))
    (rejection,) = await told(runtime, media_id)
    assert (rejection.TYPE, rejection.reason) == ("media.rejected", "infected")
    assert SIGNATURE in rejection.detail


async def test_an_infected_source_is_refused_as_an_upload_is(
    client: ApiClient, runtime: Runtime, source: HttpSource
) -> None:
    body = {"url": source.url("/bad.pdf"), "serviceCode": "blog"}
    answer = await client.send("POST", "/upload/ingest-url", json=body)
    error = refused(answer, 422, "INFECTED")
    media_id = error["details"]["mediaId"]
    assert SIGNATURE in error["error"]
    await until(lambda: gone(runtime, media_id))
    (rejection,) = await told(runtime, media_id)
    assert rejection.reason == "infected"
    good = {"url": source.url("/good.pdf"), "serviceCode": "blog"}
    assert (await client.send("POST", "/upload/ingest-url", json=good)).status_code == 200


async def test_while_the_scanner_is_away_uploads_wait_and_all_else_works(
    own_settings: Settings, client: ApiClient
) -> None:
    away = msgspec.structs.replace(own_settings, scanner=f"clamd://127.0.0.1:{free_port()}")
    kept = await client.upload(body=sample("application/pdf"), **PDF)
    async with open_api_runtime(away) as runtime, serving(app.create_app(runtime)) as http:
        waiting = ApiClient(http, tenant=client.tenant, user=client.user)
        presigned = await waiting.presign(fileSize=len(sample("application/pdf")), **PDF)
        await waiting.put(presigned, sample("application/pdf"))
        answer = await waiting.complete(presigned["mediaId"])
        assert answer.status_code == 202
        assert answer.json()["processing"] == "scanning"
        status = await waiting.get(f"/upload/{presigned['mediaId']}")
        # The workers' scanner is not away, and they may be quicker than this look.
        assert status.json()["processing"] in {"scanning", "verifying", None}
        assert (await waiting.get(f"/files/{kept['id']}")).status_code == 200
        assert (await http.get("/ready")).status_code == 200

        async def uploaded() -> bool:
            found = await waiting.get(f"/upload/{presigned['mediaId']}")
            return bool(found.json()["status"] == "uploaded")

        await until(uploaded)


async def test_an_operator_sees_whether_the_scanner_works(own_settings: Settings) -> None:
    for scanner, works in (
        (own_settings.scanner, True),
        (f"clamd://127.0.0.1:{free_port()}", False),
    ):
        settings = msgspec.structs.replace(own_settings, scanner=scanner)
        async with (
            open_internal_runtime(settings) as runtime,
            serving(internal_app.create_app(runtime)) as http,
        ):
            check = runtime.scanner
            assert check is not None

            async def looked(check: ScannerCheck = check) -> bool:
                return check.trouble != "not checked yet"

            async def ready(http: httpx.AsyncClient = http) -> bool:
                return (await http.get("/ready")).status_code == 200

            await until(looked)
            # A process without its scanner is not unfit: it answers, and uploads wait.
            await until(ready)

            async def told(http: httpx.AsyncClient = http, *, works: bool = works) -> bool:
                checks = (await http.get("/ready")).json()["checks"]
                return bool(checks["scanner"] == ("ok" if works else "failed"))

            # A look that took too long is repeated.
            await until(told)
            found = samples((await http.get("/metrics")).text)
            assert found['media_source_up{source="scanner"}'] == int(works)
            assert found["media_failed_scans"] == 0
            assert found["media_waiting_scans"] >= 0


async def test_without_a_scanner_nothing_is_said_of_one(settings: Settings) -> None:
    async with (
        open_internal_runtime(settings) as runtime,
        serving(internal_app.create_app(runtime)) as http,
    ):
        assert "scanner" not in (await http.get("/ready")).json()["checks"]
        assert "scanner" not in (await http.get("/metrics")).text.replace("scans", "")

"""Every refusal has its status; our own trouble is told without its inside."""

import asyncio

import msgspec
import pytest

from adapters.runtime import Runtime, open_api_runtime
from adapters.settings import Settings
from api import app, errors
from domain.errors import MediaError
from tests.kit.http import ApiClient, asked, refused, serving
from tests.workers.processes import Gate


def leaves(kind: type[MediaError]) -> set[type[MediaError]]:
    below = kind.__subclasses__()
    return set().union(*map(leaves, below)) if below else {kind}


def test_every_refusal_has_a_status_and_a_code_of_its_own() -> None:
    assert leaves(MediaError) == set(errors.STATUS)
    codes = [kind.code for kind in errors.STATUS]
    assert len(codes) == len(set(codes))


def client_of(runtime: Runtime) -> ApiClient:
    return ApiClient(serving(app.create_app(runtime)), tenant="ls_errors")


async def test_without_a_database_every_route_answers_db_error_and_presign_gives_no_url(
    settings: Settings,
) -> None:
    async with open_api_runtime(settings) as runtime:
        await runtime.pool.close()
        client = client_of(runtime)
        body = refused(await client.send("POST", "/upload/presign", json=asked()), 500, "DB_ERROR")
        assert "details" not in body
        media_id = "media_xK9mQ2pLw3RtYb8c"
        for path in (
            "/files",
            "/files/stats",
            f"/files/{media_id}",
            f"/files/{media_id}/history",
            f"/files/{media_id}/download",
            f"/upload/{media_id}",
        ):
            refused(await client.get(path), 500, "DB_ERROR")
        refused(await client.complete(media_id), 500, "DB_ERROR")
        refused(await client.delete(media_id), 500, "DB_ERROR")
        ids = {"ids": [media_id]}
        answer = await client.send("POST", "/files/bulk-delete", json=ids)
        refused(answer, 500, "DB_ERROR")
        await client.http.aclose()


@pytest.mark.long
async def test_a_database_whose_packets_vanish_holds_no_request_for_long(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.runtime.TRANSACTION_SECONDS", 1)
    async with Gate(settings.database_url) as gate:
        gate.open()
        by_way_of = msgspec.structs.replace(settings, database_url=gate.url)
        async with open_api_runtime(by_way_of) as runtime:
            runtime.pool.timeout = 5
            client = client_of(runtime)
            assert (await client.get("/files")).status_code == 200
            gate.freeze()
            async with asyncio.timeout(60):
                answers = await asyncio.gather(
                    *(client.get("/files") for _ in range(20)),
                    client.send("POST", "/upload/presign", json=asked()),
                )
            for answer in answers:
                refused(answer, 500, "DB_ERROR")
            gate.thaw()
            runtime.pool.timeout = 30
            assert (await client.get("/files")).status_code == 200
            await client.http.aclose()


async def test_a_crash_is_an_internal_error_that_says_nothing(runtime: Runtime) -> None:
    def broken_clock() -> None:
        raise ZeroDivisionError("secret inside")

    client = client_of(msgspec.structs.replace(runtime, clock=broken_clock))
    answer = await client.send("POST", "/upload/presign", json=asked())
    body = refused(answer, 500, "INTERNAL_ERROR")
    assert "details" not in body
    assert "secret" not in answer.text
    await client.http.aclose()


async def test_an_object_store_that_is_away_is_r2_unavailable(
    settings: Settings, client: ApiClient
) -> None:
    pending = await client.presign()
    away = msgspec.structs.replace(settings, s3_endpoint="http://127.0.0.1:9")
    async with open_api_runtime(away) as runtime:
        other = client_of(runtime).but(tenant=client.tenant)
        refused(await other.complete(pending["mediaId"]), 502, "R2_UNAVAILABLE")
        await other.http.aclose()

"""Health, readiness, documentation."""

import json

import httpx
import msgspec
import pytest

from adapters.runtime import Runtime, open_api_runtime
from adapters.settings import Settings
from api import app
from tests.kit.http import ApiClient, refused, serving
from tests.workers.processes import until


async def test_health_is_exactly_this_and_asks_nobody(http: httpx.AsyncClient) -> None:
    answer = await http.get("/health")
    assert answer.status_code == 200
    assert answer.content == b'{"status":"ok","service":"media","version":"1.0.0"}'
    head = await http.head("/health")
    assert (head.status_code, head.content) == (200, b"")


async def test_ready_names_every_dependency(client: ApiClient) -> None:
    async def ready() -> bool:
        return (await client.http.get("/ready")).status_code == 200

    # Each follower has started.
    await until(ready)
    assert (await client.http.get("/ready")).json() == {
        "status": "ok",
        "checks": {"postgres": "ok", "redis": "ok", "objectStore": "ok", "projections": "ok"},
    }


@pytest.mark.usefixtures("_followers")
@pytest.mark.parametrize(
    ("changes", "failed"),
    [
        ({"redis_url": "redis://127.0.0.1:9/0"}, {"redis"}),
        ({"s3_endpoint": "http://127.0.0.1:9"}, {"objectStore"}),
        (
            {"database_url": "postgresql://nobody@127.0.0.1:9/none"},
            {"postgres", "projections"},
        ),
    ],
)
async def test_not_ready_is_503_and_says_what_is_away(
    settings: Settings, changes: dict[str, str], failed: set[str]
) -> None:
    async with (
        open_api_runtime(msgspec.structs.replace(settings, **changes)) as runtime,
        serving(app.create_app(runtime)) as http,
    ):
        if "database_url" in changes:
            runtime.pool.timeout = 1

        async def as_told() -> bool:
            answer = await http.get("/ready")
            assert answer.status_code == 503
            checks = answer.json()["checks"]
            return {name for name, state in checks.items() if state != "ok"} == failed

        # Until each follower has started, their check fails too.
        await until(as_told)
        assert (await http.get("/health")).status_code == 200


async def test_the_documentation_is_there_only_where_it_is_wanted(
    runtime: Runtime, http: httpx.AsyncClient
) -> None:
    for path in ("/openapi.json", "/docs", "/docs/page.js", "/schema"):
        refused(await http.get(path), 404, "NOT_FOUND")
    settings = msgspec.structs.replace(runtime.settings, docs=True)
    shown = app.create_app(msgspec.structs.replace(runtime, settings=settings))
    async with serving(shown) as client:
        document = (await client.get("/openapi.json")).json()
        page = await client.get("/docs")
        script = await client.get("/docs/page.js")
    assert set(document["paths"]) == {
        "/upload/presign",
        "/upload/complete",
        "/upload/ingest-url",
        "/upload/{media_id}",
        "/upload/report",
        "/files",
        "/files/events",
        "/files/stats",
        "/files/{media_id}",
        "/files/{media_id}/download",
        "/files/{media_id}/history",
        "/files/{media_id}/purge",
        "/files/{media_id}/purge-cache",
        "/files/{media_id}/restore",
        "/files/{media_id}/signed-url",
        "/files/bulk-delete",
        "/commands/{command_id}/undo",
        "/cdn/{key}",
        "/m/{media_id}",
        "/audit",
        "/audit/export",
        "/webhooks",
        "/webhooks/{webhook_id}",
        "/webhooks/{webhook_id}/deliveries",
        "/webhooks/{webhook_id}/deliveries/{position}/redeliver",
        "/webhooks/{webhook_id}/ping",
        "/webhooks/{webhook_id}/replay",
        "/webhooks/{webhook_id}/rotate-secret",
        "/health",
        "/ready",
    }
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("HTTP", "")
    assert script.headers["content-type"].startswith("text/javascript")


async def test_every_schema_the_document_names_is_in_it(runtime: Runtime) -> None:
    settings = msgspec.structs.replace(runtime.settings, docs=True)
    shown = app.create_app(msgspec.structs.replace(runtime, settings=settings))
    async with serving(shown) as client:
        text = (await client.get("/openapi.json")).text
    named = {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}
    assert named == set(json.loads(text)["components"]["schemas"])

"""The internal app: resolve, removal of workspaces, failures, metrics."""

from collections.abc import AsyncIterator

import httpx
import pytest

from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings
from api.operations import HEALTH
from application.context import SystemContext
from tests.kit.http import ApiClient, refused
from tests.workers.processes import until


@pytest.fixture(scope="module")
async def jobs(settings: Settings) -> AsyncIterator[Runtime]:
    async with open_jobs_runtime(settings) as opened:
        yield opened


async def resolve(internal: httpx.AsyncClient, by: ApiClient, **body: object) -> httpx.Response:
    through = by.but()
    through.http = internal
    return await through.query("POST", "/internal/resolve", json=body)


async def test_resolve_gives_urls_and_names_what_is_missing(
    client: ApiClient, stranger: ApiClient, internal: httpx.AsyncClient
) -> None:
    public, private = await client.upload(), await client.upload(isPublic=False)
    pending, deleted = await client.presign(), await client.upload()
    await client.delete(deleted["id"])
    ids = [private["id"], "nonsense", public["id"], pending["mediaId"], deleted["id"], public["id"]]
    answer = await resolve(internal, client, mediaIds=ids)
    assert answer.status_code == 200
    shown = {"mimeType": "image/png", "fileName": "hero.png", "fileSize": public["fileSize"]}
    assert answer.json() == {
        "resolved": {
            public["id"]: {"url": public["url"], **shown},
            private["id"]: {"url": None, **shown},
        },
        "missing": ["nonsense", pending["mediaId"], deleted["id"]],
    }
    own = await resolve(internal, client, mediaIds=[public["id"]], tenantId=client.tenant)
    assert set(own.json()["resolved"]) == {public["id"]}
    other = await resolve(internal, client, mediaIds=[public["id"]], tenantId=stranger.tenant)
    assert other.json() == {"resolved": {}, "missing": [public["id"]]}


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"mediaIds": []}, "INVALID_FIELD", "mediaIds"),
        ({"mediaIds": ["a", 1]}, "INVALID_FIELD", "mediaIds"),
        ({"mediaIds": [f"m{n}" for n in range(501)]}, "INVALID_FIELD", "mediaIds"),
        ({"mediaIds": ["a"], "tenantId": "users"}, "INVALID_FIELD", "tenantId"),
        ({}, "MISSING_FIELDS", None),
    ],
)
async def test_a_wrong_resolve_is_refused(
    internal: httpx.AsyncClient, body: object, code: str, field: str | None
) -> None:
    refused(await internal.post("/internal/resolve", json=body), 400, code, field)


async def test_five_hundred_ids_resolve_at_once(
    client: ApiClient, internal: httpx.AsyncClient
) -> None:
    file = await client.upload()
    ids = [f"media_{number:016}" for number in range(499)]
    answer = await resolve(internal, client, mediaIds=[*ids, file["id"]])
    assert set(answer.json()["resolved"]) == {file["id"]}
    assert answer.json()["missing"] == ids


async def test_the_internal_app_has_no_public_route(internal: httpx.AsyncClient) -> None:
    refused(await internal.get("/files"), 404, "NOT_FOUND")
    assert (await internal.get("/health")).content == HEALTH

    async def ready() -> bool:
        return (await internal.get("/ready")).status_code == 200

    # A process is ready once its decoders have shown that they work.
    await until(ready, seconds=60)


@pytest.mark.parametrize("tenant", ["users", "a.b", "x" * 65])
async def test_a_tenant_that_cannot_be_is_not_removed(
    internal: httpx.AsyncClient, tenant: str
) -> None:
    answer = await internal.delete(f"/internal/tenants/{tenant}")
    refused(answer, 400, "INVALID_FIELD", "tenantId")


async def test_a_failed_purge_is_shown_and_can_be_retried(
    client: ApiClient, internal: httpx.AsyncClient, jobs: Runtime
) -> None:
    file = await client.upload()
    await client.delete(file["id"])
    owner = client.but(permissions="system:owner")
    assert (await owner.send("POST", f"/files/{file['id']}/purge")).status_code == 200
    context = SystemContext(
        actor="system:jobs",
        at=jobs.clock(),
        command_id=jobs.identities.command_id(),
        correlation_id="request-1",
    )
    await jobs.deletion.record_purge_failure(file["id"], "the store said 500", context)
    while not (shown := (await internal.get("/internal/failures")).json()["items"]):
        await client.get("/files")
    assert [(item["mediaId"], item["kind"], item["error"]) for item in shown] == [
        (file["id"], "purge", "the store said 500")
    ]
    path = f"/internal/failures/{file['id']}/retry"
    assert (await internal.post(path)).status_code == 202
    refused(await internal.post(path), 404, "MEDIA_NOT_FOUND")

"""What `/metrics` says, of the system and of each process; and the reports of browsers."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import redis

from adapters.dramatiq_queue import DramatiqQueue
from adapters.runtime import open_internal_runtime
from adapters.settings import Settings
from api import app, internal_app
from application.jobs import SweepUploads
from tests.kit.exposition import samples
from tests.kit.http import ApiClient, asked, followed, new_id, refused, serving
from tests.workers.processes import process

REPORT = "/upload/report"
FOLLOWERS = ("file_list_v2", "storage_stats_v1", "pending_uploads_v1", "audit_trail_v2")


@pytest.fixture
async def own(settings: Settings) -> AsyncIterator[tuple[ApiClient, httpx.AsyncClient]]:
    """A client of a public app of this test's own, and the internal app beside it."""
    async with (
        open_internal_runtime(settings) as runtime,
        followed(settings),
        serving(app.create_app(runtime)) as http,
        serving(internal_app.create_app(runtime)) as internal,
    ):
        yield ApiClient(http, tenant=new_id("ls"), user=new_id("user")), internal


async def metrics(http: httpx.AsyncClient) -> dict[str, float]:
    answer = await http.get("/metrics")
    assert answer.status_code == 200
    return samples(answer.text)


async def test_the_library_the_log_and_the_queue_are_told(
    own: tuple[ApiClient, httpx.AsyncClient], settings: Settings
) -> None:
    client, internal = own
    before = await metrics(internal)
    file = await client.upload()
    await client.presign()
    await client.listed()
    queue = DramatiqQueue(settings.redis_url, namespace=settings.redis_namespace)
    queue.send(SweepUploads())
    queue.send(SweepUploads(), delay_seconds=60)
    while True:
        after = await metrics(internal)
        counted = after["media_stored_files"] == before["media_stored_files"] + 1
        followed_by = [
            after.get(f'media_follower_position{{follower="{one}"}}', 0) for one in FOLLOWERS
        ]
        if counted and after["media_pending_uploads"] >= 1 and all(followed_by):
            break
    assert after["media_stored_bytes"] == before["media_stored_bytes"] + file["fileSize"]
    assert after["media_stale_uploads"] == 0
    assert after["media_failed_purges"] == 0
    assert after["media_oldest_writer_seconds"] >= 0
    assert after['media_queue_jobs{state="ready"}'] == 1
    assert after['media_queue_jobs{state="delayed"}'] == 1
    first = after["media_queue_oldest_seconds"]
    assert 0 < first < 60
    assert (await metrics(internal))["media_queue_oldest_seconds"] > first
    assert after['media_source_up{source="postgres"}'] == 1
    assert after['media_source_up{source="redis"}'] == 1
    for follower in FOLLOWERS:
        assert after[f'media_follower_lag_seconds{{follower="{follower}"}}'] >= 0
        assert after[f'media_follower_position{{follower="{follower}"}}'] > 0
    assert after['media_projected_events_total{read_model="file_list_v2"}'] > 0
    assert after['media_pool_connections{pool="media-internal",state="max"}'] > 0
    assert after['media_object_store_seconds_count{operation="copy_object"}'] > 0
    queue.close()
    with redis.Redis.from_url(settings.redis_url) as one:
        one.flushdb()


@pytest.mark.parametrize(
    ("away", "source", "kept"),
    [
        ({"redis_url": "redis://127.0.0.1:9/0"}, "redis", "media_stored_bytes"),
        (
            {"database_url": "postgresql://nobody@127.0.0.1:9/none"},
            "postgres",
            'media_queue_jobs{state="ready"}',
        ),
    ],
)
async def test_what_is_away_is_named_and_the_rest_is_told(
    settings: Settings, away: dict[str, str], source: str, kept: str
) -> None:
    async with (
        open_internal_runtime(msgspec.structs.replace(settings, **away)) as runtime,
        serving(internal_app.create_app(runtime)) as internal,
    ):
        if "database_url" in away:
            runtime.pool.timeout = 1
        told = await metrics(internal)
    assert {name for name, value in told.items() if "media_source_up" in name and not value} == {
        f'media_source_up{{source="{source}"}}'
    }
    assert kept in told


async def test_a_report_of_a_browser_is_counted_by_how_the_put_ended(client: ApiClient) -> None:
    media_id = (await client.presign())["mediaId"]
    before = await reports(client)
    for status in (0, 403, 404, 500, 503, 412, 200, 301):
        body = {"mediaId": media_id, "stage": "put", "status": status, "attempt": 1}
        answer = await client.send("POST", REPORT, json=body)
        assert (answer.status_code, answer.content) == (204, b"")
        assert int(answer.headers["media-position"]) > 0
    after = await reports(client)
    counted = {name: after[name] - before.get(name, 0) for name in after}
    assert counted == {"no_answer": 1, "4xx": 2, "5xx": 2, "exists": 1, "stored": 1, "other": 1}


async def reports(client: ApiClient) -> dict[str, float]:
    """By outcome, from the registry of the app that the client speaks to."""
    transport: Any = client.http._transport
    found = {}
    for family in transport.app.metrics.registry.collect():
        if family.name == "media_upload_reports":
            for sample in family.samples:
                if sample.name.endswith("_total"):
                    found[sample.labels["outcome"]] = sample.value
    return found


async def test_a_repeated_report_with_a_key_is_counted_once(client: ApiClient) -> None:
    media_id = (await client.presign())["mediaId"]
    before = (await reports(client)).get("5xx", 0)
    body = {"mediaId": media_id, "stage": "put", "status": 500, "attempt": 1}
    headers = {"idempotency-key": new_id("key")}
    for _ in range(3):
        answer = await client.send("POST", REPORT, json=body, headers=headers)
        assert answer.status_code == 204
    assert (await reports(client))["5xx"] == before + 1
    other = await client.send("POST", REPORT, json=body | {"attempt": 2}, headers=headers)
    refused(other, 409, "IDEMPOTENCY_CONFLICT")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"mediaId": None}, "MISSING_FIELDS", None),
        ({"status": None}, "MISSING_FIELDS", None),
        ({"stage": "copy"}, "INVALID_FIELD", "stage"),
        ({"status": -1}, "INVALID_FIELD", "status"),
        ({"status": 600}, "INVALID_FIELD", "status"),
        ({"status": "500"}, "INVALID_FIELD", "status"),
        ({"status": True}, "INVALID_FIELD", "status"),
        ({"attempt": 0}, "INVALID_FIELD", "attempt"),
        ({"attempt": 1001}, "INVALID_FIELD", "attempt"),
    ],
)
async def test_a_wrong_report_is_refused(
    client: ApiClient, changes: dict[str, object], code: str, field: str | None
) -> None:
    media_id = (await client.presign())["mediaId"]
    body: dict[str, object] = {"mediaId": media_id, "stage": "put", "status": 500, "attempt": 1}
    given = {name: value for name, value in (body | changes).items() if value is not None}
    refused(await client.send("POST", REPORT, json=given), 400, code, field)


async def test_nobody_reports_for_others(client: ApiClient, stranger: ApiClient) -> None:
    media_id = (await client.presign())["mediaId"]
    body = {"mediaId": media_id, "stage": "put", "status": 500, "attempt": 1}
    refused(await stranger.send("POST", REPORT, json=body), 404, "MEDIA_NOT_FOUND")
    reader = client.but(permissions="media:files.read")
    refused(await reader.send("POST", REPORT, json=body), 403, "FORBIDDEN")
    unknown = body | {"mediaId": "media_xK9mQ2pLw3RtYb8c"}
    refused(await client.send("POST", REPORT, json=unknown), 404, "MEDIA_NOT_FOUND")


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("api.app", 'media_requests_total{route="media.health",status="200"}'),
        ("workers.projector", 'media_pool_connections{pool="media-projector",state="max"}'),
        ("workers.jobs", 'media_pool_connections{pool="media-jobs",state="max"}'),
    ],
)
async def test_each_process_serves_its_own_numbers_on_a_port_of_its_own(
    settings: Settings, module: str, told: str
) -> None:
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        port, metrics_port = one.getsockname()[1], other.getsockname()[1]
    changed = msgspec.structs.replace(settings, port=port, metrics_port=metrics_port)
    async with process(module, changed) as child, httpx.AsyncClient() as http:
        async with asyncio.timeout(60):
            while True:
                assert child.returncode is None
                with contextlib.suppress(httpx.TransportError):
                    if module == "api.app":
                        await http.get(f"http://127.0.0.1:{port}/health")
                    text = (await http.get(f"http://127.0.0.1:{metrics_port}/metrics")).text
                    if told in samples(text):
                        break
                await asyncio.sleep(0.05)
    assert samples(text)["process_resident_memory_bytes"] > 0


async def test_the_public_app_has_no_metrics_route(client: ApiClient) -> None:
    refused(await client.send("GET", "/metrics"), 404, "NOT_FOUND")
    refused(await client.send("POST", REPORT, json=asked()), 400, "MISSING_FIELDS")

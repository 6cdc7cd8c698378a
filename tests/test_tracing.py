"""Traces: from a request over its command, append and S3 calls to the job, at a real collector."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
import msgspec
import pytest

from adapters.settings import Settings
from adapters.tracing import ids_of
from tests.api.test_process import started
from tests.kit.collector import Collector, Received, collector
from tests.kit.http import ApiClient, new_id
from tests.workers.processes import ROOT, environment_of, process, until

TOKEN = "token-of-the-collector"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

pytestmark = pytest.mark.long


@asynccontextmanager
async def system(settings: Settings) -> AsyncIterator[ApiClient]:
    """The public app and the workers, each a process."""
    async with AsyncExitStack() as stack:
        _, url = await stack.enter_async_context(started("api.app", settings))
        for name in ("projector", "reactor", "jobs"):
            await stack.enter_async_context(process(f"workers.{name}", settings))
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=60))
        yield ApiClient(http, tenant=new_id("ls"), user=new_id("user"))


def only(spans: list[Received]) -> Received:
    (span,) = spans
    return span


async def test_a_request_its_command_its_append_and_its_job_are_told(settings: Settings) -> None:
    with collector() as collected:
        changed = msgspec.structs.replace(
            settings,
            otel_exporter_otlp_endpoint=collected.url,
            otel_exporter_otlp_headers=f"authorization=Bearer%20{TOKEN}",
        )
        async with system(changed) as client:
            file = await client.upload()
            deleted = await client.send(
                "DELETE", f"/files/{file['id']}", headers={"x-request-id": "request-1"}
            )
            assert deleted.status_code == 200
            traced = {"x-request-id": "request-2", "traceparent": TRACEPARENT}
            await client.send("GET", "/files", headers=traced)

            async def all_told() -> bool:
                wanted = {"media.files.delete", "media.job.place_objects", "media.files.list"}
                wanted |= {"media.upload.complete", "project file_list_v2", "request.anchor"}
                return wanted <= {span.name for span in collected.spans}

            await until(all_told, seconds=60)
        look_at(collected, file["id"])


def look_at(collected: Collector, media_id: str) -> None:
    request = only(collected.named("media.files.delete"))
    trace_id, span_id = ids_of("request-1")
    assert (request.trace_id, request.span_id) == (f"{trace_id:032x}", f"{span_id:016x}")
    assert request.process == "api"
    assert request.attributes["media.mediaId"] == media_id
    assert request.attributes["media.status"] == 200
    inside = {span.span_id: span for span in collected.spans if span.trace_id == request.trace_id}
    append = only([one for one in inside.values() if one.name == "PostgresEventStore.append"])
    command = inside[append.parent_id]
    assert command.name == "Deletion.delete_file"
    assert command.parent_id == request.span_id

    jobs = [
        span
        for span in collected.named("media.job.place_objects")
        if span.attributes["media.requestId"] == "request-1"
    ]
    assert jobs
    for job in jobs:
        assert job.links == [(request.trace_id, request.span_id)]
        assert job.process == "jobs"
    calls = [span for span in collected.spans if span.trace_id in {job.trace_id for job in jobs}]
    assert {"s3.delete_object", "s3.delete_objects"} & {span.name for span in calls}

    # Asked again while the verification takes longer than a request waits.
    traces = {span.trace_id for span in collected.named("media.upload.complete")}
    names = {span.name for span in collected.spans if span.trace_id in traces}
    assert {"Uploads.complete_upload", "s3.head_object", "s3.copy_object"} <= names
    batch = collected.named("project file_list_v2")[0]
    assert batch.attributes["media.events"] >= 1

    listed = only(collected.named("media.files.list"))
    assert (listed.trace_id, listed.parent_id) == tuple(TRACEPARENT.split("-")[1:3])
    anchor = only(collected.named("request.anchor"))
    assert anchor.links == [(listed.trace_id, listed.span_id)]
    assert anchor.trace_id == f"{ids_of('request-2')[0]:032x}"

    assert {headers["authorization"] for headers in collected.headers} == {f"Bearer {TOKEN}"}


async def test_no_secret_is_in_any_span(settings: Settings) -> None:
    with collector() as collected:
        changed = msgspec.structs.replace(settings, otel_exporter_otlp_endpoint=collected.url)
        async with system(changed) as client:
            file = await client.upload()
            await client.send("GET", f"/files/{file['id']}/download")
            await client.but(key="wrong-key-of-somebody").send("GET", "/files")
            key = {"idempotency-key": new_id("key")}
            await client.delete(file["id"], headers=key)

            async def told() -> bool:
                wanted = {"media.job.place_objects", "media.files.download", "media.files.delete"}
                return wanted <= {span.name for span in collected.spans}

            await until(told, seconds=60)
        sent = b"".join(collected.bodies)
    assert b"media.files.download" in sent
    for secret in (
        client.key,
        "wrong-key-of-somebody",
        key["idempotency-key"],
        settings.s3_secret_key,
        settings.s3_access_key,
        "X-Amz-Signature",
        "X-Amz-Credential",
        "postgresql://",
        "redis://",
    ):
        assert secret.encode() not in sent


async def test_a_collector_that_is_away_holds_nothing_up(settings: Settings) -> None:
    away = msgspec.structs.replace(settings, otel_exporter_otlp_endpoint="http://127.0.0.1:9")
    async with (
        started("api.app", away) as (child, url),
        httpx.AsyncClient(base_url=url, timeout=60) as http,
    ):
        await ApiClient(http, tenant=new_id("ls")).presign()
        child.terminate()
        assert await asyncio.wait_for(child.wait(), 60) == 0


WITHOUT = "import sys; sys.modules['opentelemetry'] = None; "


def test_without_the_packages_everything_but_tracing_works() -> None:
    code = f"{WITHOUT}import api.app, api.internal_app, workers.jobs, workers.projector"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_a_collector_without_the_packages_is_told_in_a_sentence(settings: Settings) -> None:
    asked = msgspec.structs.replace(settings, otel_exporter_otlp_endpoint="http://127.0.0.1:9")
    code = f"{WITHOUT}import runpy; runpy.run_module('workers.reactor', run_name='__main__')"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=dict(environment_of(asked)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "requirements/tracing.txt" in ended.stdout

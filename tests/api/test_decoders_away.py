"""A machine whose decoders do not start: nothing is published, nothing is lost, and it shows."""

import sys
from collections.abc import AsyncIterator

import httpx
import pytest

from adapters.runtime import Runtime, open_api_runtime, open_internal_runtime, open_jobs_runtime
from adapters.settings import Settings
from api import app, internal_app
from tests.kit.http import ApiClient, new_id, serving
from tests.kit.library import Library
from tests.workers.processes import until


@pytest.fixture
def _broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the image lacked a library: every fork server ends before it greets."""
    monkeypatch.setattr(sys, "executable", "/bin/false")


@pytest.fixture
async def jobs(settings: Settings) -> AsyncIterator[Runtime]:
    async with open_jobs_runtime(settings) as opened:
        yield opened


async def checks(http: httpx.AsyncClient) -> dict[str, str]:
    return dict((await http.get("/ready")).json()["checks"])


async def test_the_internal_app_is_ready_once_a_file_of_each_kind_was_decoded(
    internal: httpx.AsyncClient,
) -> None:
    async def ready() -> bool:
        return (await internal.get("/ready")).status_code == 200

    await until(ready)
    assert (await checks(internal))["decoders"] == "ok"


@pytest.mark.usefixtures("_broken")
async def test_the_internal_app_says_that_the_decoders_do_not_start(settings: Settings) -> None:
    async with (
        open_internal_runtime(settings) as runtime,
        serving(internal_app.create_app(runtime)) as http,
    ):

        async def tried() -> bool:
            return "does not start" in (runtime.decoders.trouble or "")

        await until(tried)
        assert (await http.get("/ready")).status_code == 503
        assert (await checks(http))["decoders"] == "failed"


async def test_an_upload_waits_for_a_worker_whose_decoders_start(
    settings: Settings, jobs: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The fork servers of the jobs process run already; those of the broken one never will.
    async def working() -> bool:
        return jobs.decoders.trouble is None

    await until(working)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    async with (
        open_api_runtime(settings) as broken,
        serving(app.create_app(broken)) as http,
    ):
        client = ApiClient(http, tenant=new_id("ls"))
        presigned = await client.presign()
        await client.put(presigned)
        for _ in range(2):
            answer = await client.complete(presigned["mediaId"])
            assert answer.status_code == 202, answer.text
            assert answer.json()["processing"] == "verifying"
        assert await broken.objects.head("public", presigned["key"]) is None
        monkeypatch.undo()
        await jobs.uploads.verify_upload(presigned["mediaId"], Library(jobs).system())
        completed = await client.complete(presigned["mediaId"])
        assert completed.status_code == 200
        status = (await client.get(f"/upload/{presigned['mediaId']}")).json()
        assert status["status"] == "uploaded"
        assert await jobs.objects.head("public", presigned["key"]) is not None

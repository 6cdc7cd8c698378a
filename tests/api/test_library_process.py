"""Two browsers at the real processes, one of them cut off while much changes: both end the same."""

import asyncio

import httpx
import pytest

from adapters.settings import Settings
from tests.api.test_library_changes import Facts
from tests.api.test_process import started
from tests.kit.http import ApiClient, new_id
from tests.kit.log import event_store
from tests.kit.sse import streaming
from tests.workers.processes import process

CUT_SECONDS = 0.0
"""How long the cut lasts beyond its changes. Tried by hand with 30."""
CHANGES = 50


@pytest.mark.timeout(180)
async def test_a_browser_that_was_cut_off_during_fifty_changes_ends_as_one_that_was_not(
    settings: Settings,
) -> None:
    async with (
        process("workers.projector", settings),
        started("api.app", settings) as (_, url),
        httpx.AsyncClient(base_url=url, timeout=60) as http,
        event_store(settings.database_url, "media_worker") as store,
    ):
        client = ApiClient(http, tenant=new_id("ls"), user=new_id("user"))
        facts = Facts(store, f"t:{client.tenant}")
        async with streaming(url, client) as whole:
            async with streaming(url, client) as cut:
                await facts.change(10)
                await cut.until(lambda one: set(one.files) == facts.alive)
            for _ in range(CHANGES):
                await facts.change(1)
                await asyncio.sleep(CUT_SECONDS / CHANGES)
            async with streaming(url, client, last_id=cut.last_id, files=cut.files) as again:
                await again.until(lambda one: set(one.files) == facts.alive)
                await facts.change(5)
                await again.until(lambda one: set(one.files) == facts.alive)
                await whole.until(lambda one: set(one.files) == facts.alive)
                assert again.files == whole.files
                assert "resync" not in [*again.names, *whole.names]
        listed = {file["id"]: file for file in await client.listed(limit=100)}
        assert listed == whole.files

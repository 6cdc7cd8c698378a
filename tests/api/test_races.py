"""Complete, delete and the expiry sweep at the same file, in all orders and at once."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import httpx
import pytest

from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings
from application.context import SystemContext
from tests.kit.http import ApiClient
from workers.work_list import ReadModelWorkList

STEPS = ("complete", "delete", "sweep")
ENDINGS = {
    "media_file.upload_cancelled.v1",
    "media_file.upload_expired.v1",
    "media_file.file_deleted.v2",
}


@pytest.fixture(scope="module")
async def jobs(settings: Settings) -> AsyncIterator[Runtime]:
    """What the job workers run on."""
    async with open_jobs_runtime(settings) as opened:
        yield opened


class Race:
    """One stored upload and what may befall it."""

    def __init__(self, client: ApiClient, jobs: Runtime, media_id: str) -> None:
        self.client = client
        self.jobs = jobs
        self.media_id = media_id
        self.answers: dict[str, httpx.Response] = {}

    def step(self, name: str) -> Callable[[], Awaitable[None]]:
        return {"complete": self.complete, "delete": self.delete, "sweep": self.sweep}[name]

    async def complete(self) -> None:
        self.answers["complete"] = await self.client.complete(self.media_id)

    async def delete(self) -> None:
        self.answers["delete"] = await self.client.delete(self.media_id)

    async def sweep(self) -> None:
        """As it will be run in a day and a half."""
        await self.client.get(f"/files/{self.media_id}")  # the pending uploads have it now
        context = SystemContext(
            actor="system:sweep",
            at=self.jobs.clock() + timedelta(hours=36),
            command_id=self.jobs.identities.command_id(),
            correlation_id="sweep",
        )
        await self.jobs.upkeep.sweep_uploads(ReadModelWorkList(self.jobs.pool), context)

    async def types(self) -> list[str]:
        histories = await self.jobs.media.load(self.media_id)
        return [recorded.event.TYPE for recorded in histories.streams[self.media_id]]


@pytest.fixture
async def race(client: ApiClient, jobs: Runtime) -> Race:
    presigned = await client.presign()
    await client.put(presigned)
    return Race(client, jobs, presigned["mediaId"])


async def check(race: Race) -> None:
    """The log tells one life, and the answers tell the same."""
    types = await race.types()
    completed = types.count("media_file.upload_completed.v1")
    ended = [kind for kind in types if kind in ENDINGS]
    assert completed <= 1
    assert len(ended) <= 1
    if completed:
        assert race.answers["complete"].status_code == 200
        assert ended in ([], ["media_file.file_deleted.v2"])
    else:
        assert race.answers["complete"].status_code in {404, 410}
        assert ended != ["media_file.file_deleted.v2"]
    deleted = race.answers["delete"].status_code == 200
    assert deleted == (ended not in ([], ["media_file.upload_expired.v1"]))


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids="-".join)
async def test_one_after_the_other_in_every_order(race: Race, order: tuple[str, ...]) -> None:
    for name in order:
        await race.step(name)()
    await check(race)
    types = await race.types()
    if order[0] == "complete":
        assert types[1:] == ["media_file.upload_completed.v1", "media_file.file_deleted.v2"]
    elif order[0] == "delete":
        assert types[1:] == ["media_file.upload_cancelled.v1"]
    else:
        assert types[1:] == ["media_file.upload_expired.v1"]


@pytest.mark.parametrize("order", list(itertools.permutations(STEPS)), ids="-".join)
async def test_all_at_once(race: Race, order: tuple[str, ...]) -> None:
    await asyncio.gather(*(race.step(name)() for name in order))
    await check(race)


async def test_fifty_deletes_at_once_delete_once(client: ApiClient) -> None:
    file = await client.upload()
    answers = await asyncio.gather(*(client.delete(file["id"]) for _ in range(50)))
    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [404] * 49

"""A receiver that is down for 500 events and unreliable afterwards, over the real process."""

import random

import msgspec
import pytest

from adapters.postgres import Pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.runtime import open_api_runtime
from adapters.settings import Settings
from api.app import create_app
from domain.event import Recorded
from tests.kit.http import ApiClient, followed, new_id, serving
from tests.kit.receiver import receiver
from tests.projections.histories import deleted, uploaded
from tests.workers.processes import opened, patient_pool, process, until
from tests.workers.test_webhooks import register

FILES = 250
ALL = ["media.uploaded", "media.deleted"]


def shuffled(owner: str, dice: random.Random) -> list[Recorded]:
    """Uploads and deletions of many files, mixed; of each file in its order."""
    files = [uploaded(owner, number) for number in range(FILES)]
    stories = [[*file, deleted(file)] for file in files]
    order = [story for story in stories for _ in story]
    dice.shuffle(order)
    steps = {id(story): iter(story) for story in stories}
    return [next(steps[id(story)]) for story in order]


async def all_known(pool: Pool, webhook_id: str) -> bool:
    """Whether all that is to be sent stands there."""
    query = "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = %s"
    async with pool.connection() as one:
        row = await (await one.execute(query, (webhook_id,))).fetchone()
    return row == (2 * FILES,)


@pytest.mark.timeout(400)
async def test_after_500_events_down_and_random_failures_one_replay_makes_it_whole(
    worker_settings: Settings,
) -> None:
    dice = random.Random(11)
    async with receiver() as hooks:
        settings = msgspec.structs.replace(
            worker_settings, permitted_receivers=(hooks.pair,), webhook_retry_seconds=(0, 0, 0)
        )
        hooks.stop()
        async with (
            opened(open_api_runtime, settings) as runtime,
            followed(settings),
            serving(create_app(runtime)) as http,
            patient_pool(settings) as pool,
            process("workers.webhooks", settings),
        ):
            store = PostgresEventStore(pool)
            client = ApiClient(http, tenant=new_id("ls"), permissions="media:webhooks.write")
            webhook = await register(client, hooks.url(), *ALL)
            path = f"/webhooks/{webhook['id']}"
            facts = shuffled(f"t:{client.tenant}", dice)
            for start in range(0, len(facts), 50):
                await store.append(facts[start : start + 50])

            async def none(status: str) -> bool:
                answer = await client.get(f"{path}/deliveries", limit=1, status=status)
                return not answer.json()["items"]

            async def paused() -> bool:
                return bool((await client.get(path)).json()["status"] == "paused")

            async def resume() -> None:
                changed = await client.send("PATCH", path, json={"status": "active"})
                assert changed.status_code == 200

            async def all_tried() -> bool:
                """Somebody resumes whenever the service has given up."""
                if await paused():
                    await resume()
                return await none("waiting")

            async def all_taken() -> bool:
                """The last pause may become known after the last message was tried."""
                if await paused():
                    await resume()
                return len(hooks.taken) == 2 * FILES

            # Down: some messages are given up, and with them the webhook.
            await until(paused)
            await until(lambda: all_known(pool, webhook["id"]))
            assert hooks.taken == []
            # Up again, and unreliable.
            await hooks.start()
            hooks.decide = lambda _headers, _body: 500 if dice.random() < 0.3 else 204
            await resume()
            await until(all_tried, seconds=90)
            assert not await none("failed")
            assert len(hooks.taken) > FILES
            # Mended.
            hooks.decide = lambda _headers, _body: 204
            replayed = await client.send("POST", f"{path}/replay", json={"position": "0"})
            assert replayed.status_code == 202
            await until(all_taken, seconds=90)
    ids = [message["id"] for message in hooks.taken]
    assert len(ids) == len(set(ids)) == 2 * FILES
    kinds: dict[str, list[str]] = {}
    for message in hooks.taken:
        kinds.setdefault(message["subject"], []).append(message["type"])
    assert set(map(tuple, kinds.values())) == {tuple(ALL)}
    assert len(kinds) == FILES

"""A receiver that is down for 500 events and unreliable afterwards, over the real process."""

import random
from typing import Any

import msgspec
import pytest

from adapters.runtime import open_api_runtime
from adapters.settings import Settings
from api.app import create_app
from domain.event import Recorded
from tests.kit.http import ApiClient, followed, new_id, serving
from tests.kit.log import event_store
from tests.kit.receiver import receiver
from tests.projections.histories import deleted, uploaded
from tests.workers.processes import process, until

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


@pytest.mark.timeout(300)
async def test_after_500_events_down_and_random_failures_one_replay_makes_it_whole(
    worker_settings: Settings,
) -> None:
    dice = random.Random(11)
    async with receiver() as hooks:
        settings = msgspec.structs.replace(
            worker_settings,
            permitted_receivers=(hooks.pair,),
            webhook_retry_seconds=(0,) * 12,
        )
        hooks.stop()
        async with (
            open_api_runtime(settings) as runtime,
            followed(settings),
            serving(create_app(runtime)) as http,
            event_store(settings.database_url, "media_worker") as store,
            process("workers.webhooks", settings),
        ):
            client = ApiClient(http, tenant=new_id("ls"), permissions="media:webhooks.write")
            body = {"url": hooks.url(), "eventTypes": ALL}
            webhook = (await client.send("POST", "/webhooks", json=body)).json()
            path = f"/webhooks/{webhook['id']}"
            for fact in shuffled(f"t:{client.tenant}", dice):
                await store.append([fact])

            async def deliveries(status: str) -> list[Any]:
                answer = await client.get(f"{path}/deliveries", limit=100, status=status)
                return list(answer.json()["items"])

            async def tried_in_vain() -> bool:
                return any(one["attempts"] for one in await deliveries("waiting"))

            async def all_taken() -> bool:
                return len(hooks.taken) == 2 * FILES and not await deliveries("waiting")

            async def some_taken() -> bool:
                return len(hooks.taken) > 0

            async def looked_after() -> None:
                """As whoever mended the receiver does, for whom nothing rests any longer."""
                for status in ("paused", "active"):
                    changed = await client.send("PATCH", path, json={"status": status})
                    assert changed.status_code == 200

            await until(tried_in_vain, seconds=60)
            assert hooks.taken == []
            await hooks.start()
            hooks.decide = lambda _headers, _body: 500 if dice.random() < 0.1 else 204
            await looked_after()
            await until(some_taken, seconds=60)
            hooks.decide = lambda _headers, _body: 204
            await looked_after()
            replayed = await client.send("POST", f"{path}/replay", json={"position": "0"})
            assert replayed.status_code == 202
            await until(all_taken, seconds=180)
    ids = [message["id"] for message in hooks.taken]
    assert len(ids) == len(set(ids)) == 2 * FILES
    kinds: dict[str, list[str]] = {}
    for message in hooks.taken:
        kinds.setdefault(message["subject"], []).append(message["type"])
    assert set(map(tuple, kinds.values())) == {tuple(ALL)}
    assert len(kinds) == FILES

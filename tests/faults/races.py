"""Scenarios of many at once: jobs twice and late, clocks apart, races, a rebuild under load."""

import asyncio
import itertools
import random
import sys
import time

from adapters.settings import child_environment
from projections.read_models import READ_MODELS
from tests.faults.clients import Client, Known
from tests.faults.pictures import picture
from tests.faults.stage import Scenario, Stage
from tests.faults.system import ROOT

COMPLETES = 50
FAULTY = "tests.faults.faulty"
SENDERS = ("reactor", "jobs", "webhooks", "scheduler")
"""All that hand jobs to the queue."""
CLOCKS = ("api", "jobs", "scheduler", "reactor")
LARGEST_SKEW_SECONDS = 90
PENDING_SECONDS = 4
ORDERS = list(itertools.permutations(("complete", "delete", "sweep")))
READERS = 4
BULK = 12


async def send_twice(stage: Stage) -> None:
    """Whoever sends jobs sends each of them twice, the second time late."""
    for name in SENDERS:
        stage.system.put_in(name, FAULTY, "twice")
    await asyncio.gather(*(stage.system.restart(name) for name in SENDERS))


async def sent_twice(stage: Stage) -> bool:
    """Wait until some more were."""
    before = stage.system.said
    return await stage.sees(lambda: stage.system.said > before)


async def send_once(stage: Stage) -> None:
    """The real ones again."""
    for name in SENDERS:
        del stage.system.modules[name]
    await asyncio.gather(*(stage.system.restart(name) for name in SENDERS))


async def set_a_clock(stage: Stage) -> bool:
    """One process's clock goes wrong by up to 90 s, either way."""
    name = CLOCKS[stage.number % len(CLOCKS)]
    skew = stage.chance.randint(1, LARGEST_SKEW_SECONDS) * stage.chance.choice((-1, 1))
    stage.system.put_in(name, FAULTY, f"clock={skew}")
    before = stage.system.said
    await stage.system.restart(name)
    await stage.rest(0.8, 1.5)
    return await stage.sees(lambda: stage.system.said > before)


async def set_clocks_right(stage: Stage) -> None:
    """All clocks are right again."""
    for name in CLOCKS:
        stage.system.modules.pop(name, None)
        await stage.system.restart(name)


async def fifty_completes(stage: Stage) -> bool:
    """Fifty completes of one upload at once."""
    client = stage.crowd.clients[stage.number % len(stage.crowd.clients)]
    media_id = await _presigned(client, stage.chance)
    if media_id is None:
        return False
    asked = {"mediaId": media_id}
    answers = await asyncio.gather(
        *(
            client.call(client.new_op(), "complete", "PATCH", "/upload/complete", asked)
            for _ in range(COMPLETES)
        )
    )
    done = [one for one in answers if one is not None and one.status == 200]
    if done:
        client.files[media_id] = Known(media_id, done[0].position, "uploaded")
    return len(done) > 1


async def _presigned(client: Client, chance: random.Random) -> str | None:
    """An upload whose bytes are stored."""
    op = client.new_op()
    content = picture(chance)
    asked = {
        "fileName": f"{op}.png",
        "contentType": "image/png",
        "fileSize": len(content),
        "serviceCode": "blog",
    }
    presigned = await client.call(op, "presign", "POST", "/upload/presign", asked)
    if presigned is None or not await client.put(presigned.body, content):
        return None
    return str(presigned.body["mediaId"])


async def expire_soon(stage: Stage) -> None:
    """Uploads live 4 s and the sweep comes every second."""
    changed = {
        "MEDIA_PENDING_LIFETIME_SECONDS": str(PENDING_SECONDS),
        "MEDIA_SWEEP_INTERVAL_SECONDS": "1",
    }
    await asyncio.gather(
        *(stage.system.restart(name, changed) for name in ("api", "jobs", "scheduler"))
    )


async def expire_as_always(stage: Stage) -> None:
    """A day again."""
    await asyncio.gather(*(stage.system.restart(one) for one in ("api", "jobs", "scheduler")))


async def complete_delete_sweep(stage: Stage) -> bool:
    """Complete, delete and the sweep meet one upload, in every order, six uploads at a time."""
    rounds = [_race(stage, order) for order in ORDERS]
    return all(await asyncio.gather(*rounds))


async def _race(stage: Stage, order: tuple[str, ...]) -> bool:
    client = stage.pick_client()
    chance = random.Random(stage.chance.random())
    media_id = await _presigned(client, chance)
    if media_id is None:
        return False
    # The sweep comes when the four seconds are over, within one more; the others around it.
    sweep = time.monotonic() + PENDING_SECONDS + 0.5
    place = order.index("sweep")

    async def step(name: str) -> None:
        distance = order.index(name) - place
        due = sweep + distance * chance.uniform(0.2, 0.8)
        await asyncio.sleep(max(due - time.monotonic(), 0))
        op, asked = client.new_op(), {"mediaId": media_id}
        if name == "complete":
            await client.call(op, "complete", "PATCH", "/upload/complete", asked)
        else:
            await client.call(op, "delete", "DELETE", f"/files/{media_id}", args=asked)

    await asyncio.gather(step("complete"), step("delete"))
    return True


async def read_without_end(stage: Stage) -> None:
    """Four readers page through the library all the time."""
    for number in range(READERS):
        client = stage.crowd.clients[number % len(stage.crowd.clients)]
        stage.crowd.also(_walk_for_ever(client))


async def _walk_for_ever(client: Client) -> None:
    while True:
        await client.walk()


async def bulk_delete(stage: Stage) -> bool:
    """A dozen more files, and a dozen deleted in one call."""
    client = stage.crowd.clients[stage.number % len(stage.crowd.clients)]
    await asyncio.gather(*(client.upload() for _ in range(BULK)))
    before = sum(file.state == "deleted" for file in client.files.values())
    await client.remove_many(BULK)
    return sum(file.state == "deleted" for file in client.files.values()) > before


async def rebuild(stage: Stage) -> bool:
    """A read model is rebuilt; one time in three the rebuild is killed on its way first."""
    name = list(READ_MODELS)[stage.number % len(READ_MODELS)]
    if stage.number % 3 == 2:
        process = await _rebuilding(stage, name)
        await stage.rest(0.7, 1.6)
        if process.returncode is None:
            process.kill()
        await process.wait()
    return await (await _rebuilding(stage, name)).wait() == 0


async def _rebuilding(stage: Stage, name: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "workers.cli", "rebuild", name),
        cwd=ROOT,
        env=child_environment({"MEDIA_DATABASE_URL": stage.system.database_url}),
        stdout=asyncio.subprocess.DEVNULL,
    )


RACES = (
    Scenario(
        name="jobs-twice-and-late",
        what="every job is delivered twice, the second time up to 3 s late",
        prepare=send_twice,
        strike=sent_twice,
        heal=send_once,
    ),
    Scenario(
        name="clocks-apart",
        what="the processes' clocks are up to 90 s wrong, either way",
        strike=set_a_clock,
        heal=set_clocks_right,
        api_dies=True,
    ),
    Scenario(
        name="fifty-completes",
        what="50 completes of one upload at once",
        strike=fifty_completes,
        pause=0.3,
    ),
    Scenario(
        name="complete-delete-sweep",
        what="complete, delete and sweep at one upload, in all six orders",
        prepare=expire_soon,
        strike=complete_delete_sweep,
        heal=expire_as_always,
        api_dies=True,
        pause=0.15,
    ),
    Scenario(
        name="bulk-under-readers",
        what="bulk deletes under four readers who page all the time",
        prepare=read_without_end,
        strike=bulk_delete,
        pause=0.3,
    ),
    Scenario(
        name="rebuild",
        what="a read model is rebuilt under load, some rebuilds killed on their way",
        strike=rebuild,
    ),
)

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from adapters.dramatiq_queue import DramatiqQueue
from adapters.event_reader import PostgresEventReader
from adapters.postgres_webhooks import PostgresDeliveries
from adapters.runtime import open_api_runtime, open_jobs_runtime
from adapters.settings import Settings
from api.app import create_app
from application.jobs import Cause, DeliverWebhook, Job
from projections.projection import Follower
from projections.webhook_fan_out import WebhookFanOut
from tests.kit.http import ApiClient, followed, new_id, serving
from tests.kit.library import Library
from tests.kit.receiver import Receiver, receiver
from tests.workers.processes import opened, process, running, settled, until
from workers import webhooks
from workers.webhooks import Dispatcher

ALL = ["media.uploaded", "media.deleted", "media.expired", "media.rejected"]
WEBHOOKS_ONLY = "media:webhooks.write"


@pytest.fixture
async def two_receivers() -> AsyncIterator[tuple[Receiver, Receiver]]:
    async with receiver() as first, receiver() as second:
        yield first, second


@pytest.fixture
def hooks(two_receivers: tuple[Receiver, Receiver]) -> Receiver:
    return two_receivers[0]


@pytest.fixture
def impatient(worker_settings: Settings, two_receivers: tuple[Receiver, Receiver]) -> Settings:
    """Receivers on loopback may be called, and retries come at once, six of them."""
    return msgspec.structs.replace(
        worker_settings,
        permitted_receivers=tuple(one.pair for one in two_receivers),
        webhook_retry_seconds=(0, 0, 0, 1, 1, 1),
    )


@pytest.fixture
async def client(impatient: Settings) -> AsyncIterator[ApiClient]:
    """Somebody who may register webhooks and upload, in a workspace of this test's own."""
    permissions = f"media:files.read media:files.write {WEBHOOKS_ONLY}"
    async with (
        opened(open_api_runtime, impatient) as runtime,
        followed(impatient),
        serving(create_app(runtime)) as http,
    ):
        yield ApiClient(http, tenant=new_id("ls"), permissions=permissions)


@pytest.fixture
async def files(impatient: Settings) -> AsyncIterator[Library]:
    async with opened(open_jobs_runtime, impatient) as runtime:
        yield Library(runtime)


async def register(client: ApiClient, url: str, *types: str) -> dict[str, Any]:
    """A webhook that the read model knows, so that queries find it."""
    body = {"url": url, "eventTypes": list(types) or ALL}
    answer = await client.send("POST", "/webhooks", json=body)
    assert answer.status_code == 201, answer.text
    webhook = dict(answer.json())

    async def is_shown() -> bool:
        return (await client.get(f"/webhooks/{webhook['id']}")).status_code == 200

    await until(is_shown)
    return webhook


async def waiting(client: ApiClient, webhook_id: str) -> list[Any]:
    answer = await client.get(f"/webhooks/{webhook_id}/deliveries", limit=100)
    assert answer.status_code == 200, answer.text
    return [item for item in answer.json()["items"] if item["status"] == "waiting"]


async def nothing_waits(client: ApiClient, webhook_id: str) -> bool:
    return not await waiting(client, webhook_id)


async def uploads(files: Library, client: ApiClient, count: int) -> list[str]:
    assert client.tenant is not None
    return [(await files.uploaded(tenant=client.tenant)).id for _ in range(count)]


async def deletes(files: Library, client: ApiClient, ids: list[str]) -> None:
    assert client.tenant is not None
    context = files.context(client.tenant)
    for media_id in ids:
        await files.runtime.deletion.delete_file(media_id, context)


async def test_a_message_arrives_signed_so_that_the_official_library_takes_it(
    client: ApiClient, files: Library, hooks: Receiver, impatient: Settings
) -> None:
    webhook = await register(client, hooks.url(), "media.uploaded")
    async with running(impatient, webhooks.main):
        (media_id,) = await uploads(files, client, 1)
        await deletes(files, client, [media_id])
        await until(lambda: _count(hooks, 1))
        await until(lambda: nothing_waits(client, webhook["id"]))
    # More than once where an answer came too late.
    for headers, body in hooks.seen:
        message: Any = Verifier(webhook["secret"]).verify(body, headers)
        assert (message["type"], message["subject"]) == ("media.uploaded", media_id)
        assert headers["webhook-id"] == message["id"]
    assert len(hooks.taken) == 1


async def _count(hooks: Receiver, count: int) -> bool:
    return len(hooks.taken) >= count


async def test_during_a_rotation_both_secrets_verify(
    client: ApiClient, hooks: Receiver, impatient: Settings
) -> None:
    webhook = await register(client, hooks.url())
    rotated = await client.send("POST", f"/webhooks/{webhook['id']}/rotate-secret")
    assert rotated.status_code == 200
    assert rotated.json()["secret"] != webhook["secret"]
    pinged = await client.send("POST", f"/webhooks/{webhook['id']}/ping")
    assert pinged.status_code == 202
    async with running(impatient, webhooks.main):
        await until(lambda: _count(hooks, 1))
    headers, body = hooks.seen[0]
    for secret in (webhook["secret"], rotated.json()["secret"]):
        message: Any = Verifier(secret).verify(body, headers)
        assert message["type"] == "media.ping"


async def test_a_message_given_up_holds_back_the_rest_of_its_file_until_it_is_sent_again(
    client: ApiClient, files: Library, hooks: Receiver, impatient: Settings
) -> None:
    settings = msgspec.structs.replace(impatient, webhook_retry_seconds=(0,))
    webhook = await register(client, hooks.url())
    path = f"/webhooks/{webhook['id']}"
    refused, fine = await uploads(files, client, 2)
    hooks.decide = lambda _headers, body: 500 if body["subject"] == refused else 204
    async with running(settings, webhooks.main):
        await until(lambda: _status_is(client, webhook["id"], "paused"))
        hooks.decide = lambda _headers, _body: 204
        await client.send("PATCH", path, json={"status": "active"})
        await deletes(files, client, [refused, fine])
        await until(lambda: _count(hooks, 2))
        await until(lambda: nothing_waits(client, webhook["id"]))
        assert {message["subject"] for message in hooks.taken} == {fine}
        log = (await client.get(f"{path}/deliveries", limit=100)).json()["items"]
        of_it = [one for one in log if one["subject"] == refused]
        assert [(one["type"], one["status"], len(one["attempts"])) for one in of_it] == [
            ("media.deleted", "held", 0),
            ("media.uploaded", "failed", 2),
        ]
        # The later one is asked for: the earlier one goes before it.
        redelivered = await client.send(
            "POST", f"{path}/deliveries/{of_it[0]['position']}/redeliver"
        )
        assert redelivered.status_code == 202
        await until(lambda: _count(hooks, 4))
        await until(lambda: nothing_waits(client, webhook["id"]))
    assert [one["type"] for one in hooks.taken if one["subject"] == refused] == [
        "media.uploaded",
        "media.deleted",
    ]
    held = await client.get(f"{path}/deliveries", status="held")
    assert held.json()["items"] == []


async def test_what_was_held_back_follows_when_the_one_before_it_is_sent_again(
    client: ApiClient, files: Library, hooks: Receiver, impatient: Settings
) -> None:
    settings = msgspec.structs.replace(impatient, webhook_retry_seconds=(0,))
    webhook = await register(client, hooks.url())
    path = f"/webhooks/{webhook['id']}"
    hooks.decide = lambda _headers, _body: 500
    async with running(settings, webhooks.main):
        (media_id,) = await uploads(files, client, 1)
        await deletes(files, client, [media_id])
        await until(lambda: _status_is(client, webhook["id"], "paused"))
        hooks.decide = lambda _headers, _body: 204
        await client.send("PATCH", path, json={"status": "active"})
        await until(lambda: nothing_waits(client, webhook["id"]))
        failed = (await client.get(f"{path}/deliveries", status="failed")).json()["items"]
        (position,) = [one["position"] for one in failed]
        await client.send("POST", f"{path}/deliveries/{position}/redeliver")
        await until(lambda: _count(hooks, 2))
    assert [one["type"] for one in hooks.taken] == ["media.uploaded", "media.deleted"]


async def test_a_ping_that_was_given_up_holds_back_no_other(
    client: ApiClient, hooks: Receiver, impatient: Settings
) -> None:
    settings = msgspec.structs.replace(impatient, webhook_retry_seconds=())
    webhook = await register(client, hooks.url())
    path = f"/webhooks/{webhook['id']}"
    hooks.decide = lambda _headers, _body: 500
    await client.send("POST", f"{path}/ping")
    async with running(settings, webhooks.main):
        await until(lambda: _status_is(client, webhook["id"], "paused"))
        hooks.decide = lambda _headers, _body: 204
        await client.send("PATCH", path, json={"status": "active"})
        await client.send("POST", f"{path}/ping")
        await until(lambda: _count(hooks, 1))


async def test_a_receiver_that_fails_now_and_then_is_not_rested(
    client: ApiClient, files: Library, hooks: Receiver, impatient: Settings
) -> None:
    webhook = await register(client, hooks.url(), "media.uploaded")
    tries: Counter[str] = Counter()

    def third_time(_headers: dict[str, str], body: dict[str, Any]) -> int:
        tries[body["id"]] += 1
        return 204 if tries[body["id"]] >= 3 else 500

    hooks.decide = third_time
    async with running(impatient, webhooks.main):
        for number in range(1, 5):
            await uploads(files, client, 1)
            await until(lambda number=number: _count(hooks, number))  # type: ignore[misc]
    assert (await client.get(f"/webhooks/{webhook['id']}")).json()["status"] == "active"
    query = "SELECT resting_until = '-infinity' FROM webhook_routes WHERE webhook_id = %s"
    async with files.runtime.pool.connection() as connection:
        row = await (await connection.execute(query, (webhook["id"],))).fetchone()
    assert row == (True,)


async def test_a_receiver_that_is_gone_is_paused_and_goes_on_when_resumed(
    client: ApiClient, hooks: Receiver, impatient: Settings
) -> None:
    webhook = await register(client, hooks.url())
    hooks.decide = lambda _headers, _body: 410
    await client.send("POST", f"/webhooks/{webhook['id']}/ping")
    async with running(impatient, webhooks.main):
        await until(lambda: _status_is(client, webhook["id"], "paused"))
        shown = (await client.get(f"/webhooks/{webhook['id']}")).json()
        assert shown["pauseReason"] == "gone"
        hooks.decide = lambda _headers, _body: 204
        await client.send("PATCH", f"/webhooks/{webhook['id']}", json={"status": "active"})
        await until(lambda: _count(hooks, 1))


async def _status_is(client: ApiClient, webhook_id: str, status: str) -> bool:
    return bool((await client.get(f"/webhooks/{webhook_id}")).json()["status"] == status)


async def test_a_silent_receiver_delays_no_other(
    client: ApiClient,
    files: Library,
    two_receivers: tuple[Receiver, Receiver],
    impatient: Settings,
) -> None:
    dead, alive = two_receivers
    dead.silent = True
    settings = msgspec.structs.replace(impatient, webhook_threads=2)
    for _ in range(4):
        await register(client, dead.url())
    await register(client, alive.url())
    async with running(settings, webhooks.main):
        # The dead ones fail once, and from then on have lanes of their own.
        await uploads(files, client, 1)
        await until(lambda: _count(alive, 1))
        for number in range(2, 5):
            await uploads(files, client, 1)
            await until(lambda number=number: _count(alive, number))  # type: ignore[misc]
    assert not dead.taken


async def test_a_killed_sender_loses_nothing_and_repeats_under_the_same_id(
    client: ApiClient, files: Library, hooks: Receiver, impatient: Settings
) -> None:
    webhook = await register(client, hooks.url())
    hooks.silent = True
    async with process("workers.webhooks", impatient) as child:
        ids = await uploads(files, client, 5)
        await until(lambda: _seen(hooks, 1))
        child.kill()
        await child.wait()
    hooks.silent = False
    first = hooks.seen[0][0]["webhook-id"]
    async with files.runtime.pool.connection() as connection:
        await connection.execute("UPDATE webhook_routes SET leased_until = now()")
    async with running(impatient, webhooks.main):
        await until(lambda: _count(hooks, 5))
        await until(lambda: nothing_waits(client, webhook["id"]))
    assert first in {message["id"] for message in hooks.taken}
    assert sorted(message["subject"] for message in hooks.taken) == sorted(ids)


async def _seen(hooks: Receiver, count: int) -> bool:
    return len(hooks.seen) >= count


class Recorded(DramatiqQueue):
    """Remembers for which webhooks jobs were asked for."""

    def __init__(self, redis_url: str, *, namespace: str) -> None:
        super().__init__(redis_url, namespace=namespace)
        self.webhooks: list[str] = []

    def send(self, job: Job, *, delay_seconds: float = 0, cause: Cause | None = None) -> None:
        super().send(job, delay_seconds=delay_seconds, cause=cause)
        if isinstance(job, DeliverWebhook):
            self.webhooks.append(job.webhook_id)


@pytest.fixture
def recorded_queue(impatient: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    # Else a job that has not begun is asked for again, where the looks are far apart.
    monkeypatch.setattr("workers.webhooks.ASKED_SECONDS", 600)
    queue = Recorded(impatient.redis_url, namespace=new_id("media"))
    yield queue
    queue.close()


async def test_who_was_served_since_the_last_look_is_served_again_at_the_next(
    client: ApiClient,
    files: Library,
    hooks: Receiver,
    impatient: Settings,
    recorded_queue: Recorded,
) -> None:
    webhook = await register(client, hooks.url())
    deliveries = PostgresDeliveries(files.runtime.pool)
    queue = recorded_queue
    dispatcher = Dispatcher(deliveries, queue)

    async def asked() -> int:
        """How many jobs a look asks for, for this webhook: others may wait too."""
        before = len(queue.webhooks)
        await dispatcher.dispatch()
        return queue.webhooks[before:].count(webhook["id"])

    async def one_more_waits() -> None:
        await uploads(files, client, 1)
        await settled(files.runtime.pool)
        fan_out = Follower(WebhookFanOut(), PostgresEventReader(files.runtime.pool))
        async with files.runtime.pool.connection() as connection:
            await fan_out.start(connection)
            while await fan_out.step(connection):
                pass
        await fan_out.close()
        assert len(await waiting(client, webhook["id"])) == 1

    await one_more_waits()
    assert await asked() == 1
    assert await asked() == 0  # its job has not begun
    async with opened(open_jobs_runtime, impatient) as runtime:
        assert await runtime.webhook_delivery.deliver(webhook["id"], files.system()) == 1
    await one_more_waits()
    assert await asked() == 1


async def test_another_workspace_sees_and_hears_nothing(
    client: ApiClient, files: Library, hooks: Receiver, impatient: Settings
) -> None:
    webhook = await register(client, hooks.url())
    stranger = client.but(tenant=new_id("ls"), user="user_666")
    assert (await stranger.get("/webhooks")).json() == {"items": []}
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/ping"),
        ("POST", "/rotate-secret"),
        ("GET", "/deliveries"),
        ("POST", "/deliveries/1/redeliver"),
    ):
        answer = await stranger.send(method, f"/webhooks/{webhook['id']}{path}", json={})
        assert (answer.status_code, answer.json()["code"]) == (404, "WEBHOOK_NOT_FOUND"), path
    async with running(impatient, webhooks.main):
        await uploads(files, stranger, 2)
        (mine,) = await uploads(files, client, 1)
        await until(lambda: nothing_waits(client, webhook["id"]))
        await until(lambda: _count(hooks, 1))
    assert [message["subject"] for message in hooks.taken] == [mine]


async def test_what_was_removed_is_told_nothing_and_its_secret_is_not_in_the_log(
    client: ApiClient, files: Library, hooks: Receiver, impatient: Settings
) -> None:
    webhook = await register(client, hooks.url())
    async with files.runtime.pool.connection() as connection:
        await settled(files.runtime.pool)
        cursor = await connection.execute("SELECT string_agg(data::text, ' ') FROM events")
        ((stored,),) = await cursor.fetchall()
    assert webhook["secret"] not in stored
    assert "of-the-receiver" not in stored
    removed = await client.send("DELETE", f"/webhooks/{webhook['id']}")
    assert removed.json() == {"id": webhook["id"], "removed": True}
    async with running(impatient, webhooks.main):
        other = await register(client, hooks.url())
        await uploads(files, client, 1)
        await until(lambda: _count(hooks, 1))
        await until(lambda: nothing_waits(client, other["id"]))
    for headers, body in hooks.seen:
        Verifier(other["secret"]).verify(body, headers)
    assert len(hooks.taken) == 1
    assert (await client.get(f"/webhooks/{webhook['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"url": "https://example.com"}, 400, "MISSING_FIELDS"),
        ({"url": "https://example.com", "eventTypes": []}, 400, "INVALID_FIELD"),
        ({"url": "https://example.com", "eventTypes": ["media.seen"]}, 400, "INVALID_FIELD"),
        ({"url": "http://example.com/", "eventTypes": ALL}, 400, "SSRF_BLOCKED"),
        ({"url": "https://127.0.0.1/", "eventTypes": ALL}, 400, "SSRF_BLOCKED"),
        ({"url": "https://u:p@example.com/", "eventTypes": ALL}, 400, "SSRF_BLOCKED"),
    ],
)
async def test_what_cannot_be_a_webhook_is_refused(
    client: ApiClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await client.send("POST", "/webhooks", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get("/webhooks")).json() == {"items": []}


async def test_the_same_key_registers_one_webhook_and_tells_its_secret_again(
    client: ApiClient,
) -> None:
    body = {"url": "https://hooks.example.com/", "eventTypes": ALL}
    headers = {"idempotency-key": "first"}
    answers: list[httpx.Response] = await asyncio.gather(
        *(client.send("POST", "/webhooks", json=body, headers=headers) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1

    async def shown() -> int:
        return len((await client.get("/webhooks")).json()["items"])

    await until(shown)
    assert await shown() == 1

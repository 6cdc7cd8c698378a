"""How often one may ask (spec 6.7): headers, the refusal, who is counted, what Redis costs."""

from collections.abc import AsyncIterator, Iterator

import httpx
import msgspec
import pytest
from prometheus_client import generate_latest

from adapters import redis_limits
from adapters.runtime import open_api_runtime
from adapters.settings import Settings
from api import app, files, operations, uploads
from api.request_log import RequestLog
from tests.kit.http import ApiClient, asked, new_id, refused, serving
from tests.kit.log import event_count

LIMITS = {"limit_presign": 3, "limit_list": 2, "limit_bulk_delete": 1, "limit_ingest": 1}
PRESIGN = "/upload/presign"


@pytest.fixture(scope="module", autouse=True)
def a_patient_process() -> Iterator[None]:
    """Redis is waited for, however busy the machine is: without an answer nothing is counted."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(redis_limits, "BUDGET_SECONDS", 30)
        yield


@pytest.fixture(scope="module")
async def limited(settings: Settings, _followers: None) -> AsyncIterator[httpx.AsyncClient]:
    few = msgspec.structs.replace(settings, **LIMITS)
    async with open_api_runtime(few) as runtime, serving(app.create_app(runtime)) as client:
        yield client


@pytest.fixture
def client(limited: httpx.AsyncClient) -> ApiClient:
    return ApiClient(limited, tenant=new_id("ls"), user=new_id("user"))


async def presigned(client: ApiClient) -> httpx.Response:
    return await client.send("POST", PRESIGN, json=asked())


def test_the_limited_routes_are_those_of_the_specification() -> None:
    limits = {
        handler.opt["event"]: (handler.opt["limit"].name, handler.opt["limit"].per)
        for handler in [*uploads.ROUTES, *files.ROUTES, *operations.ROUTES]
        if "limit" in handler.opt
    }
    assert limits.pop("media.upload.ingest", ("ingest", "tenant")) == ("ingest", "tenant")
    assert limits == {
        "media.upload.presign": ("presign", "tenant"),
        "media.files.list": ("list", "user"),
        "media.files.bulk_delete": ("bulk_delete", "tenant"),
    }


async def test_an_answer_says_what_is_left(client: ApiClient) -> None:
    for left in ("2", "1", "0"):
        answer = await presigned(client)
        assert answer.status_code == 200
        assert answer.headers["ratelimit-limit"] == "3"
        assert answer.headers["ratelimit-remaining"] == left
        assert 1 <= int(answer.headers["ratelimit-reset"]) <= 61
        assert "retry-after" not in answer.headers


async def test_one_too_many_is_429_says_when_to_come_again_and_writes_nothing(
    client: ApiClient, settings: Settings
) -> None:
    for _ in range(3):
        await presigned(client)
    before = await event_count(settings.database_url)
    answer = await presigned(client)
    body = refused(answer, 429, "RATE_LIMITED")
    assert answer.headers["ratelimit-remaining"] == "0"
    assert answer.headers["retry-after"] == answer.headers["ratelimit-reset"]
    assert body["details"] == {"limit": 3, "retryAfter": int(answer.headers["retry-after"])}
    assert 1 <= body["details"]["retryAfter"] <= 61
    assert await event_count(settings.database_url) == before


async def test_presigns_count_for_the_workspace_whoever_asks(client: ApiClient) -> None:
    for user in ("user_a", "user_b", "user_c"):
        assert (await presigned(client.but(user=user))).status_code == 200
    refused(await presigned(client.but(user="user_d")), 429, "RATE_LIMITED")
    assert (await presigned(client.but(tenant=new_id("ls")))).status_code == 200


async def test_without_a_workspace_the_user_is_counted(client: ApiClient) -> None:
    personal = client.but(tenant=None)
    for _ in range(3):
        assert (await presigned(personal)).status_code == 200
    refused(await presigned(personal), 429, "RATE_LIMITED")
    assert (await presigned(personal.but(user=new_id("user")))).status_code == 200
    assert (await presigned(client)).status_code == 200


async def test_a_workspace_and_a_user_of_one_name_are_counted_apart(client: ApiClient) -> None:
    name = new_id("same")
    for _ in range(3):
        await presigned(client.but(tenant=name))
    assert (await presigned(client.but(tenant=None, user=name))).status_code == 200


async def test_lists_count_for_the_user_in_whatever_workspace(client: ApiClient) -> None:
    assert (await client.get("/files")).status_code == 200
    assert (await client.but(tenant=new_id("ls")).get("/files")).status_code == 200
    refused(await client.get("/files"), 429, "RATE_LIMITED")
    assert (await client.but(user=new_id("user")).get("/files")).status_code == 200


async def test_a_limit_leaves_the_other_routes_alone(client: ApiClient) -> None:
    for _ in range(3):
        await client.get("/files")
    stats = await client.get("/files/stats")
    assert stats.status_code == 200
    assert not [name for name in stats.headers if name.startswith("ratelimit")]
    assert (await presigned(client)).status_code == 200


async def test_the_limit_is_asked_after_the_permission_and_before_the_body(
    client: ApiClient,
) -> None:
    for by in (client.but(permissions="media:files.read"), client.but(key="wrong")):
        for _ in range(5):
            answer = await presigned(by)
            assert answer.status_code in (401, 403)
            assert "ratelimit-limit" not in answer.headers
    for left in ("2", "1", "0"):
        answer = await client.send("POST", PRESIGN, json={})
        refused(answer, 400, "MISSING_FIELDS")
        assert answer.headers["ratelimit-remaining"] == left
    refused(await client.send("POST", PRESIGN, content=b"{"), 429, "RATE_LIMITED")


async def test_a_workspace_that_cannot_be_one_counts_for_the_user(client: ApiClient) -> None:
    wrong = client.but(tenant="users")
    for _ in range(3):
        refused(await presigned(wrong), 400, "INVALID_FIELD", "x-tenant-id")
    refused(await presigned(wrong), 429, "RATE_LIMITED")


async def test_bulk_deletes_have_their_own_limit(client: ApiClient) -> None:
    ids = {"ids": ["media_xK9mQ2pLw3RtYb8c"]}
    answer = await client.send("POST", "/files/bulk-delete", json=ids)
    assert (answer.status_code, answer.headers["ratelimit-remaining"]) == (200, "0")
    refused(await client.send("POST", "/files/bulk-delete", json=ids), 429, "RATE_LIMITED")


async def test_zero_is_no_limit(http: httpx.AsyncClient) -> None:
    client = ApiClient(http, tenant=new_id("ls"))
    answer = await client.get("/files")
    assert answer.status_code == 200
    assert "ratelimit-limit" not in answer.headers


async def test_without_redis_everything_works_uncounted_and_a_metric_says_so(
    settings: Settings,
) -> None:
    away = msgspec.structs.replace(settings, redis_url="redis://127.0.0.1:1/0", **LIMITS)
    async with open_api_runtime(away) as lonely:
        assembled = app.create_app(lonely)
        assert isinstance(assembled, RequestLog)
        async with serving(assembled) as http:
            client = ApiClient(http, tenant=new_id("ls"))
            for _ in range(5):
                answer = await presigned(client)
                assert answer.status_code == 200
                assert "ratelimit-limit" not in answer.headers
        text = generate_latest(assembled.metrics.registry).decode()
    assert 'media_limit_not_counted_total{limit="presign"} 5.0' in text

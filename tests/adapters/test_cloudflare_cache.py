"""Purges at a server that behaves like Cloudflare's API."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from adapters import cloudflare_cache
from adapters.cloudflare_cache import CloudflareCache
from adapters.settings import Settings
from application.cdn_ports import CdnUnavailable
from tests.kit.cloudflare import TOKEN, FakeCloudflare, serving_cloudflare
from tests.kit.written import NOWHERE

URLS = [f"https://media.example/ls_abc123/blog/2026/04/{number:016}.webp" for number in range(70)]


class Zone(msgspec.Struct):
    settings: Settings
    fake: FakeCloudflare


@pytest.fixture
async def zone(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Zone]:
    monkeypatch.setattr(cloudflare_cache, "BACKOFF_SECONDS", 0.01)
    settings = msgspec.structs.replace(NOWHERE, cors_origins=())
    async with serving_cloudflare(settings) as (served, fake):
        yield Zone(served, fake)


async def purge(zone: Zone, urls: list[str] = URLS, **changes: object) -> None:
    settings = msgspec.structs.replace(zone.settings, **changes)
    async with CloudflareCache.open(settings) as cache:
        await cache.purge(urls)


async def test_every_address_is_told_in_calls_no_larger_than_the_plan_allows(zone: Zone) -> None:
    await purge(zone)
    assert zone.fake.purged == set(URLS)
    assert all(len(call) <= 30 for call in zone.fake.calls)


async def test_the_copies_kept_for_the_pages_of_an_origin_are_told_of_as_well(zone: Zone) -> None:
    await purge(zone, URLS[:1], cors_origins=("https://app.example",))
    (call,) = zone.fake.calls
    assert call[0] == URLS[0]
    assert {"url": URLS[0], "headers": {"Origin": "https://app.example"}} in call


async def test_a_larger_plan_takes_larger_calls(zone: Zone) -> None:
    zone.fake.files_a_call = 100
    await purge(zone, cloudflare_purge_urls=100)
    assert len(zone.fake.calls) == 2


async def test_too_many_in_a_call_is_an_error_and_not_silently_half_done(zone: Zone) -> None:
    with pytest.raises(CdnUnavailable, match="1094"):
        await purge(zone, cloudflare_purge_urls=100)
    assert zone.fake.asked == 1


async def test_an_answer_429_is_heeded_for_as_long_as_it_says(zone: Zone) -> None:
    zone.fake.fail(429, code=971, message="throttled", retry_after="1")
    await purge(zone, URLS[:1])
    assert zone.fake.asked == 2
    assert zone.fake.at[1] - zone.fake.at[0] >= 1


async def test_one_that_says_to_come_back_much_later_is_left_to_the_job(zone: Zone) -> None:
    zone.fake.fail(429, retry_after="300")
    with pytest.raises(CdnUnavailable, match="429"):
        await purge(zone, URLS[:1])
    assert zone.fake.asked == 1


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_trouble_of_cloudflares_own_is_tried_again(zone: Zone, status: int) -> None:
    zone.fake.fail(status)
    zone.fake.next.append((status, {}, b"<html>bad gateway</html>"))
    await purge(zone, URLS[:1])
    assert zone.fake.purged == set(URLS[:1])


async def test_it_is_given_up_after_a_few_tries(zone: Zone) -> None:
    for _ in range(9):
        zone.fake.fail(503)
    with pytest.raises(CdnUnavailable, match="503"):
        await purge(zone, URLS[:1])
    assert zone.fake.asked == cloudflare_cache.ATTEMPTS


async def test_a_connection_that_breaks_is_tried_again(zone: Zone) -> None:
    zone.fake.silent = 2
    await purge(zone, URLS[:1])
    assert zone.fake.purged == set(URLS[:1])


async def test_silence_ends(zone: Zone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cloudflare_cache, "ANSWER_SECONDS", 0.1)
    zone.fake.slow_seconds = 1
    with pytest.raises(CdnUnavailable, match="ReadTimeout"):
        await purge(zone, URLS[:1])


async def test_a_wrong_token_is_said_without_saying_the_token(zone: Zone) -> None:
    with pytest.raises(CdnUnavailable, match="10000 Authentication error") as raised:
        await purge(zone, URLS[:1], cloudflare_api_token="another-token-of-nobody")
    assert zone.fake.asked == 1
    assert "another-token" not in str(raised.value)
    assert TOKEN not in str(raised.value)


async def test_success_false_is_a_failure_whatever_the_status(zone: Zone) -> None:
    zone.fake.fail(200, code=1134, message="Unable to purge")
    with pytest.raises(CdnUnavailable, match="1134 Unable to purge"):
        await purge(zone, URLS[:1])


@pytest.mark.parametrize(
    "body", [b"", b"OK", b"[]", b'{"success": "yes"}', b"{}", b"\xff", b"[" * 60_000]
)
async def test_a_success_that_is_no_envelope_does_not_count(zone: Zone, body: bytes) -> None:
    for _ in range(cloudflare_cache.ATTEMPTS):
        zone.fake.next.append((200, {}, body))
    with pytest.raises(CdnUnavailable, match="not what its API promises"):
        await purge(zone, URLS[:1])


async def test_nobody_there_is_a_failure() -> None:
    settings = msgspec.structs.replace(NOWHERE, cloudflare_api_url="http://127.0.0.1:9")
    with pytest.raises(CdnUnavailable, match="ConnectError"):
        async with CloudflareCache.open(settings) as cache:
            await cache.purge(URLS[:1])


async def test_the_pace_stays_below_what_the_account_may(zone: Zone) -> None:
    # 70 addresses at 40 a second: a burst of 40, then three quarters of a second for the rest.
    slow = msgspec.structs.replace(
        zone.settings, cloudflare_urls_per_second=40, cloudflare_purge_urls=10
    )
    async with CloudflareCache.open(slow) as cache:
        began = asyncio.get_running_loop().time()
        await cache.purge(URLS)
    assert zone.fake.at[-1] - began >= 0.6

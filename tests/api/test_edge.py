import asyncio
import hashlib
import re
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from adapters.r2_object_store import R2ObjectStore
from adapters.settings import Settings
from adapters.system import utc_now
from application.ports import ObjectHeaders
from tests.kit.edge import IMMUTABLE, PNG, new_key, published, put, serving_edge, signed_put
from tests.kit.http import new_id
from tests.kit.objects import read
from tests.kit.samples import sample

ORIGIN = "http://localhost:3000"
HOSTILE_NAME = 'a"; filename=evil.exe\r\nSet-Cookie: x=y \u202egpj.\u6771\u4eac🎉'


@pytest.fixture(scope="module")
async def edge(settings: Settings) -> AsyncIterator[Settings]:
    async with serving_edge(settings) as served:
        yield served


@pytest.fixture(scope="module")
async def store(edge: Settings) -> AsyncIterator[R2ObjectStore]:
    async with R2ObjectStore.open(edge) as opened:
        yield opened


@pytest.fixture(scope="module")
async def browser(edge: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=edge.public_base_url, trust_env=False, timeout=60
    ) as client:
        yield client


async def test_a_put_as_signed_is_stored_with_its_type(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key, body = new_key(), sample(PNG)
    signed = signed_put(store, key, body, digest=hashlib.sha256(body).hexdigest())

    answer = await put(browser, signed, body)

    assert answer.status_code == 200
    found = await store.head("incoming", key)
    assert found is not None
    assert (found.size, found.content_type, found.etag) == (len(body), PNG, answer.headers["etag"])
    assert await read(store, "incoming", key, etag=found.etag) == body


@pytest.mark.parametrize(
    "changes",
    [
        {"Content-Type": "text/html"},
        {"Content-Type": None},
        {"If-None-Match": None},
        {"If-None-Match": '"0"'},
        {"x-amz-checksum-sha256": "AAAA"},
        {"x-amz-checksum-sha256": None},
        {"Host": "evil.test"},
    ],
)
async def test_a_put_without_just_the_signed_headers_is_refused(
    store: R2ObjectStore, browser: httpx.AsyncClient, changes: dict[str, str | None]
) -> None:
    key, body = new_key(), b"hello"
    signed = signed_put(store, key, body, digest=hashlib.sha256(body).hexdigest())

    answer = await put(browser, signed, body, **changes)

    assert answer.status_code == 403
    assert b"<Error>" in answer.content
    assert await store.head("incoming", key) is None


@pytest.mark.parametrize("body", [b"hell", b"hello!", b"x" * 300_000])
async def test_a_put_of_another_length_is_refused(
    store: R2ObjectStore, browser: httpx.AsyncClient, body: bytes
) -> None:
    key = new_key()
    signed = signed_put(store, key, b"hello")

    answer = await put(browser, signed, body, **{"Content-Length": str(len(body))})

    assert answer.status_code == 403
    assert await store.head("incoming", key) is None


async def test_a_put_that_hides_its_length_is_refused(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"

    key = new_key()
    signed = signed_put(store, key, b"hello")
    headers = {k: v for k, v in signed.headers.items() if k != "Content-Length"}

    answer = await browser.put(signed.url, content=pieces(), headers=headers)

    assert answer.is_client_error
    assert await store.head("incoming", key) is None


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"X-Amz-Signature=..", "X-Amz-Signature=00"),
        (r"X-Amz-Expires=3600", "X-Amz-Expires=7200"),
        (r"X-Amz-Date=2", "X-Amz-Date=3"),
        (r"\.png", ".html"),
        (r"/blog/", "/store/"),
        (r"host%3B", ""),
        (r"-incoming/", "-public/"),
    ],
)
async def test_a_tampered_url_is_refused(
    store: R2ObjectStore, browser: httpx.AsyncClient, pattern: str, replacement: str
) -> None:
    signed = signed_put(store, new_key(), b"hello")
    url = re.sub(pattern, replacement, signed.url, count=1)
    assert url != signed.url

    answer = await browser.put(url, content=b"hello", headers=signed.headers)

    assert answer.status_code in {400, 403}


async def test_an_expired_url_is_refused(store: R2ObjectStore, browser: httpx.AsyncClient) -> None:
    key = new_key()

    assert (await put(browser, signed_put(store, key, b"hello", age=3605), b"hello")).is_error
    assert await store.head("incoming", key) is None


async def test_a_second_put_is_412_however_large_and_changes_nothing(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key, body = new_key(), b"a" * 3_000_000
    signed = signed_put(store, key, body)
    assert (await put(browser, signed, body)).status_code == 200

    answer = await put(browser, signed, b"b" * len(body))

    assert answer.status_code == 412
    assert b"PreconditionFailed" in answer.content
    found = await store.head("incoming", key)
    assert found is not None
    assert await read(store, "incoming", key, etag=found.etag) == body


async def test_of_simultaneous_puts_one_wins(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key = new_key()
    bodies = [bytes([number]) * 200_000 for number in range(8)]
    signed = signed_put(store, key, bodies[0])

    answers = await asyncio.gather(*(put(browser, signed, body) for body in bodies))

    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    winner = bodies[[answer.status_code for answer in answers].index(200)]
    found = await store.head("incoming", key)
    assert found is not None
    assert await read(store, "incoming", key, etag=found.etag) == winner


async def test_who_may_not_write_does_not_learn_that_there_is_an_object(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key = new_key()
    signed = signed_put(store, key, b"hello")
    assert (await put(browser, signed, b"hello")).status_code == 200
    forged = signed.url.replace("X-Amz-Signature=", "X-Amz-Signature=00")[:-2]
    expired = signed_put(store, key, b"hello", age=3605)

    assert (await browser.put(forged, content=b"hello", headers=signed.headers)).status_code == 403
    assert (await put(browser, expired, b"hello")).status_code == 403


async def test_an_upload_cut_off_stores_nothing_and_the_next_one_works(
    edge: Settings, store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key, body = new_key(), b"a" * 1_000_000
    signed = signed_put(store, key, body)
    target = httpx.URL(signed.url)
    _, writer = await asyncio.open_connection("127.0.0.1", target.port)
    lines = [f"PUT {target.raw_path.decode()} HTTP/1.1", f"Host: 127.0.0.1:{target.port}"]
    lines += [f"{name}: {value}" for name, value in signed.headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body[:500_000])
    await writer.drain()
    await asyncio.sleep(0.2)
    writer.close()
    await writer.wait_closed()

    answer = await put(browser, signed, body)

    assert answer.status_code == 200
    found = await store.head("incoming", key)
    assert found is not None
    assert found.size == len(body)


async def test_a_preflight_of_the_dashboard_is_allowed(browser: httpx.AsyncClient) -> None:
    answer = await browser.options(
        "/incoming/a.png",
        headers={
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "PUT",
            "Access-Control-Request-Headers": "content-type,if-none-match,x-amz-checksum-sha256",
        },
    )

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "PUT" in answer.headers["access-control-allow-methods"]
    for name in ("content-type", "if-none-match", "x-amz-checksum-sha256"):
        assert name in answer.headers["access-control-allow-headers"]


@pytest.mark.parametrize(
    "changes",
    [
        {"Origin": "http://evil.test"},
        {"Origin": "http://localhost.evil.test:3000"},
        {"Origin": "null"},
        {"Access-Control-Request-Method": "DELETE"},
        {"Access-Control-Request-Headers": "content-type, authorization"},
    ],
)
async def test_other_preflights_are_refused(
    browser: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT"}

    answer = await browser.options("/incoming/a.png", headers=asked | changes)

    assert answer.status_code == 403
    assert "access-control-allow-methods" not in answer.headers


@pytest.mark.parametrize("origin", [ORIGIN, "http://127.0.0.1:3217"])
async def test_a_page_of_the_dashboard_may_read_answers_and_their_etag(
    store: R2ObjectStore, browser: httpx.AsyncClient, origin: str
) -> None:
    signed = signed_put(store, new_key(), b"hello")

    for answer in (
        await put(browser, signed, b"hello", Origin=origin),
        await put(browser, signed, b"hello", Origin=origin),
        await browser.get("/none.png", headers={"Origin": origin}),
    ):
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["access-control-expose-headers"] == "ETag"
        assert answer.headers["vary"] == "Origin"
    foreign = await browser.get("/none.png", headers={"Origin": "http://evil.test"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_a_signed_get_answers_as_its_signer_wanted(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key = new_key()
    headers = ObjectHeaders(PNG, IMMUTABLE, "inline")
    await store.write("private", key, b"0123456789", headers=headers)
    signed = store.sign_get(
        "private", key, content_disposition="attachment; x", lifetime=60, at=utc_now()
    )

    answer = await browser.get(signed.url)
    part = await browser.get(signed.url, headers={"Range": "bytes=2-3"})
    turned = await browser.get(signed.url.replace("attachment", "inline"))

    assert (answer.status_code, answer.content) == (200, b"0123456789")
    assert (part.status_code, part.content) == (206, b"23")
    assert answer.headers["content-disposition"] == "attachment; x"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["content-type"] == PNG
    assert turned.status_code == 403


async def test_a_large_file_goes_through_both_ways(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key, body = new_key(), bytes(range(256)) * 40_000
    await put(browser, signed_put(store, key, body), body)
    await published(store, PNG, body)
    found = await store.head("incoming", key)
    assert found is not None

    await store.copy(
        key,
        source="incoming",
        target="public",
        etag=found.etag,
        headers=ObjectHeaders(PNG, IMMUTABLE, "inline"),
    )

    assert (await browser.get(f"/{key}")).content == body


@pytest.mark.long
async def test_a_put_survives_that_the_store_tidies_its_folder_away(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    """rclone removes a folder with its last object, also while another is on its way there."""
    body = sample(PNG)
    tenant = new_id("ls")
    answers = []

    async def tidy(key: str, late: float) -> None:
        await asyncio.sleep(late)
        await store.delete("incoming", [key])

    # It matters when the folder goes: each round a little later.
    for late in (round_ / 10_000 for round_ in range(120)):
        keys = [f"{tenant}/blog/2026/04/{new_id('x')}.png" for _ in range(2)]
        await put(browser, signed_put(store, keys[0], body), body)
        second = signed_put(store, keys[1], body)
        _, answer = await asyncio.gather(tidy(keys[0], late), put(browser, second, body))
        answers.append(answer.status_code)
        found = await store.head("incoming", keys[1])
        assert answer.status_code != 200 or (found is not None and found.size == len(body))
        await store.delete("incoming", [keys[1]])
    assert set(answers) == {200}


async def test_a_store_that_is_away_is_said_and_not_kept(settings: Settings) -> None:
    with_no_store = msgspec.structs.replace(settings, s3_endpoint="http://127.0.0.1:9")
    async with (
        serving_edge(with_no_store) as edge,
        R2ObjectStore.open(edge) as store,
        httpx.AsyncClient(base_url=edge.public_base_url, trust_env=False, timeout=60) as browser,
    ):
        signed = signed_put(store, new_key(), b"hello")
        assert (await put(browser, signed, b"hello")).status_code == 503
        assert (await browser.get("/a.png")).status_code == 503

import asyncio
import hashlib
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from adapters.r2_object_store import R2ObjectStore
from adapters.s3_client import CONNECTIONS
from adapters.settings import Settings
from adapters.sigv4 import Presigner
from adapters.system import utc_now
from application.ports import ObjectChanged, ObjectExists, ObjectHeaders
from domain.errors import ObjectStoreUnavailable
from tests.kit.conditional_store import on_conditional_server
from tests.kit.objects import read, replace

KEY = "ls_abc123/blog/2026/04/xK9mQ2pLw3RtYb8c.png"
HEADERS = ObjectHeaders(
    "image/png", "public, max-age=86400", "inline; filename=\"file\"; filename*=UTF-8''h%20o.png"
)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
async def store(settings: Settings) -> AsyncIterator[R2ObjectStore]:
    async with R2ObjectStore.open(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
async def conditional_store(settings: Settings) -> AsyncIterator[R2ObjectStore]:
    """On a server that honours conditions as R2 does."""
    async with (
        on_conditional_server(settings) as conditional,
        R2ObjectStore.open(conditional) as opened,
    ):
        yield opened


async def put(store: R2ObjectStore, key: str, body: bytes, **changes: Any) -> httpx.Response:
    """What a browser does with a signed PUT of these bytes; None takes a header out."""
    signed = store.sign_put(
        key, content_type="image/png", size=len(body), sha256=None, at=utc_now()
    )
    headers = {k: v for k, v in {**signed.headers, **changes}.items() if v is not None}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as browser:
        return await browser.put(signed.url, content=body, headers=headers)


async def test_a_signed_put_is_accepted_and_its_headers_are_named(store: R2ObjectStore) -> None:
    body = b"hello"
    at = datetime(2026, 4, 29, 10, 0, 0, 500_000, tzinfo=UTC)
    digest = hashlib.sha256(body).hexdigest()
    signed = store.sign_put("a/sig.png", content_type="image/png", size=5, sha256=digest, at=at)

    assert signed.headers == {
        "Content-Type": "image/png",
        "Content-Length": "5",
        "If-None-Match": "*",
        "x-amz-checksum-sha256": "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=",
    }
    assert signed.expires_at == datetime(2026, 4, 29, 11, tzinfo=UTC)
    assert (await put(store, "a/sig.png", body)).status_code == 200
    found = await store.head("incoming", "a/sig.png")
    assert found is not None
    assert (found.size, found.content_type) == (5, "image/png")


async def test_a_signed_get_answers_the_bytes_and_its_expiry_is_said(store: R2ObjectStore) -> None:
    await store.write("private", "a/get.png", b"private", headers=HEADERS)
    at = utc_now()
    signed = store.sign_get(
        "private", "a/get.png", content_disposition="attachment", lifetime=60, at=at
    )

    async with httpx.AsyncClient(trust_env=False, timeout=60) as browser:
        answer = await browser.get(signed.url)
    assert answer.content == b"private"
    assert signed.headers == {}
    assert signed.expires_at == at.replace(microsecond=0) + timedelta(seconds=60)


async def test_what_is_not_there_is_absent(store: R2ObjectStore) -> None:
    assert await store.head("incoming", "a/none.png") is None
    with pytest.raises(ObjectChanged):
        await read(store, "incoming", "a/none.png", etag='"0"')
    with pytest.raises(ObjectChanged):
        await store.copy(
            "a/none.png", source="incoming", target="public", etag='"0"', headers=HEADERS
        )


async def test_a_copy_carries_the_headers_it_is_given(
    store: R2ObjectStore, settings: Settings
) -> None:
    await put(store, KEY, b"bytes")
    found = await store.head("incoming", KEY)
    assert found is not None

    await store.copy(KEY, source="incoming", target="public", etag=found.etag, headers=HEADERS)

    copied = await store.head("public", KEY)
    assert copied is not None
    assert (copied.size, copied.content_type) == (5, "image/png")
    signer = Presigner(
        settings.s3_endpoint,
        region=settings.s3_region,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
    )
    path = f"/{settings.s3_public_bucket}/{KEY}"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as browser:
        answer = await browser.get(signer.sign("GET", path, at=utc_now(), lifetime=60))
    assert answer.headers["cache-control"] == HEADERS.cache_control
    assert answer.headers["content-disposition"] == HEADERS.content_disposition


async def test_an_object_is_read_in_parts(store: R2ObjectStore) -> None:
    body = bytes(range(256)) * 8192
    await store.write("incoming", "a/long.png", body, headers=HEADERS)
    found = await store.head("incoming", "a/long.png")
    assert found is not None

    parts = [part async for part in store.stream("incoming", "a/long.png", etag=found.etag)]
    assert b"".join(parts) == body
    assert max(map(len, parts)) < len(body) / 4


async def test_whoever_stops_reading_early_holds_no_connection(store: R2ObjectStore) -> None:
    body = bytes(range(256)) * 8192
    await replace(store, "incoming", "a/long.png", body, headers=HEADERS)
    found = await store.head("incoming", "a/long.png")
    assert found is not None

    # More than the client has connections.
    for _ in range(CONNECTIONS + 5):
        async with aclosing(store.stream("incoming", "a/long.png", etag=found.etag)) as parts:
            assert len(await anext(parts)) > 0
    assert await read(store, "incoming", "a/long.png", etag=found.etag) == body


async def test_a_file_is_stored_from_where_it_stands(store: R2ObjectStore, tmp_path: Path) -> None:
    clean = tmp_path / "clean"
    clean.write_bytes(bytes(range(256)) * 8192)
    with clean.open("rb") as body:
        await store.write("private", "a/clean.png", body, headers=HEADERS)
    found = await store.head("private", "a/clean.png")
    assert found is not None
    assert await read(store, "private", "a/clean.png", etag=found.etag) == clean.read_bytes()


async def test_reading_what_was_replaced_is_refused_even_where_conditions_are_ignored(
    store: R2ObjectStore,
) -> None:
    await store.write("incoming", "a/new.png", b"first", headers=HEADERS)
    found = await store.head("incoming", "a/new.png")
    assert found is not None
    await replace(store, "incoming", "a/new.png", b"second", headers=HEADERS)

    with pytest.raises(ObjectChanged):
        await read(store, "incoming", "a/new.png", etag=found.etag)


async def test_deleting_removes_one_or_many_and_what_is_missing_counts(
    store: R2ObjectStore,
) -> None:
    keys = [f"d/{number} ü&<'\".png" for number in range(5)]
    for key in keys:
        await store.write("public", key, b"x", headers=HEADERS)

    await store.delete("public", [])
    await store.delete("public", keys[:1])
    await store.delete("public", keys[:1])
    await store.delete("public", [*keys, "d/never.png"])

    assert [await store.head("public", key) for key in keys] == [None] * 5
    with pytest.raises(ValueError, match="at most 1000"):
        await store.delete("public", ["x"] * 1001)


@pytest.mark.long
async def test_listing_finds_the_older_objects_over_all_pages(store: R2ObjectStore) -> None:
    keys = {f"l/{number:04}.png" for number in range(1105)}
    for some in [sorted(keys)[at : at + 50] for at in range(0, 1105, 50)]:
        await asyncio.gather(*(store.write("private", key, b"x", headers=HEADERS) for key in some))

    listed = [key async for key in store.list_older_than("private", utc_now() + DAY)]

    assert len(listed) == len(set(listed))
    assert keys <= set(listed)
    assert [key async for key in store.list_older_than("private", utc_now() - DAY)] == []


async def test_a_store_that_refuses_our_key_is_unavailable(settings: Settings) -> None:
    async with R2ObjectStore.open(
        msgspec.structs.replace(settings, s3_secret_key="another-secret-key")
    ) as store:
        await every_call_is_refused(store)


async def test_a_store_that_is_away_is_unavailable(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    async with R2ObjectStore.open(msgspec.structs.replace(settings, s3_endpoint=endpoint)) as store:
        await every_call_is_refused(store)
        signed = store.sign_put(KEY, content_type="image/png", size=1, sha256=None, at=utc_now())
        assert signed.url.startswith(endpoint)


async def test_a_store_that_answers_nonsense_is_unavailable(settings: Settings) -> None:
    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnope")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(nonsense, "127.0.0.1", 0) as server:
        endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with R2ObjectStore.open(
            msgspec.structs.replace(settings, s3_endpoint=endpoint)
        ) as store:
            with pytest.raises(ObjectStoreUnavailable):
                _ = [key async for key in store.list_older_than("incoming", utc_now())]


async def test_a_bucket_that_is_missing_is_unavailable(settings: Settings) -> None:
    async with R2ObjectStore.open(
        msgspec.structs.replace(settings, s3_incoming_bucket="nobody-made-this")
    ) as store:
        with pytest.raises(ObjectStoreUnavailable):
            await store.write("incoming", KEY, b"x", headers=HEADERS)
        with pytest.raises(ObjectStoreUnavailable):
            _ = [key async for key in store.list_older_than("incoming", utc_now())]


async def every_call_is_refused(store: R2ObjectStore) -> None:
    calls = [
        store.head("incoming", KEY),
        read(store, "incoming", KEY, etag='"0"'),
        store.copy(KEY, source="incoming", target="public", etag='"0"', headers=HEADERS),
        store.write("incoming", KEY, b"x", headers=HEADERS),
        store.delete("incoming", [KEY]),
        store.delete("incoming", [KEY, "other"]),
    ]
    for refused in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(refused, ObjectStoreUnavailable), refused
    with pytest.raises(ObjectStoreUnavailable):
        _ = [key async for key in store.list_older_than("incoming", utc_now())]


async def test_whoever_gives_up_waiting_for_the_client_does_not_take_it_from_others(
    settings: Settings,
) -> None:
    async with R2ObjectStore.open(settings) as store:
        impatient = asyncio.create_task(store.head("incoming", "a/none.png"))
        await asyncio.sleep(0)
        impatient.cancel()

        assert await store.head("incoming", "a/none.png") is None


async def test_a_store_that_was_never_used_closes_at_once(settings: Settings) -> None:
    async with R2ObjectStore.open(settings):
        pass


def test_a_process_that_only_signs_does_not_wait_for_the_client() -> None:
    code = "import sys, adapters.r2_object_store; sys.exit('botocore' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.long
async def test_a_copy_is_pinned_to_the_bytes_that_were_looked_at(
    conditional_store: R2ObjectStore,
) -> None:
    store = conditional_store
    await store.write("incoming", KEY, b"verified", headers=HEADERS)
    found = await store.head("incoming", KEY)
    assert found is not None
    await replace(store, "incoming", KEY, b"swapped!", headers=HEADERS)

    with pytest.raises(ObjectChanged):
        await store.copy(KEY, source="incoming", target="public", etag=found.etag, headers=HEADERS)
    assert await store.head("public", KEY) is None

    swapped = await store.head("incoming", KEY)
    assert swapped is not None
    await store.copy(KEY, source="incoming", target="public", etag=swapped.etag, headers=HEADERS)
    assert await read(store, "public", KEY, etag=swapped.etag) == b"swapped!"


async def test_a_server_that_honours_conditions_takes_one_put_of_a_url(
    conditional_store: R2ObjectStore,
) -> None:
    assert (await put(conditional_store, "once.png", b"first")).status_code == 200
    assert (await put(conditional_store, "once.png", b"other")).status_code == 412
    assert (await put(conditional_store, "once.png", b"other", **{"If-None-Match": None})).is_error


async def test_what_stands_in_the_target_is_never_replaced(
    conditional_store: R2ObjectStore,
) -> None:
    store, key = conditional_store, "a/first-wins.png"
    await store.write("incoming", key, b"first", headers=HEADERS)
    first = await store.head("incoming", key)
    assert first is not None
    await store.copy(key, source="incoming", target="public", etag=first.etag, headers=HEADERS)
    await replace(store, "incoming", key, b"other", headers=HEADERS)
    other = await store.head("incoming", key)
    assert other is not None

    with pytest.raises(ObjectExists):
        await store.copy(key, source="incoming", target="public", etag=other.etag, headers=HEADERS)
    with pytest.raises(ObjectExists):
        await store.write("public", key, b"clean", headers=HEADERS)
    assert await read(store, "public", key, etag=first.etag) == b"first"


async def test_of_simultaneous_copies_and_writes_one_wins(conditional_store: R2ObjectStore) -> None:
    store, key = conditional_store, "a/race.png"
    await store.write("incoming", key, b"first", headers=HEADERS)
    found = await store.head("incoming", key)
    assert found is not None
    etag = found.etag
    outcomes = await asyncio.gather(
        *(
            store.copy(key, source="incoming", target="public", etag=etag, headers=HEADERS)
            for _ in range(5)
        ),
        *(store.write("public", key, b"%d" % number, headers=HEADERS) for number in range(5)),
        return_exceptions=True,
    )
    assert outcomes.count(None) == 1
    assert all(isinstance(lost, ObjectExists) for lost in outcomes if lost is not None)


@pytest.mark.parametrize(
    ("endpoint", "header"),
    [
        ("https://account.r2.cloudflarestorage.com", "cf-copy-destination-if-none-match"),
        ("https://account.eu.r2.cloudflarestorage.com", "cf-copy-destination-if-none-match"),
        ("https://s3.eu-central-1.amazonaws.com", "if-none-match"),
        ("https://r2.cloudflarestorage.com.evil.example", "if-none-match"),
    ],
)
async def test_the_condition_of_a_copy_is_signed_under_the_name_that_the_store_knows(
    settings: Settings, endpoint: str, header: str
) -> None:
    sent: list[Any] = []

    def never_sent(request: Any, **_: object) -> None:
        sent.append(request)
        raise ConnectionAbortedError

    async with R2ObjectStore.open(msgspec.structs.replace(settings, s3_endpoint=endpoint)) as store:
        client = await store._client._loading
        client.meta.events.register("before-send.s3", never_sent)
        with pytest.raises(ObjectStoreUnavailable):
            await store.copy(KEY, source="incoming", target="public", etag='"0"', headers=HEADERS)
    headers = {name.lower(): value for name, value in sent[0].headers.items()}
    assert headers[header] in {"*", b"*"}
    assert header.encode() in headers["authorization"]
    assert headers["x-amz-copy-source-if-match"] in {'"0"', b'"0"'}

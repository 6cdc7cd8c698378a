"""An object store that acknowledges what it does not keep: nobody may build on its word."""

import io
import random
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import msgspec
import pytest

from adapters.r2_object_store import R2ObjectStore
from adapters.settings import Settings
from application.ports import ObjectHeaders
from domain.errors import ObjectStoreUnavailable
from tests.faults.proxies import StoreProxy, forgetting, honest

HEADERS = ObjectHeaders("image/png", "no-store", "inline")


@pytest.fixture
async def proxy(settings: Settings) -> AsyncIterator[StoreProxy]:
    async with StoreProxy(urlsplit(settings.s3_endpoint).port or 80) as one:
        yield one


@pytest.fixture
async def store(settings: Settings, proxy: StoreProxy) -> AsyncIterator[R2ObjectStore]:
    endpoint = f"http://127.0.0.1:{proxy.port}"
    proxied = msgspec.structs.replace(settings, s3_endpoint=endpoint)
    async with R2ObjectStore.open(proxied) as opened:
        yield opened


async def test_what_was_acknowledged_and_is_not_there_was_not_stored(
    store: R2ObjectStore, proxy: StoreProxy
) -> None:
    await store.write("incoming", "a/one.png", b"bytes", headers=HEADERS)
    found = await store.head("incoming", "a/one.png")
    assert found is not None
    proxy.meddle = forgetting(proxy, random.Random(1), 1.0)
    with pytest.raises(ObjectStoreUnavailable):
        await store.write("incoming", "a/two.png", b"bytes", headers=HEADERS)
    with pytest.raises(ObjectStoreUnavailable):
        await store.write_file("incoming", "a/three.png", io.BytesIO(b"bytes"), headers=HEADERS)
    with pytest.raises(ObjectStoreUnavailable):
        await store.copy(
            "a/one.png", source="incoming", target="public", etag=found.etag, headers=HEADERS
        )
    assert proxy.strikes == 3

    proxy.meddle = honest
    await store.copy(
        "a/one.png", source="incoming", target="public", etag=found.etag, headers=HEADERS
    )
    assert await store.head("public", "a/one.png") is not None

from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from adapters.cloudflare_cache import CloudflareCache
from adapters.r2_object_store import R2ObjectStore
from adapters.settings import Settings
from adapters.system import utc_now
from application.cdn_ports import CdnUnavailable
from application.ports import ObjectHeaders
from domain.content_disposition import content_disposition
from domain.media_type import MEDIA_TYPES
from tests.kit.edge import IMMUTABLE, PNG, new_key, published, serving_edge
from tests.kit.samples import sample

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


@pytest.mark.parametrize("mime_type", MEDIA_TYPES)
async def test_a_public_file_is_served_with_the_headers_of_its_type(
    store: R2ObjectStore, browser: httpx.AsyncClient, mime_type: str
) -> None:
    body = sample(mime_type)
    key = await published(store, mime_type, body, "hero shot")

    for answer in (await browser.get(f"/{key}"), await browser.head(f"/{key}")):
        assert answer.status_code == 200
        assert answer.headers["content-type"] == mime_type
        assert answer.headers["content-length"] == str(len(body))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["accept-ranges"] == "bytes"
        assert answer.headers["etag"]
        cached = "public, max-age=86400" if mime_type == "application/pdf" else IMMUTABLE
        assert answer.headers["cache-control"] == cached
        disposition = "attachment" if mime_type == "image/svg+xml" else "inline"
        assert answer.headers["content-disposition"].startswith(f"{disposition}; ")
        assert answer.headers["content-disposition"].endswith("hero%20shot")
        assert answer.content == (body if answer.request.method == "GET" else b"")


async def test_a_drawing_runs_nothing(store: R2ObjectStore, browser: httpx.AsyncClient) -> None:
    key = await published(store, "image/svg+xml", sample("image/svg+xml"))

    answer = await browser.get(f"/{key}")

    policy = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert answer.headers["content-security-policy"] == policy


async def test_a_drawing_stored_as_inline_is_an_attachment_all_the_same(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key = new_key("svg")
    headers = ObjectHeaders("image/svg+xml", IMMUTABLE, "inline")
    await store.write("public", key, sample("image/svg+xml"), headers=headers)

    assert (await browser.get(f"/{key}")).headers["content-disposition"] == "attachment"


async def test_a_hostile_file_name_adds_no_header(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key = await published(store, PNG, sample(PNG), HOSTILE_NAME)
    disposition = content_disposition(HOSTILE_NAME, "attachment")
    signed = store.sign_get(
        "public", key, content_disposition=disposition, lifetime=60, at=utc_now()
    )

    for answer in (await browser.get(f"/{key}"), await browser.get(signed.url)):
        assert answer.status_code == 200
        assert "set-cookie" not in answer.headers
        assert answer.headers["content-disposition"].count("filename=") == 1
        assert answer.headers["content-disposition"].count('"') == 2


@pytest.mark.parametrize(
    ("asked", "first", "after"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=2-5", 2, 6),
        ("bytes=7-", 7, 10),
        ("bytes=-3", 7, 10),
        ("bytes=-99", 0, 10),
        ("bytes=5-99", 5, 10),
    ],
)
async def test_a_part_of_a_file_can_be_asked_for(
    store: R2ObjectStore, browser: httpx.AsyncClient, asked: str, first: int, after: int
) -> None:
    key = await published(store, PNG, b"0123456789")

    answer = await browser.get(f"/{key}", headers={"Range": asked})

    assert answer.status_code == 206
    assert answer.content == b"0123456789"[first:after]
    assert answer.headers["content-range"] == f"bytes {first}-{after - 1}/10"


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=99-100", "bytes=-0"])
async def test_a_part_beyond_the_end_is_416(
    store: R2ObjectStore, browser: httpx.AsyncClient, asked: str
) -> None:
    key = await published(store, PNG, b"0123456789")

    answer = await browser.get(f"/{key}", headers={"Range": asked})

    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */10"


@pytest.mark.parametrize(
    "asked", ["bytes=-", "bytes=5-2", "bytes=0-1,4-5", "lines=0-1", "bytes=a-b", "bytes=1\u0660-"]
)
async def test_a_range_that_is_none_gets_the_whole(
    store: R2ObjectStore, browser: httpx.AsyncClient, asked: str
) -> None:
    key = await published(store, PNG, b"0123456789")

    answer = await browser.get(f"/{key}", headers={b"Range": asked.encode()})

    assert (answer.status_code, answer.content) == (200, b"0123456789")


async def test_who_has_the_file_gets_304_and_if_range_guards_a_part(
    store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key = await published(store, PNG, b"0123456789")
    first = await browser.get(f"/{key}")
    etag, modified = first.headers["etag"], first.headers["last-modified"]

    for asked in (
        {"If-None-Match": etag},
        {"If-None-Match": f'"0", W/{etag}'},
        {"If-None-Match": "*"},
        {"If-Modified-Since": modified},
    ):
        answer = await browser.get(f"/{key}", headers=asked)
        assert (answer.status_code, answer.content) == (304, b""), asked
        assert answer.headers["etag"] == etag
        assert answer.headers["cache-control"] == IMMUTABLE
    for asked in (
        {"If-None-Match": '"0"'},
        {"If-None-Match": '"0"', "If-Modified-Since": modified},
        {"If-Modified-Since": "yesterday"},
        {"Range": "bytes=0-1", "If-Range": '"0"'},
    ):
        answer = await browser.get(f"/{key}", headers=asked)
        assert (answer.status_code, answer.content) == (200, b"0123456789"), asked
    part = await browser.get(f"/{key}", headers={"Range": "bytes=0-1", "If-Range": etag})
    assert part.status_code == 206


async def test_nothing_but_the_public_bucket_is_reached_unsigned(
    edge: Settings, store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    key = new_key()
    headers = ObjectHeaders(PNG, "no-store", "inline")
    for bucket in ("incoming", "private"):
        await store.write(bucket, key, sample(PNG), headers=headers)
    public = edge.s3_public_bucket

    for bucket in (edge.s3_incoming_bucket, edge.s3_private_bucket):
        for path in (
            f"/{key}",
            f"/{bucket}/{key}",
            f"/../{bucket}/{key}",
            f"/%2e%2e/{bucket}/{key}",
            f"/..%2f{bucket}/{key}",
            f"/{public}/../{bucket}/{key}",
            f"//{bucket}/{key}",
            f"/{bucket}/{key}?X-Amz-Signature",
            f"/{bucket}/{key}?x-amz-signature=00",
        ):
            answer = await browser.get(f"{edge.public_base_url}{path}")
            assert answer.status_code == 404, path
            assert answer.headers["cache-control"] == "no-store"
        for forged in ("X-Amz-Signature=00", "X-Amz-Signature=00&X-Amz-Expires=9"):
            answer = await browser.get(f"/{bucket}/{key}?{forged}")
            assert answer.status_code in {400, 403}


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a.html", "/a.png/", "/.png/..", "/%ff.png", "/a%00.png", "/a\\b.png"]
)
async def test_paths_that_name_no_file_are_404(browser: httpx.AsyncClient, path: str) -> None:
    assert (await browser.get(path)).status_code == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
async def test_unsigned_writes_are_405(
    store: R2ObjectStore, browser: httpx.AsyncClient, method: str
) -> None:
    key = await published(store, PNG, b"stays")

    answer = await browser.request(method, f"/{key}", content=b"x" * 300_000)

    assert answer.status_code == 405
    assert (await browser.get(f"/{key}")).content == b"stays"


async def test_what_was_asked_for_is_kept_as_a_cdn_keeps_it_until_it_is_purged(
    edge: Settings, store: R2ObjectStore, browser: httpx.AsyncClient
) -> None:
    """A file that is deleted and not purged is still there, as it would be in production."""
    key, other = [await published(store, PNG, b"0123456789") for _ in range(2)]
    url = f"{edge.public_base_url}/{key}"
    assert (await browser.get(url)).headers["cf-cache-status"] == "MISS"
    await browser.get(f"/{other}")
    await store.delete("public", [key, other])

    for answer in (await browser.get(url), await browser.head(url)):
        assert answer.status_code == 200
        assert answer.headers["cf-cache-status"] == "HIT"
        assert int(answer.headers["age"]) >= 0
    part = await browser.get(url, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, b"2345")
    assert part.headers["content-range"] == "bytes 2-5/10"
    etag = part.headers["etag"]
    assert (await browser.get(url, headers={"If-None-Match": etag})).status_code == 304
    assert (await browser.get(url, headers={"Range": "bytes=10-"})).status_code == 416

    async with CloudflareCache.open(edge) as cdn:
        await cdn.purge([url])
    for answer in (await browser.get(url), await browser.head(url)):
        assert answer.status_code == 404
    assert (await browser.get(f"/{other}")).status_code == 200


@pytest.mark.parametrize("changes", [{"cloudflare_api_token": "x"}, {"cloudflare_zone_id": "x"}])
async def test_nobody_else_purges(
    edge: Settings, store: R2ObjectStore, browser: httpx.AsyncClient, changes: dict[str, str]
) -> None:
    key = await published(store, PNG, b"0123456789")
    await browser.get(f"/{key}")
    await store.delete("public", [key])
    async with CloudflareCache.open(msgspec.structs.replace(edge, **changes)) as cdn:
        with pytest.raises(CdnUnavailable):
            await cdn.purge([f"{edge.public_base_url}/{key}"])
    assert (await browser.get(f"/{key}")).status_code == 200


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"files": []}', b'{"files": "a"}', b'{"files": [{}]}', b"\xff"]
)
async def test_a_purge_of_nothing_is_refused(
    edge: Settings, browser: httpx.AsyncClient, body: bytes
) -> None:
    path = f"/client/v4/zones/{edge.cloudflare_zone_id}/purge_cache"
    headers = {"authorization": f"Bearer {edge.cloudflare_api_token}"}
    answer = await browser.post(path, content=body, headers=headers)
    assert answer.status_code == 400
    assert answer.json()["success"] is False

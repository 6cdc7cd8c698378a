"""Hostile files through the front door: presign, PUT, complete. What is published is proven."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.runtime import Runtime
from adapters.settings import Settings
from domain.media_type import MEDIA_TYPES
from tests.kit.hostile_cases import HOSTILE, Case
from tests.kit.hostile_files import GOOD_FILES, HTML, SCRIPT, image, svg, zip_archive
from tests.kit.http import ApiClient, refused
from tests.kit.objects import read
from tests.kit.samples import sample
from tests.workers.processes import running, until
from workers import jobs, reactor

AT_ONCE = 4


@pytest.fixture(scope="module")
async def _workers(settings: Settings) -> AsyncIterator[None]:
    """What removes the bytes of a refused file."""
    async with running(settings, reactor.main), running(settings, jobs.main):
        yield


async def published(runtime: Runtime, key: str) -> bytes:
    found = await runtime.objects.head("public", key)
    assert found is not None
    return await read(runtime.objects, "public", key, etag=found.etag)


@pytest.mark.usefixtures("_workers")
@pytest.mark.timeout(300)
@pytest.mark.long
async def test_hostile_files_are_refused_for_a_reason_and_leave_no_byte(
    client: ApiClient, runtime: Runtime
) -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def upload(case: Case) -> str:
        name, mime_type, make, reasons = case
        body = make()
        async with places:
            presigned = await client.presign(
                fileName=name, contentType=mime_type, fileSize=len(body)
            )
            await client.put(presigned, body)
            # 202: a worker finishes what takes longer than a request waits.
            while (answer := await client.complete(presigned["mediaId"])).status_code == 202:
                await asyncio.sleep(0.05)
        said = refused(answer, 409, "UPLOAD_MISMATCH")["error"]
        # On a busy machine the read model may be behind for longer than a query waits.
        await until(lambda: rejection(client, presigned["mediaId"]))
        rejected = await rejection(client, presigned["mediaId"])
        # libmagic sees some of them before they are decoded.
        assert rejected["reason"] in reasons | {"content"}, name
        assert rejected["detail"] == said
        return str(presigned["key"])

    files = [case for case in HOSTILE if case[2]()]
    keys = await asyncio.gather(*(upload(case) for case in files))
    assert len(keys) > 100
    for key in keys:
        assert await runtime.objects.head("public", key) is None
        await until(lambda key=key: gone(runtime, key))  # type: ignore[misc]


async def gone(runtime: Runtime, key: str) -> bool:
    return await runtime.objects.head("incoming", key) is None


async def rejection(client: ApiClient, media_id: str) -> dict[str, Any]:
    """What was said of the upload at its end; before, nothing."""
    items = (await client.get(f"/files/{media_id}/history")).json().get("items", [])
    said = [one["data"] for one in items if one["type"] == "media_file.upload_rejected.v1"]
    return dict(said[0]) if said else {}


@pytest.mark.parametrize("tail", [HTML, zip_archive()], ids=["HTML", "ZIP"])
@pytest.mark.parametrize("mime_type", [kind for kind in GOOD_FILES if kind != "image/svg+xml"])
async def test_a_valid_file_with_bytes_behind_it_is_published_without_them(
    client: ApiClient, runtime: Runtime, mime_type: str, tail: bytes
) -> None:
    good = GOOD_FILES[mime_type]()
    file = await client.upload(body=good + tail, contentType=mime_type)
    assert file["fileSize"] == len(good)
    assert await published(runtime, file["key"]) == good


@pytest.mark.parametrize(
    "inside",
    [
        SCRIPT,
        b'<rect onload="alert(document.domain)" onclick="alert(1)"/>',
        b'<a href="javascript:alert(1)"><rect/></a>',
        b"<foreignObject><iframe srcdoc='alert(1)'/></foreignObject>",
        b'<set attributeName="onmouseover" to="alert(1)"/>',
    ],
)
async def test_a_drawing_is_published_without_what_acts(
    client: ApiClient, runtime: Runtime, inside: bytes
) -> None:
    file = await client.upload(
        body=svg(inside + b'<circle r="4"/>'), contentType="image/svg+xml", fileName="a.svg"
    )
    drawing = await published(runtime, file["key"])
    assert file["fileSize"] == len(drawing)
    assert b"<circle" in drawing
    for gone in (b"<script", b"onload", b"onclick", b"onmouseover", b"javascript", b"iframe"):
        assert gone not in drawing


@pytest.mark.parametrize("mime_type", MEDIA_TYPES)
async def test_a_good_file_of_each_type_is_published_as_it_is(
    client: ApiClient, runtime: Runtime, mime_type: str
) -> None:
    body = sample(mime_type)
    file = await client.upload(body=body, contentType=mime_type)
    stored = await published(runtime, file["key"])
    assert file["fileSize"] == len(stored)
    if mime_type != "image/svg+xml":
        assert stored == body
    assert b"hello" in stored or mime_type != "image/svg+xml"


async def test_a_photograph_of_twelve_megapixels_is_published(
    client: ApiClient, runtime: Runtime
) -> None:
    body = image(".jpg", 4_000, 3_000, Q=80)
    file = await client.upload(body=body, contentType="image/jpeg")
    assert await published(runtime, file["key"]) == body

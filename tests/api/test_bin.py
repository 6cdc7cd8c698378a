"""The bin, restore, purge, undo and a change of visibility, with the workers at work."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import msgspec
import pytest

from adapters.runtime import Runtime, open_api_runtime, open_jobs_runtime
from adapters.settings import Settings
from api import app
from application.ports import ObjectChanged
from domain.errors import ObjectStoreUnavailable
from tests.kit.http import JSON, ApiClient, asked, new_id, refused, serving
from tests.kit.library import PNG
from tests.workers.processes import until
from workers import jobs, reactor


@pytest.fixture(scope="module")
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    patient = msgspec.structs.replace(settings, placement_wait_seconds=60)
    async with open_api_runtime(patient) as opened:
        yield opened


@pytest.fixture(scope="module")
async def http(runtime: Runtime, _followers: None) -> AsyncIterator[httpx.AsyncClient]:
    """The public app, with the reactor and the jobs beside it."""
    stop = asyncio.Event()
    async with open_jobs_runtime(runtime.settings) as of_jobs:
        tasks = [
            asyncio.create_task(reactor.main(runtime.settings, stop)),
            asyncio.create_task(jobs.work(runtime.settings, of_jobs, stop)),
        ]
        async with serving(app.create_app(runtime)) as client:
            yield client
        stop.set()
        await asyncio.gather(*tasks)


@pytest.fixture
def owner(client: ApiClient) -> ApiClient:
    return client.but(permissions="system:owner")


async def public(runtime: Runtime, file: JSON) -> bytes | None:
    """What everybody gets under the file's URL."""
    standing = await runtime.objects.head("public", file["key"])
    if standing is None:
        return None
    stream = runtime.objects.stream("public", file["key"], etag=standing.etag)
    try:
        return b"".join([part async for part in stream])
    except (ObjectChanged, ObjectStoreUnavailable):
        # Removed between the two; or written again in place, which only rclone does.
        return None


NAMED = ("id", "key", "fileName", "fileSize", "mimeType", "isPublic", "url", "createdAt", "status")


def named(file: JSON) -> JSON:
    """What does not depend on how far the workers have come with looking into the bytes."""
    return {name: file[name] for name in NAMED}


async def gone(runtime: Runtime, *files: JSON) -> None:
    """Wait until nobody can fetch them: the contract's 5 s, and patience with a loaded machine."""

    async def nowhere() -> bool:
        return not [file for file in files if await public(runtime, file) is not None]

    await until(nowhere)


async def there(runtime: Runtime, file: JSON) -> bytes:
    """What everybody gets. An answer comes once the bytes are there, but rclone may forget an
    object for a moment when another goes out of its folder."""
    found: list[bytes] = []

    async def served() -> bool:
        body = await public(runtime, file)
        found[:] = [] if body is None else [body]
        return bool(found)

    await until(served)
    return found[0]


def command_of(answer: httpx.Response) -> str:
    return str(answer.headers["media-command-id"])


async def bulk_delete(client: ApiClient, *files: JSON) -> str:
    ids = [file["id"] for file in files]
    answer = await client.send("POST", "/files/bulk-delete", json={"ids": ids})
    assert answer.json() == {"deleted": ids, "failed": []}
    return command_of(answer)


async def undo(client: ApiClient, command: str, **headers: str) -> httpx.Response:
    return await client.send("POST", f"/commands/{command}/undo", headers=headers)


async def test_a_deleted_file_is_in_the_bin_and_can_be_restored(
    client: ApiClient, runtime: Runtime
) -> None:
    file = await client.upload()
    await client.delete(file["id"])
    await gone(runtime, file)
    assert await client.listed() == []
    refused(await client.get(f"/files/{file['id']}"), 404, "MEDIA_NOT_FOUND")
    assert (await client.get("/files/stats")).json()["totalFiles"] == 0
    (binned,) = await client.listed(status="deleted")
    assert (binned["id"], binned["status"], binned["url"]) == (file["id"], "deleted", None)
    assert binned["deletedBy"] == client.user
    assert binned["purgeAt"][:10] > binned["deletedAt"][:10]

    answer = await client.send("POST", f"/files/{file['id']}/restore")
    assert answer.status_code == 200
    back = answer.json()
    assert named(back) == named(file)
    assert await there(runtime, file) == PNG
    assert [named(one) for one in await client.listed()] == [named(file)]
    assert await client.listed(status="deleted") == []
    assert (await client.get("/files/stats")).json()["totalFiles"] == 1
    refused(await client.send("POST", f"/files/{file['id']}/restore"), 409, "NOT_IN_BIN")


async def test_the_bin_has_the_filters_the_sorts_and_the_pages_of_the_library(
    client: ApiClient,
) -> None:
    names = ["beta.png", "alpha.png", "Gamma.png", "alpine.png", "100%.png"]
    files = [await client.upload(fileName=name) for name in names]
    other = await client.upload(fileName="alpha.png", serviceCode="avatar")
    for file in (*files, other):
        await client.delete(file["id"])
    kept = await client.upload(fileName="alphabet.png")

    async def listed(**parameters: str) -> list[str]:
        found: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            query = {"status": "deleted", "limit": "2", **parameters, **cursor}
            page = (await client.get("/files", **query)).json()
            found += [file["fileName"] for file in page["items"]]
            if page["nextCursor"] is None:
                return found
            cursor = {"cursor": page["nextCursor"]}

    assert await listed() == ["alpha.png", *reversed(names)]
    assert await listed(sort="deletedAt") == [*names, "alpha.png"]
    assert await listed(sort="createdAt", service="blog") == names
    assert await listed(sort="fileName", service="blog") == sorted(names, key=str.casefold)
    assert await listed(sort="fileName", search="alp") == ["alpha.png", "alpha.png", "alpine.png"]
    assert await listed(search="%") == ["100%.png"]
    assert await listed(type="video") == []
    assert await listed(service="avatar", mime="image/png") == ["alpha.png"]
    assert [file["id"] for file in await client.listed()] == [kept["id"]]
    page = (await client.get("/files", status="deleted", limit=1)).json()
    answer = await client.get("/files", limit=1, cursor=page["nextCursor"])
    refused(answer, 400, "INVALID_CURSOR")
    refused(await client.get("/files", status="pending"), 400, "INVALID_FIELD", "status")
    refused(await client.get("/files", sort="deletedAt"), 400, "INVALID_FIELD", "sort")


async def test_only_the_system_owner_purges_and_then_nothing_comes_back(
    client: ApiClient, owner: ApiClient, runtime: Runtime
) -> None:
    file = await client.upload()
    path = f"/files/{file['id']}/purge"
    refused(await client.send("POST", path), 403, "FORBIDDEN")
    refused(await owner.send("POST", path), 409, "NOT_IN_BIN")
    command = command_of(await client.delete(file["id"]))
    answer = await owner.send("POST", path)
    assert answer.json() == {"id": file["id"], "purged": True}
    refused(await owner.send("POST", path), 404, "MEDIA_NOT_FOUND")
    client.position = owner.position
    assert await client.listed(status="deleted") == []
    refused(await client.send("POST", f"/files/{file['id']}/restore"), 404, "MEDIA_NOT_FOUND")
    body = refused(await undo(client, command), 409, "UNDO_IMPOSSIBLE")
    assert body["details"]["files"] == [{"id": file["id"], "reason": "PURGED"}]

    async def nowhere() -> bool:
        return await runtime.objects.head("private", file["key"]) is None

    await gone(runtime, file)
    await until(nowhere)


async def test_visibility_moves_the_bytes_and_an_undo_moves_them_back(
    client: ApiClient, runtime: Runtime
) -> None:
    file = await client.upload()
    path = f"/files/{file['id']}"
    answer = await client.send("PATCH", path, json={"isPublic": False})
    hidden = answer.json()
    assert named(hidden) == named(file) | {"isPublic": False, "url": None}
    assert await public(runtime, file) is None
    assert named((await client.get(path)).json()) == named(hidden)
    again = await client.send("PATCH", path, json={"isPublic": False})
    assert named(again.json()) == named(hidden)
    refused(await client.send("PATCH", path, json={}), 400, "MISSING_FIELDS")
    assert (await undo(client, command_of(answer))).json()["files"] == [file["id"]]
    assert await there(runtime, file) == PNG
    assert (await client.get(path)).json()["url"] == file["url"]


async def test_an_undone_bulk_delete_brings_back_exactly_what_it_removed(
    client: ApiClient, runtime: Runtime
) -> None:
    files = [await client.upload() for _ in range(6)]
    await client.delete(files[5]["id"])
    command = await bulk_delete(client, *files[:4])
    await gone(runtime, *files[:4])
    answer = await undo(client, command)
    assert answer.json() == {
        "commandId": command,
        "files": sorted(file["id"] for file in files[:4]),
        "processing": [],
    }
    assert command_of(answer) != command
    assert {file["id"] for file in await client.listed()} == {file["id"] for file in files[:5]}
    for file in files[:4]:
        assert await there(runtime, file) == PNG
    body = refused(await undo(client, command), 409, "UNDO_IMPOSSIBLE")
    assert {one["reason"] for one in body["details"]["files"]} == {"CHANGED"}
    assert len(body["details"]["files"]) == 4
    # The undo is a command as well: undone, the files are deleted once more.
    assert (await undo(client, command_of(answer))).status_code == 200
    await gone(runtime, *files[:4])
    assert [file["id"] for file in await client.listed()] == [files[4]["id"]]


async def test_an_undo_is_all_or_nothing(client: ApiClient) -> None:
    files = [await client.upload() for _ in range(3)]
    command = await bulk_delete(client, *files)
    await client.send("POST", f"/files/{files[1]['id']}/restore")
    body = refused(await undo(client, command), 409, "UNDO_IMPOSSIBLE")
    assert body["details"]["files"] == [{"id": files[1]["id"], "reason": "CHANGED"}]
    assert [file["id"] for file in await client.listed()] == [files[1]["id"]]


async def test_fifty_undos_at_once_are_one(client: ApiClient, runtime: Runtime) -> None:
    files = [await client.upload() for _ in range(3)]
    command = await bulk_delete(client, *files)
    answers = await asyncio.gather(*(undo(client, command) for _ in range(50)))
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 49
    assert {answer.json().get("code") for answer in answers} <= {
        None,
        "UNDO_IMPOSSIBLE",
        "CONFLICT",
    }
    for file in files:
        answer = await client.get(f"/files/{file['id']}/history")
        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        types = [item["type"] for item in items]
        assert types.count("media_file.file_restored.v1") == 1
        assert await there(runtime, file) == PNG


async def test_deleting_and_undoing_in_haste_ends_as_the_last_one_said(
    client: ApiClient, runtime: Runtime
) -> None:
    file = await client.upload()
    for _ in range(6):
        command = command_of(await client.delete(file["id"]))
        assert (await undo(client, command)).status_code == 200
    assert await there(runtime, file) == PNG
    await client.delete(file["id"])
    await gone(runtime, file)


async def test_uploads_are_not_undone(client: ApiClient) -> None:
    sent = await client.send("POST", "/upload/presign", json=asked())
    assert command_of(sent).startswith("cmd_")
    refused(await undo(client, command_of(sent)), 409, "COMMAND_NOT_UNDOABLE")
    # Called off, it is no file that could come back.
    cancelled = await client.delete(sent.json()["mediaId"])
    body = refused(await undo(client, command_of(cancelled)), 409, "UNDO_IMPOSSIBLE")
    assert body["details"]["files"][0]["reason"] == "CANCELLED"
    presigned = await client.presign()
    await client.put(presigned)
    completed = await client.complete(presigned["mediaId"])
    refused(await undo(client, command_of(completed)), 409, "COMMAND_NOT_UNDOABLE")


async def test_who_may_delete_may_undo_and_nobody_else_learns_of_it(
    client: ApiClient, stranger: ApiClient
) -> None:
    file = await client.upload()
    command = command_of(await client.delete(file["id"]))
    refused(await undo(stranger, command), 404, "COMMAND_NOT_FOUND")
    refused(await undo(client, "cmd_" + "0" * 28), 404, "COMMAND_NOT_FOUND")
    refused(await undo(client, "nonsense"), 404, "COMMAND_NOT_FOUND")
    reader = client.but(permissions="media:files.read")
    refused(await undo(reader, command), 403, "FORBIDDEN")
    colleague = client.but(user=new_id("user"))
    assert (await undo(colleague, command)).status_code == 200


async def test_another_workspace_restores_purges_and_changes_nothing(
    client: ApiClient, stranger: ApiClient
) -> None:
    file, binned = await client.upload(), await client.upload()
    await client.delete(binned["id"])
    answer = await stranger.send("PATCH", f"/files/{file['id']}", json={"isPublic": False})
    refused(answer, 403, "OWNERSHIP_DENIED")
    path = f"/files/{binned['id']}"
    refused(await stranger.send("POST", f"{path}/restore"), 403, "OWNERSHIP_DENIED")
    refused(await stranger.send("POST", f"{path}/purge"), 403, "FORBIDDEN")
    assert await stranger.listed(status="deleted") == []
    assert await client.but(user=new_id("user")).listed(status="deleted") != []


async def test_a_repeat_answers_as_the_first_with_its_command(
    client: ApiClient, runtime: Runtime
) -> None:
    once = {"idempotency-key": new_id("key")}
    first, again = [
        await client.send("POST", "/upload/presign", json=asked(), headers=once) for _ in range(2)
    ]
    assert command_of(again) == command_of(first)
    presigned = await client.presign()
    await client.put(presigned)
    answers = [await client.complete(presigned["mediaId"], headers=once) for _ in range(2)]
    assert len({command_of(answer) for answer in answers}) == 1
    deleted = [await client.delete(presigned["mediaId"], headers=once) for _ in range(2)]
    assert len({command_of(answer) for answer in deleted}) == 1
    undone = [await undo(client, command_of(deleted[0]), **once) for _ in range(2)]
    assert {answer.status_code for answer in undone} == {200}
    assert len({command_of(answer) for answer in undone}) == 1
    assert undone[0].json()["files"] == undone[1].json()["files"] == [presigned["mediaId"]]
    path, once = f"/files/{presigned['mediaId']}", {"idempotency-key": new_id("key")}
    for method, where, body in (
        ("PATCH", path, {"isPublic": False}),
        ("DELETE", path, None),
        ("POST", f"{path}/restore", None),
    ):
        both = [await client.send(method, where, json=body, headers=once) for _ in range(2)]
        assert {answer.status_code for answer in both} == {200}, where
        assert len({command_of(answer) for answer in both}) == 1


@pytest.mark.timeout(300)
@pytest.mark.long
async def test_many_files_deleted_in_bulk_and_undone_are_back_byte_for_byte(
    client: ApiClient, runtime: Runtime
) -> None:
    bodies = {}
    turns = asyncio.Semaphore(3)

    async def upload(number: int) -> JSON:
        comment = f"<!-- {number} -->".encode()
        svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"/>' + comment
        async with turns:
            return await client.upload(
                body=svg, contentType="image/svg+xml", fileName=f"{number}.svg"
            )

    files = await asyncio.gather(*(upload(number) for number in range(60)))
    for file in files:
        bodies[file["id"]] = await there(runtime, file)
    commands = [await bulk_delete(client, *files[:30]), await bulk_delete(client, *files[30:])]
    await gone(runtime, *files)
    for command in commands:
        answer = await undo(client, command)
        assert answer.status_code == 200, answer.text
        assert answer.json()["processing"] == []
    for file in files:
        assert await there(runtime, file) == bodies[file["id"]]
    assert (await client.get("/files/stats")).json()["totalFiles"] == 60


async def test_a_removed_workspace_has_no_bin(
    client: ApiClient, internal: httpx.AsyncClient
) -> None:
    file = await client.upload()
    command = command_of(await client.delete(file["id"]))
    removed = await internal.delete(f"/internal/tenants/{client.tenant}")
    client.position = removed.headers["media-position"]
    assert await client.listed(status="deleted") == []
    refused(await undo(client, command), 403, "TENANT_REMOVED")
    answer = await client.send("POST", f"/files/{file['id']}/restore")
    refused(answer, 403, "TENANT_REMOVED")

"""Asking for a purge: by whom, of what, and under both of its names."""

import httpx
import pytest

from tests.kit.http import JSON, WRITER, ApiClient, new_id, refused


async def purge(
    by: ApiClient, file: JSON, *, alias: bool = False, **rest: object
) -> httpx.Response:
    if alias:
        return await by.send("PURGE", f"/cdn/{file['key']}", **rest)  # type: ignore[arg-type]
    return await by.send("POST", f"/files/{file['id']}/purge-cache", **rest)  # type: ignore[arg-type]


async def types(client: ApiClient, file: JSON) -> list[str]:
    items = (await client.get(f"/files/{file['id']}/history")).json()["items"]
    return [item["type"].split(".")[1] for item in items]


both = pytest.mark.parametrize("alias", [False, True])


@both
async def test_a_purge_is_recorded_and_answered_at_once(client: ApiClient, *, alias: bool) -> None:
    file = await client.upload()
    answer = await purge(client, file, alias=alias)
    assert answer.status_code == 202
    assert answer.json() == {"id": file["id"], "queued": True}
    client.position = answer.headers["media-position"]
    assert (await types(client, file))[-1] == "cache_purge_requested"


@both
async def test_it_needs_what_a_delete_needs(
    client: ApiClient, stranger: ApiClient, *, alias: bool
) -> None:
    file = await client.upload()
    refused(await purge(client.but(key="x"), file, alias=alias), 401, "UNAUTHORIZED")
    refused(await purge(client.but(user=""), file, alias=alias), 401, "UNAUTHORIZED")
    reader = client.but(permissions="media:files.read")
    refused(await purge(reader, file, alias=alias), 403, "FORBIDDEN")
    refused(await purge(stranger, file, alias=alias), 403, "OWNERSHIP_DENIED")
    colleague = client.but(user=new_id("user"))
    assert (await purge(colleague, file, alias=alias)).status_code == 202
    uploader = client.but(tenant=stranger.tenant)
    assert (await purge(uploader, file, alias=alias)).status_code == 202
    owner = stranger.but(permissions="system:owner")
    assert (await purge(owner, file, alias=alias)).status_code == 202


@both
async def test_a_deleted_file_can_be_purged_once_more_and_an_upload_under_way_cannot(
    client: ApiClient, *, alias: bool
) -> None:
    file, pending = await client.upload(), await client.presign()
    await client.delete(file["id"])
    assert (await purge(client, file, alias=alias)).status_code == 202
    under_way = {"id": pending["mediaId"], "key": pending["key"]}
    refused(await purge(client, under_way, alias=alias), 404, "MEDIA_NOT_FOUND")


async def test_the_alias_wants_the_file_s_own_key(client: ApiClient) -> None:
    file = await client.upload()
    for key in (f"ls_x/{file['key']}", file["key"].replace(".png", ".jpg"), "x", "", "a/b.png"):
        refused(await purge(client, {"key": key}, alias=True), 404, "MEDIA_NOT_FOUND")


async def test_the_method_is_known_nowhere_else(client: ApiClient) -> None:
    for path in ("/files", "/m/media_xK9mQ2pLw3RtYb8c", "/health"):
        refused(await client.send("PURGE", path), 405, "METHOD_NOT_ALLOWED")
    refused(await client.send("PURGE", "/nothing"), 404, "NOT_FOUND")


@both
async def test_a_repeat_with_the_same_key_is_one_purge(client: ApiClient, *, alias: bool) -> None:
    file = await client.upload()
    once = {"idempotency-key": new_id("key")}
    first = await purge(client, file, alias=alias, headers=once)
    again = await purge(client, file, alias=not alias, headers=once)
    assert (again.status_code, again.content) == (202, first.content)
    assert again.headers["media-position"] == first.headers["media-position"]


async def test_a_removed_workspace_asks_for_nothing(
    client: ApiClient, internal: httpx.AsyncClient
) -> None:
    file = await client.upload()
    await internal.delete(f"/internal/tenants/{client.tenant}")
    refused(await purge(client.but(permissions=WRITER), file), 403, "TENANT_REMOVED")

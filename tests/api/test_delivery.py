"""`/cdn` and `/m`: anybody is pointed to what is public, and to nothing else."""

import asyncio

import httpx
import msgspec
import pytest

from adapters.runtime import Runtime, open_api_runtime
from adapters.settings import Settings
from api.app import create_app
from api.delivery import KEY_SECONDS, LINK_SECONDS
from tests.kit.http import JSON, ApiClient, refused, serving
from tests.workers.processes import until

METHODS = ["GET", "HEAD"]


async def seen(http: httpx.AsyncClient, path: str, status: int = 302) -> httpx.Response:
    """The answer once the file list has caught up."""
    found: list[httpx.Response] = []

    async def as_wanted() -> bool:
        found[:] = [await http.get(path)]
        return found[0].status_code == status

    await until(as_wanted)
    return found[0]


def paths(file: JSON) -> list[str]:
    return [f"/cdn/{file['key']}", f"/m/{file['id']}"]


@pytest.mark.parametrize("method", METHODS)
async def test_a_public_file_is_pointed_to_for_anybody(
    client: ApiClient, http: httpx.AsyncClient, method: str
) -> None:
    file = await client.upload()
    for path, seconds in zip(paths(file), (KEY_SECONDS, LINK_SECONDS), strict=True):
        await seen(http, path)
        answer = await http.request(method, path)
        assert answer.status_code == 302
        assert answer.headers["location"] == file["url"]
        assert answer.headers["cache-control"] == f"public, max-age={seconds}"
        assert answer.headers["cross-origin-resource-policy"] == "cross-origin"
        assert answer.content == b""


async def test_what_is_kept_of_the_short_link_is_soon_forgotten() -> None:
    assert LINK_SECONDS <= KEY_SECONDS <= 3600


async def test_a_private_a_pending_and_a_deleted_file_are_not_there(
    client: ApiClient, http: httpx.AsyncClient
) -> None:
    private = await client.upload(isPublic=False)
    pending = await client.presign()
    deleted = await client.upload()
    for path in paths(deleted):
        await seen(http, path)
    assert (await client.delete(deleted["id"])).status_code == 200
    for path in paths(deleted):
        refused(await seen(http, path, 404), 404, "MEDIA_NOT_FOUND")
    for path in paths(private):
        refused(await http.get(path), 404, "MEDIA_NOT_FOUND")
    refused(await http.get(f"/m/{pending['mediaId']}"), 404, "MEDIA_NOT_FOUND")
    refused(await http.get(f"/cdn/{pending['key']}"), 404, "MEDIA_NOT_FOUND")


async def test_who_asks_at_the_same_time_gets_each_their_own_answer(
    client: ApiClient, http: httpx.AsyncClient
) -> None:
    files = [await client.upload() for _ in range(3)]
    private = await client.upload(isPublic=False)
    await seen(http, paths(files[-1])[1])
    wanted = [*files, private] * 40
    answers = await asyncio.gather(*(http.get(f"/m/{file['id']}") for file in wanted))
    locations = [answer.headers.get("location") for answer in answers]
    assert locations == [None if file is private else file["url"] for file in wanted]


async def test_while_the_database_is_away_everybody_is_told(settings: Settings) -> None:
    away = msgspec.structs.replace(settings, database_url="postgresql://nobody@127.0.0.1:9/none")
    async with (
        open_api_runtime(away) as runtime,
        serving(create_app(runtime)) as http,
    ):
        runtime.pool.timeout = 1
        path = "/m/media_0123456789abcdef"
        answers = await asyncio.gather(*(http.get(path) for _ in range(5)))
    for answer in answers:
        refused(answer, 500, "DB_ERROR")


async def test_the_key_must_be_the_file_s_own(client: ApiClient, http: httpx.AsyncClient) -> None:
    file = await client.upload()
    await seen(http, paths(file)[0])
    nanoid = file["id"].removeprefix("media_")
    for key in (
        f"ls_other/blog/2026/04/{nanoid}.png",
        nanoid,
        f"{nanoid}.png",
        f"{file['key']}.png",
        file["key"].replace(".png", ".webp"),
        file["key"].replace(".png", "/thumb_200.r1.webp"),
        f"{file['key']}%00",
        f"%2e%2e/{file['key']}",
        file["key"].upper(),
    ):
        refused(await http.get(f"/cdn/{key}"), 404, "MEDIA_NOT_FOUND")


async def test_a_removed_workspace_is_pointed_to_no_more(
    client: ApiClient, http: httpx.AsyncClient, internal: httpx.AsyncClient
) -> None:
    file = await client.upload()
    await seen(http, paths(file)[0])
    assert (await internal.delete(f"/internal/tenants/{client.tenant}")).status_code == 202
    for path in paths(file):
        await seen(http, path, 404)


async def test_no_identity_is_asked_and_none_makes_a_difference(
    client: ApiClient, stranger: ApiClient, http: httpx.AsyncClient
) -> None:
    file = await client.upload(isPublic=False)
    await client.get(f"/files/{file['id']}")
    for by in (client, stranger, client.but(permissions="system:owner"), client.but(key="wrong")):
        for path in paths(file):
            refused(await by.send("GET", path), 404, "MEDIA_NOT_FOUND")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_nothing_else_can_be_done_there(http: httpx.AsyncClient, method: str) -> None:
    answer = await http.request(method, "/cdn/ls_abc123/blog/2026/04/xK9mQ2pLw3RtYb8c.png")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS, PURGE"
    answer = await http.request(method, "/m/media_xK9mQ2pLw3RtYb8c")
    refused(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_the_database_lets_the_app_see_no_more_than_where_a_public_file_is(
    runtime: Runtime, client: ApiClient, http: httpx.AsyncClient
) -> None:
    """The function is the only way past row-level security, and it says nothing of whose it is."""
    file, private = await client.upload(), await client.upload(isPublic=False)
    await seen(http, paths(file)[0])
    await client.get(f"/files/{private['id']}")
    async with runtime.pool.connection() as connection:
        seen_without_owner = await connection.execute("SELECT count(*) FROM file_list_v2")
        assert await seen_without_owner.fetchone() == (0,)
        found = await connection.execute("SELECT * FROM public_file(%s, false)", (file["id"],))
        assert [column.name for column in found.description or ()] == [
            "key",
            "mime_type",
            "renditions",
        ]
        assert await found.fetchall() == [(file["key"], "image/png", None)]
        hidden = await connection.execute("SELECT * FROM public_file(%s, false)", (private["id"],))
        assert await hidden.fetchall() == []

"""List, stats, detail, history: what a workspace sees of its files."""

import asyncio
from typing import Any

import msgspec
import pytest

from adapters.runtime import Runtime
from api import app
from projections.waiting import WAIT_SECONDS
from tests.kit.http import SVG, ApiClient, new_id, refused, serving
from tests.kit.library import PNG

NOWHERE = "media_xK9mQ2pLw3RtYb8c"


async def filled(client: ApiClient) -> None:
    """Five files of three services, two types and three sizes."""
    padded = PNG + b"\0" * 10
    await client.upload(fileName="Zebra.png", serviceCode="blog")
    await client.upload(fileName="apple.svg", body=SVG, contentType="image/svg+xml")
    await client.upload(fileName="Mango 100%.png", serviceCode="store", body=padded)
    await client.upload(fileName="ÄPFEL_korb.png", serviceCode="store")
    await client.upload(fileName="banana.png", serviceCode="newsletter", isPublic=False)


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("createdAt", ["Zebra.png", "apple.svg", "Mango 100%.png", "ÄPFEL_korb.png", "banana.png"]),
        ("fileName", ["apple.svg", "banana.png", "Mango 100%.png", "Zebra.png", "ÄPFEL_korb.png"]),
    ],
)
async def test_each_sort_goes_both_ways_page_by_page(
    client: ApiClient, sort: str, names: list[str]
) -> None:
    await filled(client)
    assert await client.names(sort=sort) == names
    assert await client.names(sort=f"-{sort}") == names[::-1]
    assert [file["fileName"] for file in await paged(client, sort=sort, limit=2)] == names
    assert [f["fileName"] for f in await paged(client, sort=f"-{sort}", limit=2)] == names[::-1]


async def test_sizes_sort_and_equal_ones_keep_one_order(client: ApiClient) -> None:
    await filled(client)
    up = await client.listed(sort="fileSize")
    sizes = [file["fileSize"] for file in up]
    assert sizes == sorted(sizes)
    assert await client.listed(sort="-fileSize") == up[::-1]
    assert await paged(client, sort="fileSize", limit=1) == up


async def paged(client: ApiClient, **parameters: Any) -> list[dict[str, Any]]:
    """All pages."""
    files: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        page = (await client.get("/files", **parameters, **more)).json()
        files += page["items"]
        if page["nextCursor"] is None:
            return files
        assert len(page["items"]) == parameters["limit"]
        more = {"cursor": page["nextCursor"]}


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({"service": "store"}, {"Mango 100%.png", "ÄPFEL_korb.png"}),
        ({"service": "store,newsletter"}, {"Mango 100%.png", "ÄPFEL_korb.png", "banana.png"}),
        ({"service": "nowhere"}, set()),
        ({"type": "video"}, set()),
        ({"type": "video,document"}, set()),
        ({"mime": "image/svg+xml"}, {"apple.svg"}),
        ({"mime": "image/svg+xml", "type": "video"}, set()),
        ({"search": "APFEL"}, set()),
        ({"search": "äpfel"}, {"ÄPFEL_korb.png"}),
        ({"search": "A\u0308pfel"}, {"ÄPFEL_korb.png"}),
        ({"search": "an"}, {"Mango 100%.png", "banana.png"}),
        ({"search": "z"}, {"Zebra.png"}),
        ({"search": "%"}, {"Mango 100%.png"}),
        ({"search": "_"}, {"ÄPFEL_korb.png"}),
        ({"search": "\\"}, set()),
        ({"search": "100%.p"}, {"Mango 100%.png"}),
        ({"search": "png", "service": "store"}, {"Mango 100%.png", "ÄPFEL_korb.png"}),
    ],
)
async def test_filters_and_search(
    client: ApiClient, filters: dict[str, str], names: set[str]
) -> None:
    await filled(client)
    assert set(await client.names(**filters)) == names


async def test_a_list_of_services_has_an_end(client: ApiClient) -> None:
    many = ",".join(f"service-{number}" for number in range(50))
    assert await client.listed(service=many) == []
    answer = await client.get("/files", service=f"{many},store")
    refused(answer, 400, "INVALID_FIELD", "service")


async def test_what_is_pending_or_deleted_is_not_listed(client: ApiClient) -> None:
    await client.presign()
    file = await client.upload()
    await client.delete(file["id"])
    assert await client.listed() == []


async def test_pages_stay_stable_while_files_come_and_go(client: ApiClient) -> None:
    files = [await client.upload(fileName=f"{number}.png") for number in range(6)]
    first = (await client.get("/files", limit=2, sort="createdAt")).json()
    await client.delete(files[0]["id"])
    await client.delete(files[1]["id"])
    await client.delete(files[3]["id"])
    await client.upload(fileName="new.png")
    rest: list[str] = []
    cursor = first["nextCursor"]
    while cursor is not None:
        page = (await client.get("/files", limit=2, sort="createdAt", cursor=cursor)).json()
        rest += [file["fileName"] for file in page["items"]]
        cursor = page["nextCursor"]
    assert rest == ["2.png", "4.png", "5.png", "new.png"]


async def test_a_cursor_of_another_query_or_altered_is_refused(
    client: ApiClient, stranger: ApiClient
) -> None:
    for _ in range(2):
        await client.upload()
    cursor = (await client.get("/files", limit=1)).json()["nextCursor"]
    assert (await client.get("/files", limit=50, cursor=cursor)).status_code == 200
    altered = ["", "x", "a.b", cursor[:-1], cursor + "A", cursor.swapcase(), "é", "x" * 5000]
    for wrong in altered:
        refused(await client.get("/files", cursor=wrong), 400, "INVALID_CURSOR")
    for other in (
        {"sort": "createdAt"},
        {"service": "blog"},
        {"type": "image"},
        {"search": "hero"},
        {"scope": "user"},
    ):
        refused(await client.get("/files", cursor=cursor, **other), 400, "INVALID_CURSOR")
    refused(await stranger.get("/files", cursor=cursor), 400, "INVALID_CURSOR")


async def test_a_cursor_outlives_the_rotation_of_its_key(
    runtime: Runtime, client: ApiClient
) -> None:
    for _ in range(2):
        await client.upload()
    cursor = (await client.get("/files", limit=1)).json()["nextCursor"]
    old = runtime.settings.cursor_keys
    for keys, status in (((*old, "the-new-cursor-key"), 200), (("the-new-cursor-key",), 400)):
        settings = msgspec.structs.replace(runtime.settings, cursor_keys=keys)
        rotated = msgspec.structs.replace(runtime, settings=settings)
        async with serving(app.create_app(rotated)) as http:
            by = ApiClient(http, tenant=client.tenant, user=client.user)
            assert (await by.get("/files", cursor=cursor)).status_code == status


async def test_stats_count_what_is_there(client: ApiClient) -> None:
    await filled(client)
    await client.presign()
    gone = await client.upload(serviceCode="chatbot")
    await client.delete(gone["id"])
    stats = (await client.get("/files/stats")).json()
    files = await client.listed()
    size = sum(file["fileSize"] for file in files)
    assert stats["totalFiles"] == 5
    assert stats["totalBytes"] == size
    assert stats["byType"] == {
        "image": {"files": 5, "bytes": size},
        "video": {"files": 0, "bytes": 0},
        "document": {"files": 0, "bytes": 0},
    }
    assert {code: usage["files"] for code, usage in stats["byService"].items()} == {
        "blog": 2,
        "store": 2,
        "newsletter": 1,
    }
    assert stats["pendingUploads"] == 1
    assert stats["recent"] == files


async def test_an_empty_workspace_has_nothing_and_says_so(client: ApiClient) -> None:
    assert (await client.get("/files")).json() == {"items": [], "nextCursor": None}
    stats = (await client.get("/files/stats")).json()
    assert (stats["totalFiles"], stats["byService"], stats["recent"]) == (0, {}, [])


async def test_a_pending_upload_is_shown_to_its_uploader_alone(client: ApiClient) -> None:
    presigned = await client.presign()
    path = f"/files/{presigned['mediaId']}"
    file = (await client.get(path)).json()
    assert (file["status"], file["key"]) == ("pending_upload", presigned["key"])
    refused(await client.but(user="user_colleague").get(path), 404, "MEDIA_NOT_FOUND")
    refused(await client.get(f"{path}/download"), 404, "MEDIA_NOT_FOUND")


async def test_personal_files_are_seen_by_their_owner_in_every_workspace(
    client: ApiClient,
) -> None:
    personal = await client.upload(scope="user")
    path = f"/files/{personal['id']}"
    assert await client.listed() == []
    assert await client.listed(scope="user") == [personal]
    elsewhere = client.but(tenant=new_id("ls"))
    assert (await elsewhere.get(path)).json() == personal
    assert (await client.but(tenant=None).get(path)).json() == personal
    assert await client.but(tenant=None).listed() == [personal]
    assert (await elsewhere.get(f"{path}/history")).status_code == 200
    assert (await elsewhere.get("/files/stats", scope="user")).json()["totalFiles"] == 1
    colleague = client.but(user="user_colleague")
    refused(await colleague.get(path), 404, "MEDIA_NOT_FOUND")
    assert await colleague.listed(scope="user") == []


async def test_a_deleted_file_is_gone_and_its_history_stays(client: ApiClient) -> None:
    file = await client.upload()
    answer = await client.delete(file["id"])
    assert (answer.status_code, answer.json()) == (200, {"id": file["id"], "deleted": True})
    path = f"/files/{file['id']}"
    refused(await client.get(path), 404, "MEDIA_NOT_FOUND")
    refused(await client.get(f"{path}/download"), 404, "MEDIA_NOT_FOUND")
    refused(await client.delete(file["id"]), 404, "MEDIA_NOT_FOUND")
    history = (await client.get(f"{path}/history")).json()["items"]
    assert [item["version"] for item in history] == [1, 2, 3]
    last = history[-1]
    assert last["type"] == "media_file.file_deleted.v2"
    assert last["actor"] == f"user:{client.user}"
    assert last["position"] == client.position
    assert last["data"]["fileName"] == "hero.png"


async def test_deleting_a_pending_upload_cancels_it(client: ApiClient) -> None:
    presigned = await client.presign()
    await client.put(presigned)
    assert (await client.delete(presigned["mediaId"])).status_code == 200
    refused(await client.complete(presigned["mediaId"]), 404, "MEDIA_NOT_FOUND")
    assert (await client.get("/files/stats")).json()["pendingUploads"] == 0


async def test_a_bulk_delete_says_of_each_file_what_became_of_it(
    client: ApiClient, stranger: ApiClient
) -> None:
    one, two = await client.upload(), await client.upload()
    foreign = await stranger.upload()
    ids = ["tenant_ls_abc", one["id"], NOWHERE, foreign["id"], two["id"], one["id"], "\0"]
    answer = await client.send("POST", "/files/bulk-delete", json={"ids": ids})
    assert answer.status_code == 200
    body = answer.json()
    assert body["deleted"] == [one["id"], two["id"]]
    assert [(item["id"], item["code"]) for item in body["failed"]] == [
        ("tenant_ls_abc", "MEDIA_NOT_FOUND"),
        (NOWHERE, "MEDIA_NOT_FOUND"),
        (foreign["id"], "OWNERSHIP_DENIED"),
        ("\0", "MEDIA_NOT_FOUND"),
    ]
    assert all(item["error"] for item in body["failed"])
    assert await client.listed() == []
    assert len(await stranger.listed()) == 1


@pytest.mark.parametrize("ids", [[], [3], "media_1", None, [f"id{n}" for n in range(101)], [None]])
async def test_a_bulk_delete_of_anything_else_than_1_to_100_ids_is_refused(
    client: ApiClient, ids: object
) -> None:
    answer = await client.send("POST", "/files/bulk-delete", json={"ids": ids})
    refused(answer, 400, "INVALID_FIELD", "ids")


async def test_repeats_count_once(client: ApiClient) -> None:
    answer = await client.send("POST", "/files/bulk-delete", json={"ids": [NOWHERE] * 300})
    assert len(answer.json()["failed"]) == 1


async def test_a_hundred_files_go_in_one_bulk_delete(client: ApiClient) -> None:
    uploads = await asyncio.gather(*(client.presign() for _ in range(100)))
    ids = [upload["mediaId"] for upload in uploads]
    answer = await client.send("POST", "/files/bulk-delete", json={"ids": ids})
    assert answer.json() == {"deleted": ids, "failed": []}


async def test_a_query_says_where_it_stands(client: ApiClient) -> None:
    file = await client.upload()
    for path in ("/files", "/files/stats", f"/files/{file['id']}", f"/files/{file['id']}/history"):
        answer = await client.get(path)
        assert int(answer.headers["media-position"]) >= int(client.position)


async def test_a_position_from_the_future_is_answered_after_two_seconds(
    client: ApiClient,
) -> None:
    future = str(2**62)
    started = asyncio.get_running_loop().time()
    answer = await client.send("GET", "/files", headers={"media-position": future})
    assert answer.status_code == 200
    assert int(answer.headers["media-position"]) < int(future)
    assert asyncio.get_running_loop().time() - started >= 2


async def test_a_request_that_reads_several_models_waits_once(client: ApiClient) -> None:
    # Two models, each for the workspace and for the person: four waits, were each on its own.
    headers = {"media-position": str(2**62)}
    async with asyncio.timeout(4 * WAIT_SECONDS):
        answer = await client.send("GET", f"/files/{NOWHERE}", headers=headers)
    refused(answer, 404, "MEDIA_NOT_FOUND")

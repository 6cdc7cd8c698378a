"""Idempotency-Key: the same key and body have one effect and one answer."""

import asyncio

import pytest

from tests.kit.http import ApiClient, asked, new_id, refused


@pytest.fixture
def once() -> dict[str, str]:
    return {"idempotency-key": new_id("key")}


async def test_a_repeated_presign_gives_the_same_upload_and_a_url_that_works(
    client: ApiClient, once: dict[str, str]
) -> None:
    first = await client.presign(headers=once)
    again = await client.presign(headers=once)
    assert again == first
    assert (await client.put(again)).status_code == 200
    assert (await client.complete(first["mediaId"])).status_code == 200
    assert len(await client.listed()) == 1


async def test_the_order_of_fields_does_not_matter_and_any_other_value_does(
    client: ApiClient, once: dict[str, str]
) -> None:
    first = await client.presign(headers=once)
    reordered = dict(reversed(asked().items()))
    answer = await client.send("POST", "/upload/presign", json=reordered, headers=once)
    assert answer.json() == first
    for other in (asked(fileName="b.png"), asked() | {"unknown": 1}):
        answer = await client.send("POST", "/upload/presign", json=other, headers=once)
        refused(answer, 409, "IDEMPOTENCY_CONFLICT")


async def test_of_commands_with_one_key_at_the_same_time_one_is_carried_out(
    client: ApiClient, once: dict[str, str]
) -> None:
    answers = await asyncio.gather(*(client.presign(headers=once) for _ in range(20)))
    assert len({answer["mediaId"] for answer in answers}) == 1
    assert (await client.get("/files/stats")).json()["pendingUploads"] == 1


async def test_a_repeated_delete_is_answered_alike_where_a_second_one_is_404(
    client: ApiClient, once: dict[str, str]
) -> None:
    file, other = await client.upload(), await client.upload()
    first = await client.delete(file["id"], headers=once)
    again = await client.delete(file["id"], headers=once)
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["media-position"] == first.headers["media-position"]
    refused(await client.delete(other["id"], headers=once), 409, "IDEMPOTENCY_CONFLICT")
    refused(await client.delete(file["id"]), 404, "MEDIA_NOT_FOUND")


async def test_a_repeated_bulk_delete_gives_the_first_answer(
    client: ApiClient, once: dict[str, str]
) -> None:
    file = await client.upload()
    body = {"ids": [file["id"], "nonsense"]}
    first = await client.send("POST", "/files/bulk-delete", json=body, headers=once)
    again = await client.send("POST", "/files/bulk-delete", json=body, headers=once)
    assert first.json()["deleted"] == [file["id"]]
    assert again.content == first.content


async def test_a_repeated_complete_gives_the_same_file(
    client: ApiClient, once: dict[str, str]
) -> None:
    presigned = await client.presign()
    await client.put(presigned)
    media_id = presigned["mediaId"]
    answers = await asyncio.gather(*(client.complete(media_id, headers=once) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    other = await client.presign()
    refused(await client.complete(other["mediaId"], headers=once), 409, "IDEMPOTENCY_CONFLICT")


async def test_a_refusal_is_not_kept(client: ApiClient, once: dict[str, str]) -> None:
    presigned = await client.presign()
    media_id = presigned["mediaId"]
    refused(await client.complete(media_id, headers=once), 409, "UPLOAD_INCOMPLETE")
    await client.put(presigned)
    assert (await client.complete(media_id, headers=once)).status_code == 200


async def test_a_key_belongs_to_its_user_workspace_and_route(
    client: ApiClient, stranger: ApiClient, once: dict[str, str]
) -> None:
    ids = {(await by.presign(headers=once))["mediaId"] for by in (client, stranger)}
    ids.add((await client.but(user="user_colleague").presign(headers=once))["mediaId"])
    ids.add((await client.but(tenant=None).presign(headers=once))["mediaId"])
    assert len(ids) == 4
    answer = await client.send(
        "POST", "/files/bulk-delete", json={"ids": ["nonsense"]}, headers=once
    )
    assert answer.status_code == 200


async def test_two_keys_are_one_too_many(client: ApiClient) -> None:
    headers = [*client.headers.items(), ("idempotency-key", "a"), ("idempotency-key", "b")]
    answer = await client.http.post("/upload/presign", json=asked(), headers=headers)
    refused(answer, 400, "INVALID_FIELD", "Idempotency-Key")

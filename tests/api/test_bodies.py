"""Whatever is sent, the answer is the envelope and never a crash."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from api.bodies import MAX_BODY_BYTES
from tests.kit.http import ApiClient, asked, refused

PRESIGN = "/upload/presign"
JSON_TYPE = {"content-type": "application/json"}


async def post(client: ApiClient, body: bytes, **headers: str) -> httpx.Response:
    return await client.send("POST", PRESIGN, content=body, headers=JSON_TYPE | headers)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'fileName': 1}",
        b'{"fileSize": NaN}',
        b'{"fileSize": Infinity}',
        b"[" * 100_000,
        b'{"x":' + b"[" * 100_000,
        b'{"x":' * 20_000,
        b'{"fileName": "\xff"}',
        b'{"unknown": "\xff"}',
        b'{"fileName": "\\ud800"}',
        b'\xef\xbb\xbf{"fileName": "a"}',
        b'{"fileName": "a"} {}',
        b"\x00",
        b"\xff\xfe{\x00}\x00",
    ],
)
async def test_what_is_no_json_is_refused(client: ApiClient, body: bytes) -> None:
    answer = await post(client, body)
    if answer.json()["code"] != "INVALID_FIELD":  # an array is JSON before its end is looked at
        refused(answer, 400, "MALFORMED_JSON")
    assert answer.status_code == 400


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"3", b"null", b"true"])
async def test_json_that_is_no_object_is_refused(client: ApiClient, body: bytes) -> None:
    refused(await post(client, body), 400, "INVALID_FIELD", "body")


async def test_missing_fields_are_all_named(client: ApiClient) -> None:
    body = refused(await post(client, b'{"contentType": 3, "more": 1}'), 400, "MISSING_FIELDS")
    assert body["details"]["fields"] == ["fileName", "fileSize", "serviceCode"]
    body = refused(await client.send("POST", PRESIGN), 400, "MISSING_FIELDS")
    assert len(body["details"]["fields"]) == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("fileName", None),
        ("fileName", 3),
        ("fileName", ""),
        ("fileName", "a" * 256),
        ("fileName", "a\x00b"),
        ("fileName", "a\nb"),
        ("fileName", "a\x7f"),
        ("contentType", ["image/png"]),
        ("fileSize", "3"),
        ("fileSize", 3.5),
        ("fileSize", 1.0),
        ("fileSize", True),
        ("fileSize", 0),
        ("fileSize", -1),
        ("serviceCode", "unknown"),
        ("serviceCode", "blog\x00"),
        ("isPublic", "yes"),
        ("isPublic", 1),
        ("isPublic", None),
        ("scope", "everyone"),
        ("sha256", "abc"),
        ("sha256", "g" * 64),
    ],
)
async def test_a_wrong_field_is_named(client: ApiClient, field: str, value: object) -> None:
    body = json.dumps(asked() | {field: value}).encode()
    refused(await post(client, body), 400, "INVALID_FIELD", field)


async def test_an_integer_of_any_length_is_answered(client: ApiClient) -> None:
    text = json.dumps(asked(fileSize=4242))
    longest = text.replace("4242", "9" * 5000).encode()
    refused(await post(client, longest), 400, "INVALID_FIELD", "fileSize")
    long = text.replace("4242", "9" * 30).encode()
    refused(await post(client, long), 400, "FILE_TOO_LARGE")
    ignored = json.dumps(asked()).replace("{", '{"more": ' + "9" * 5000 + ",", 1).encode()
    assert (await post(client, ignored)).status_code == 200


async def test_the_last_of_a_repeated_field_counts(client: ApiClient) -> None:
    twice = json.dumps(asked()).replace("{", '{"fileName": "first.png",', 1).encode()
    assert (await post(client, twice)).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-16", "",
     "multipart/form-data; boundary=x", "application/jsonp", "application/json, text/html"],
)  # fmt: skip
async def test_a_body_that_is_not_declared_as_json_is_415(
    client: ApiClient, content_type: str
) -> None:
    body = json.dumps(asked()).encode()
    answer = await client.send(
        "POST", PRESIGN, content=body, headers={"content-type": content_type}
    )
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_without_a_type_is_415(client: ApiClient) -> None:
    answer = await client.send("POST", PRESIGN, content=json.dumps(asked()).encode())
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/json; charset=UTF-8", "Application/JSON"]
)
async def test_json_may_name_its_encoding(client: ApiClient, content_type: str) -> None:
    body = json.dumps(asked()).encode()
    headers = {"content-type": content_type}
    answer = await client.send("POST", PRESIGN, content=body, headers=headers)
    assert answer.status_code == 200


async def test_too_much_is_413_announced_or_not(client: ApiClient) -> None:
    large = b" " * (MAX_BODY_BYTES + 1)
    refused(await post(client, large), 413, "PAYLOAD_TOO_LARGE")

    async def unannounced() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1000 + 2):
            yield b" " * 1000

    answer = await client.send("POST", PRESIGN, content=unannounced(), headers=JSON_TYPE)
    refused(answer, 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=", "limit"),
        ("limit=1_0", "limit"),
        ("limit=٣", "limit"),
        ("limit=1.0", "limit"),
        ("limit=+5", "limit"),
        ("limit=" + "9" * 5000, "limit"),
        ("limit=5&limit=6", "limit"),
        ("type=audio", "type"),
        ("type=image,,video", "type"),
        ("mime=text/html", "mime"),
        ("service=", "service"),
        ("service=a'b", "service"),
        ("sort=name", "sort"),
        ("sort=", "sort"),
        ("scope=everyone", "scope"),
        ("search=%00", "search"),
        ("search=a%0Ab", "search"),
        ("search=%FF", "search"),
        ("search=" + "a" * 256, "search"),
    ],
)
async def test_a_wrong_parameter_is_named(client: ApiClient, query: str, field: str) -> None:
    refused(await client.send("GET", f"/files?{query}"), 400, "INVALID_FIELD", field)


@pytest.mark.parametrize("position", ["", "-1", "1.0", "abc", "9" * 20, "\uff19", "1 2"])
async def test_what_is_no_position_is_refused(client: ApiClient, position: str) -> None:
    headers = {**client.headers, "media-position": position.encode()}
    for path in ("/files", "/files/stats", "/files/media_xK9mQ2pLw3RtYb8c"):
        answer = await client.http.get(path, headers=headers)  # type: ignore[arg-type]
        refused(answer, 400, "INVALID_FIELD", "Media-Position")


@pytest.mark.parametrize(
    "media_id",
    ["x", "media_", "media_short", "media_xK9mQ2pLw3RtYb8cc", "media_xK9mQ2pLw3RtYb8%00",
     "tenant_ls_abc123", "media_'; drop table", "m" * 5000, "media_éééééééééééééééé"],
)  # fmt: skip
async def test_what_cannot_be_an_id_is_simply_not_there(client: ApiClient, media_id: str) -> None:
    for method, path in (
        ("GET", f"/files/{media_id}"),
        ("GET", f"/files/{media_id}/history"),
        ("GET", f"/files/{media_id}/download"),
        ("GET", f"/upload/{media_id}"),
        ("DELETE", f"/files/{media_id}"),
    ):
        refused(await client.send(method, path), 404, "MEDIA_NOT_FOUND")
    refused(await client.complete(media_id), 404, "MEDIA_NOT_FOUND")


@pytest.mark.parametrize("key", ["", "k" * 256, "a\tb"])
async def test_what_is_no_idempotency_key_is_refused(client: ApiClient, key: str) -> None:
    answer = await client.send("POST", PRESIGN, json=asked(), headers={"idempotency-key": key})
    refused(answer, 400, "INVALID_FIELD", "Idempotency-Key")

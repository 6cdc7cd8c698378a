"""Every field of every body, path, parameter and header against what is no such thing.

The answer is always the envelope with the right code, never a 5xx, and nothing is written.
"""

import itertools
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import httpx
import msgspec
import pytest

from adapters.settings import Settings
from api import bin as bin_
from api import files, ingest, internal_app, signed_urls, upload_reports, uploads, webhooks
from api.bodies import Body
from api.openapi_routes import DESCRIBED
from api.public_routes import ROUTES as PUBLIC_ROUTES
from tests.kit.http import WRITER, ApiClient, asked, refused
from tests.kit.log import event_count

MEDIA_ID = "media_xK9mQ2pLw3RtYb8c"
OTHER_ID = "media_aB3nR7kWq5TzLc1v"
COMMAND_ID = "cmd_019dd8a1c4e05c1f2a7b93d84e60"
WEBHOOK_ID = "wh_7bC2dE5fG8hJ1kLm"
JSON_TYPE = {"content-type": "application/json"}
DEEP = 30_000
LONG = 5_000

SIGNED_URL = "media.files.signed_url"
VALID: Mapping[str, tuple[str, str, dict[str, Any]]] = {
    "media.upload.presign": ("POST", "/upload/presign", asked(isPublic=True, scope="tenant")),
    "media.upload.complete": ("PATCH", "/upload/complete", {"mediaId": MEDIA_ID}),
    # Refused for its URL, once all else is right: nothing is fetched here.
    "media.upload.ingest": (
        "POST",
        "/upload/ingest-url",
        {
            "url": "http://127.0.0.1/hero.png",
            "serviceCode": "blog",
            "fileName": "hero.png",
            "isPublic": True,
            "scope": "tenant",
        },
    ),
    "media.upload.report": (
        "POST",
        "/upload/report",
        {"mediaId": MEDIA_ID, "stage": "put", "status": 0, "attempt": 1},
    ),
    SIGNED_URL: (
        "POST",
        f"/files/{MEDIA_ID}/signed-url",
        {"expiresIn": 900, "download": True, "variant": "thumb_200"},
    ),
    "media.files.bulk_delete": ("POST", "/files/bulk-delete", {"ids": [MEDIA_ID]}),
    "media.files.change": ("PATCH", f"/files/{OTHER_ID}", {"isPublic": False}),
    "media.webhooks.add": (
        "POST",
        "/webhooks",
        {"url": "https://127.0.0.1/", "eventTypes": ["media.uploaded"], "description": "a"},
    ),
    "media.webhooks.edit": (
        "PATCH",
        f"/webhooks/{WEBHOOK_ID}",
        {
            "url": "https://127.0.0.1/",
            "eventTypes": ["media.uploaded"],
            "description": "a",
            "status": "paused",
        },
    ),
    "media.webhooks.replay": ("POST", f"/webhooks/{WEBHOOK_ID}/replay", {"position": "0"}),
    "media.internal.resolve": (
        "POST",
        "/internal/resolve",
        {"mediaIds": [MEDIA_ID], "tenantId": "ls_abc123", "variant": "thumb_200"},
    ),
}
INTERNAL = "media.internal.resolve"
KINDS = {
    "isPublic": "bool",
    "fileSize": "int",
    "status": "int",
    "attempt": "int",
    "expiresIn": "int",
    "download": "bool",
    "ids": "list",
    "mediaIds": "list",
}
"""Of fields that hold no text."""

RAW: Mapping[str, str] = {
    "null": "null",
    "text": '"text"',
    "empty text": '""',
    "huge text": json.dumps("a" * 100_000),
    "NUL": '"a\\u0000b"',
    "control character": '"a\\u0085b"',
    "half a surrogate pair": '"\\ud800"',
    "number": "7",
    "zero": "0",
    "negative": "-1",
    "fraction": "1.5",
    "exponent": "1e400",
    "long integer": "9" * LONG,
    "NaN": "NaN",
    "infinity": "-Infinity",
    "true": "true",
    "object": "{}",
    "empty list": "[]",
    "list of everything": '[null, 1, {}, "a"]',
    "long list": json.dumps([f"media_{number:016}" for number in range(3_000)]),
    "deep list": "[" * DEEP + "]" * DEEP,
    "deep object": '{"a":' * (DEEP // 3) + "1" + "}" * (DEEP // 3),
    "unclosed": "[" * DEEP,
    "python": "None",
    "hexadecimal": "0x10",
    "leading zero": "007",
    "single quotes": "'text'",
}
NO_JSON = {
    "half a surrogate pair", "NaN", "infinity", "unclosed", "python", "hexadecimal",
    "leading zero", "single quotes", "deep list", "deep object",
}  # fmt: skip
MALFORMED, INVALID = "MALFORMED_JSON", "INVALID_FIELD"


def expected(event: str, field: str, name: str) -> set[str]:
    """The codes that are right; the first mistake in the text may be either of two."""
    if name in NO_JSON:
        return {MALFORMED, INVALID}
    return {
        "mediaId": {INVALID, "MEDIA_NOT_FOUND"},
        "contentType": {INVALID, "UNSUPPORTED_MIME"},
        "fileSize": {INVALID, "FILE_TOO_LARGE"},
        "url": {INVALID, "SSRF_BLOCKED"},
    }.get(field, {INVALID}) | ({"WEBHOOK_NOT_FOUND"} if "webhooks" in event else set())


ALLOWED = {
    *(("fileName", name) for name in ("text",)),
    *(("fileSize", name) for name in ("number",)),
    ("isPublic", "true"),
    ("download", "true"),
    ("variant", "null"),
    ("scope", "null"),
    ("sha256", "null"),
    ("description", "text"),
    ("description", "empty text"),
    ("status", "number"),
    ("status", "zero"),
    ("attempt", "number"),
    ("tenantId", "null"),
    ("tenantId", "text"),
}
"""What is right after all."""


def allowed(event: str, field: str, name: str) -> bool:
    if (field, name) == ("fileName", "null"):
        return event == "media.upload.ingest"
    if event == "media.webhooks.edit" and name == "null":
        return True
    return (field, name) in ALLOWED


def wrong_fields() -> Iterator[Any]:
    for event, (_, _, body) in VALID.items():
        fields = {*body, "sha256"} if event == "media.upload.presign" else set(body)
        for field, name in itertools.product(sorted(fields), RAW):
            if not allowed(event, field, name):
                yield pytest.param(event, field, name, id=f"{event}-{field}-{name}")


@pytest.fixture(scope="module")
async def clients(http: httpx.AsyncClient, internal: httpx.AsyncClient) -> dict[str, ApiClient]:
    return {
        event: ApiClient(
            internal if event == INTERNAL else http,
            tenant="ls_bad",
            user="user_bad",
            permissions=f"{WRITER} media:webhooks.write",
        )
        for event in VALID
    }


@pytest.fixture(autouse=True)
async def _nothing_is_written(settings: Settings, http: httpx.AsyncClient) -> AsyncIterator[None]:
    before = await event_count(settings.database_url)
    yield
    assert await event_count(settings.database_url) == before


async def send(
    clients: Mapping[str, ApiClient], event: str, content: bytes, **headers: str
) -> httpx.Response:
    method, path, _ = VALID[event]
    given = JSON_TYPE | {name.replace("_", "-"): text for name, text in headers.items()}
    return await clients[event].send(method, path, content=content, headers=given)


def refused_with(answer: httpx.Response, codes: set[str]) -> dict[str, Any]:
    assert 400 <= answer.status_code < 500, answer.text
    body = answer.json()
    assert body["code"] in codes, answer.text
    return refused(answer, answer.status_code, body["code"])


def raw_body(body: Mapping[str, Any], field: str, raw: str) -> bytes:
    rest = {name: value for name, value in body.items() if name != field}
    text = json.dumps(rest)[1:-1]
    return f"{{{json.dumps(field)}: {raw}{', ' if text else ''}{text}}}".encode()


def test_every_route_with_a_body_is_in_the_table() -> None:
    public = {route.opt["event"] for route in PUBLIC_ROUTES if DESCRIBED[route.opt["event"]].body}
    assert public | {INTERNAL} == set(VALID)
    known = [
        body.kind
        for module in (
            *(uploads, upload_reports, ingest, files, signed_urls),
            *(bin_, webhooks, internal_app),
        )
        for body in vars(module).values()
        if isinstance(body, Body)
    ]
    fields = {field.encode_name for kind in known for field in msgspec.structs.fields(kind)}
    assert fields == {name for _, _, body in VALID.values() for name in body} | {"sha256"}


@pytest.mark.parametrize(("event", "field", "name"), list(wrong_fields()))
async def test_a_wrong_field_is_refused(
    clients: dict[str, ApiClient], event: str, field: str, name: str
) -> None:
    answer = await send(clients, event, raw_body(VALID[event][2], field, RAW[name]))
    body = refused_with(answer, expected(event, field, name))
    if body["code"] == INVALID and name not in NO_JSON:
        assert body["details"]["field"] == field


@pytest.mark.parametrize("event", [event for event in VALID if event != "media.webhooks.edit"])
async def test_a_missing_field_is_named(clients: dict[str, ApiClient], event: str) -> None:
    optional = {"isPublic", "scope", "tenantId", "description"}
    optional |= {"expiresIn", "download", "variant"}
    if event == "media.upload.ingest":
        optional |= {"fileName"}
    for field in set(VALID[event][2]) - optional:
        rest = {name: value for name, value in VALID[event][2].items() if name != field}
        body = refused_with(
            await send(clients, event, json.dumps(rest).encode()), {"MISSING_FIELDS"}
        )
        assert body["details"]["fields"] == [field]


@pytest.mark.parametrize("event", list(VALID))
@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"nothing", b"\xff\xfe", b"\xef\xbb\xbf{}", b'{"a": "\xc3\x28"}', b"{}{}",
        b"{\x00}", b"{" * DEEP, b"[" * DEEP, b'{"a":' * 20_000, b'{"a" 1}', b'{"a": 01}',
        b"{'a': 1}", b"{} //",
    ],
    ids=range(15),
)  # fmt: skip
async def test_what_is_no_json_is_refused(
    clients: dict[str, ApiClient], event: str, content: bytes
) -> None:
    refused_with(await send(clients, event, content), {MALFORMED, INVALID})


@pytest.mark.parametrize("event", list(VALID))
@pytest.mark.parametrize("content", ["null", "true", "7", "9" * LONG, '"text"', "[]", "[{}]"])
async def test_json_that_is_no_object_is_refused(
    clients: dict[str, ApiClient], event: str, content: str
) -> None:
    body = refused_with(await send(clients, event, content.encode()), {INVALID})
    assert body["details"]["field"] == "body"


@pytest.mark.parametrize("event", list(VALID))
@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/xml", "application/json; charset=latin-1", "multipart/form-data",
     "application/x-www-form-urlencoded", "application/jsonl", "", "json", "a" * 5000, "\x7f"],
)  # fmt: skip
async def test_a_body_that_is_not_declared_as_json_is_refused(
    clients: dict[str, ApiClient], event: str, content_type: str
) -> None:
    body = json.dumps(VALID[event][2]).encode()
    answer = await send(clients, event, body, content_type=content_type)
    refused(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("event", list(VALID))
async def test_too_much_is_refused(clients: dict[str, ApiClient], event: str) -> None:
    large = raw_body(VALID[event][2], "more", json.dumps("a" * 200_000))
    refused(await send(clients, event, large), 413, "PAYLOAD_TOO_LARGE")


@pytest.mark.parametrize("event", ["media.upload.complete", "media.files.bulk_delete", INTERNAL])
async def test_unknown_fields_are_ignored_and_the_last_of_a_repeated_one_counts(
    clients: dict[str, ApiClient], event: str
) -> None:
    body = VALID[event][2]
    plain = await send(clients, event, json.dumps(body).encode())
    unknown = await send(clients, event, raw_body(body, "more", "[1, {}, null, 1e9]"))
    (field, *_) = body
    text = json.dumps(body).replace("{", f'{{"{field}": {json.dumps(body[field])},', 1)
    repeated = await send(clients, event, text.encode())
    assert plain.status_code == unknown.status_code == repeated.status_code
    assert plain.json() == unknown.json() == repeated.json()


NOBODY, STRANGER = (401, "UNAUTHORIZED"), (403, "FORBIDDEN")
HEADERS: Mapping[str, tuple[tuple[int, str], Sequence[str]]] = {
    "idempotency-key": ((400, INVALID), ["", "k" * 256, "a\tb", "\x7f"]),
    "media-position": (
        (400, INVALID),
        ["", "-1", "1.0", "1e3", "9" * 19, "9" * LONG, "0x1", "one", "\xb2", "+1", "1_0"],
    ),
    "x-tenant-id": ((400, INVALID), ["", "users", "../x", "a" * 65, "\xff", "a b", "a,b"]),
    "x-user-id": (NOBODY, ["", "../x", "a" * 65, "\xff"]),
    "x-gateway-key": (NOBODY, ["", "\xff", "k" * LONG]),
    "x-user-permissions": (STRANGER, ["", "\xff", "a" * LONG]),
}
QUERIES = [
    ("GET", "/files"), ("GET", "/files/stats"), ("GET", f"/files/{MEDIA_ID}"),
    ("GET", f"/files/{MEDIA_ID}/download"), ("GET", f"/files/{MEDIA_ID}/history"),
    ("GET", f"/upload/{MEDIA_ID}"), ("POST", f"/files/{MEDIA_ID}/signed-url"),
    ("GET", "/audit"), ("GET", "/audit/export?format=jsonl"),
]  # fmt: skip
COMMANDS = [
    ("POST", "/upload/presign"), ("PATCH", "/upload/complete"), ("POST", "/files/bulk-delete"),
    ("POST", "/upload/ingest-url"), ("POST", "/upload/report"), ("DELETE", f"/files/{MEDIA_ID}"),
    ("POST", f"/files/{MEDIA_ID}/purge-cache"),
    ("PATCH", f"/files/{OTHER_ID}"), ("POST", f"/files/{MEDIA_ID}/restore"),
    ("POST", f"/files/{MEDIA_ID}/purge"), ("POST", f"/commands/{COMMAND_ID}/undo"),
]  # fmt: skip


def wrong_headers() -> Iterator[Any]:
    for name, (_, values) in HEADERS.items():
        for value, (method, path) in itertools.product(values, [*QUERIES, *COMMANDS]):
            is_query = (method, path) in QUERIES
            if name == ("idempotency-key" if is_query else "media-position"):
                continue
            label = f"{name}-{method}-{path}-{value[:8]!r}"
            yield pytest.param(method, path, name, value, id=label)


@pytest.mark.parametrize(("method", "path", "name", "value"), list(wrong_headers()))
async def test_a_wrong_header_is_refused(
    client: ApiClient, method: str, path: str, name: str, value: str
) -> None:
    bodies = {path: body for _, path, body in VALID.values()}
    content = {"content": json.dumps(bodies[path])} if path in bodies else {}
    client = client.but(permissions=f"{WRITER} media:audit.read system:owner")
    headers = {**client.headers, **(JSON_TYPE if content else {}), name: value.encode("latin-1")}
    answer = await client.http.request(method, path, headers=headers, **content)  # type: ignore[arg-type]
    status, code = HEADERS[name][0]
    body = refused(answer, status, code)
    if status == 400:
        assert body["details"]["field"].lower() == name


@pytest.mark.parametrize("event", [event for event in VALID if event != INTERNAL])
async def test_a_header_given_twice_is_refused(clients: dict[str, ApiClient], event: str) -> None:
    method, path, body = VALID[event]
    client = clients[event]
    for name, status in (
        ("content-type", 400),
        ("idempotency-key", 400),
        ("x-tenant-id", 400),
        ("x-user-id", 401),
        ("x-gateway-key", 401),
    ):
        if (event, name) == (SIGNED_URL, "idempotency-key"):
            continue  # It commands nothing.
        given = {**client.headers, **JSON_TYPE, "idempotency-key": "once"}
        twice = [*given.items(), (name, given[name])]
        answer = await client.http.request(method, path, headers=twice, content=json.dumps(body))
        assert answer.status_code == status, (name, answer.text)
        refused_with(answer, {INVALID, "UNAUTHORIZED"})


PATHS = [
    "x", "media_", "%00", "%ff", "%2e%2e", "..%2f..", "media_xK9mQ2pLw3RtYb8%0a", "a" * 5000,
    "media_xK9mQ2pLw3RtYb8c%00", "%E2%80%AE", "media_'; DROP TABLE events;--", "-1", "null", "{}",
]  # fmt: skip


@pytest.mark.parametrize("id_", PATHS)
async def test_what_is_no_id_is_not_found(client: ApiClient, id_: str) -> None:
    for method, path in (
        ("GET", f"/files/{id_}"),
        ("DELETE", f"/files/{id_}"),
        ("GET", f"/files/{id_}/download"),
        ("GET", f"/files/{id_}/history"),
        ("GET", f"/upload/{id_}"),
        ("GET", f"/m/{id_}"),
        ("GET", f"/cdn/{id_}"),
        ("POST", f"/files/{id_}/signed-url"),
        ("POST", f"/files/{id_}/purge-cache"),
        ("PURGE", f"/cdn/{id_}"),
    ):
        answer = await client.http.request(method, path, headers=client.headers)
        refused_with(answer, {"MEDIA_NOT_FOUND", "NOT_FOUND"})
        assert answer.status_code == 404


TEXTS = ["", "%00", "%0a", "%ff", "%C3%28", "%ED%A0%80", "a" * 5000, "%c2%85"]
NUMBERS = [
    *TEXTS,
    "0",
    "-1",
    "101",
    "1.5",
    "1e1",
    "9" * LONG,
    "NaN",
    "%D9%A3",
    "0x10",
    "+5",
    "1_0",
    "[]",
]
PARAMETERS = {
    "limit": NUMBERS,
    "cursor": [*TEXTS, "abc", "e30.e30", "." * 1000, "%F0%9F%98%80"],
    "service": [*TEXTS[:6], "a'b", "blog,,store", ","],
    "type": [*TEXTS, "audio", "image,", "Image", "image,null"],
    "mime": [*TEXTS, "image/*", "text/html", ","],
    "search": TEXTS[1:],
    "sort": [*TEXTS, "name", "createdat", "--createdAt", "createdAt,fileName"],
    "scope": [*TEXTS, "all", "tenant,user", "null"],
}


MOMENTS = [
    *TEXTS, "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-04-29", "-1", "1.5",
    "2026-04-29T10:00:00", "2026-04-29T25:00:00Z", "0001-01-01T00:00:00%2B14:00", "9" * 19,
    "9" * LONG, "2026-04-29T10:00:00 02:00", "%D9%A3",
]  # fmt: skip
OF_THE_TRAIL = {
    "limit": NUMBERS,
    "cursor": PARAMETERS["cursor"],
    "file": [*TEXTS, "media_", MEDIA_ID + "x", "x'; DROP TABLE events;--"],
    "actor": [*TEXTS, "user_1", "user:", "user:a/b", "admin:a", "user:a,user:b"],
    "type": [
        *TEXTS,
        "file_deleted",
        "media_file.file_deleted.v99",
        "media_file.file_deleted,",
        "*",
    ],
    "from": MOMENTS,
    "to": MOMENTS,
    "scope": PARAMETERS["scope"],
    "format": [*TEXTS, "xml", "CSV", "csv,jsonl"],
}


@pytest.mark.parametrize("name", list(OF_THE_TRAIL))
async def test_a_wrong_parameter_of_the_audit_trail_is_named(client: ApiClient, name: str) -> None:
    auditor = client.but(permissions="media:audit.read")
    paths = {"limit": ["/audit?"], "cursor": ["/audit?"], "format": ["/audit/export?"]}.get(
        name, ["/audit?", "/audit/export?format=csv&"]
    )
    for path, value in itertools.product(paths, OF_THE_TRAIL[name]):
        answer = await auditor.send("GET", f"{path}{name}={value}")
        body = refused_with(answer, {INVALID, "INVALID_CURSOR"})
        assert body["code"] == "INVALID_CURSOR" or body["details"]["field"] == name, value
        twice = await auditor.send("GET", f"{path}{name}={value}&{name}={value}")
        assert twice.status_code == 400
    refused(await auditor.send("GET", "/audit/export"), 400, "MISSING_FIELDS")


@pytest.mark.parametrize("path", ["/files", "/files/stats", f"/files/{MEDIA_ID}"])
async def test_what_is_no_moment_of_the_past_is_refused(client: ApiClient, path: str) -> None:
    for value in [*MOMENTS, "9999-12-31T23:59:59Z"]:
        answer = await client.send("GET", f"{path}?asOf={value}")
        refused(answer, 400, INVALID, "asOf")
    refused(await client.send("GET", f"{path}?asOf=1&asOf=1"), 400, INVALID, "asOf")


@pytest.mark.parametrize("name", list(PARAMETERS))
async def test_a_wrong_parameter_is_named(client: ApiClient, name: str) -> None:
    paths = ["/files", "/files/stats"] if name == "scope" else ["/files"]
    for path, value in itertools.product(paths, PARAMETERS[name]):
        answer = await client.send("GET", f"{path}?{name}={value}")
        body = refused_with(answer, {INVALID, "INVALID_CURSOR"})
        assert body["code"] == "INVALID_CURSOR" or body["details"]["field"] == name, value
    answer = await client.send("GET", f"{paths[0]}?{name}=a&{name}=a")
    refused(answer, 400, INVALID, name)

"""The one log line of every request (spec 8.1)."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from adapters.settings import Settings
from api import internal_app, webhooks
from api.public_routes import ROUTES as PUBLIC_ROUTES
from api.request_log import QUIET
from tests.kit.http import ApiClient, asked
from tests.kit.lines import Lines, logged

ALWAYS = {"level", "event", "process", "at", "requestId", "durationMs", "status"}
CALLER = {"tenantId", "userId"}
FILE = {"mediaId", "mimeType", "fileSize"}


@pytest.fixture
def lines(settings: Settings) -> Iterator[Lines]:
    with logged(settings) as found:
        yield found


DELIVERY = {
    "media.delivery.key",
    "media.delivery.link",
    "media.files.purge_cache",
    "media.files.signed_url",
}
"""What their lines hold is not looked at here."""
WEBHOOKS = {route.opt["event"] for route in webhooks.ROUTES}
"""test_the_routes_of_webhooks_leave_one_line_each."""


def last_of(lines: Lines, event: str) -> dict[str, Any]:
    """The line of a route; of one asked again while its read model was behind, the last."""
    found = lines.of(event)
    assert len({line["requestId"] for line in found}) == len(found)
    return found[-1]


async def test_the_routes_of_webhooks_leave_one_line_each(client: ApiClient, lines: Lines) -> None:
    keeper = client.but(permissions="media:webhooks.write")
    body = {"url": "https://hooks.example.com/", "eventTypes": ["media.uploaded"]}
    webhook = (await keeper.send("POST", "/webhooks", json=body)).json()
    path = f"/webhooks/{webhook['id']}"
    for route in ("/webhooks", path):
        assert (await keeper.get(route)).status_code == 200
    # Nobody fans out here: what follows the position would be waited for in vain.
    assert (await keeper.send("GET", f"{path}/deliveries")).status_code == 200
    for route, asked_for in (
        ("rotate-secret", None),
        ("ping", None),
        ("replay", {"position": "0"}),
        ("deliveries/1/redeliver", None),
    ):
        sent = await keeper.send("POST", f"{path}/{route}", json=asked_for)
        assert sent.status_code in (200, 202), sent.text
    await keeper.send("PATCH", path, json={"status": "paused"})
    await keeper.send("DELETE", path)
    for event in WEBHOOKS:
        line = last_of(lines, event)
        of_one = set() if event == "media.webhooks.list" else {"webhookId"}
        if event not in {"media.webhooks.list", "media.webhooks.get", "media.webhooks.deliveries"}:
            of_one = of_one | {"commandId"}
        assert set(line) == ALWAYS | CALLER | {"position"} | of_one, event


async def test_every_route_of_the_public_app_leaves_one_line_with_all_that_is_known(
    client: ApiClient, lines: Lines
) -> None:
    presigned = await client.presign()
    media_id = presigned["mediaId"]
    await client.put(presigned)
    await client.complete(media_id)
    for path in ("", "/stats", f"/{media_id}", f"/{media_id}/download", f"/{media_id}/history"):
        await client.get(f"/files{path}")
    await client.get(f"/upload/{media_id}")
    told = {"mediaId": media_id, "stage": "put", "status": 500, "attempt": 2}
    await client.send("POST", "/upload/report", json=told)
    await client.send("PATCH", f"/files/{media_id}", json={"isPublic": True})
    await client.delete(media_id)
    restored = await client.send("POST", f"/files/{media_id}/restore")
    command = restored.headers["media-command-id"]
    await client.send("POST", f"/commands/{command}/undo")
    owner = client.but(permissions="system:owner")
    await owner.send("POST", f"/files/{media_id}/purge")
    await client.send("POST", "/files/bulk-delete", json={"ids": [media_id]})
    auditor = client.but(permissions="media:audit.read")
    for path in ("/audit", "/audit/export?format=csv"):
        assert (await auditor.send("GET", path)).status_code == 200
    known = {
        "media.upload.presign": CALLER | FILE | {"position", "commandId"},
        "media.upload.complete": CALLER | FILE | {"position", "commandId"},
        "media.upload.status": CALLER | FILE | {"position"},
        "media.upload.report": CALLER
        | FILE
        | {"position", "stage", "putStatus", "attempt", "commandId"},
        "media.files.list": CALLER | {"position"},
        "media.files.stats": CALLER | {"position"},
        "media.files.get": CALLER | FILE | {"position"},
        "media.files.download": CALLER | FILE | {"position"},
        "media.files.history": CALLER | {"mediaId", "position"},
        "media.files.change": CALLER | FILE | {"position", "commandId"},
        "media.files.delete": CALLER | FILE | {"position", "commandId"},
        "media.files.restore": CALLER | FILE | {"position", "commandId"},
        "media.files.purge": CALLER | FILE | {"position", "commandId"},
        "media.files.bulk_delete": CALLER | {"count", "position", "commandId"},
        "media.commands.undo": CALLER | {"count", "position", "commandId", "undoes"},
        "media.audit.list": CALLER | {"count", "position"},
        "media.audit.export": CALLER | {"format", "position"},
    }
    source = {"url": "https://example.com/hero.png", "serviceCode": "blog"}
    asking = {"prefer": "respond-async"}
    ingested = await client.send("POST", "/upload/ingest-url", json=source, headers=asking)
    (line,) = lines.of("media.upload.ingest")
    assert set(line) == ALWAYS | CALLER | {"mediaId", "position", "commandId"}
    assert line["mediaId"] == ingested.json()["mediaId"]
    # A stream's line is written at its end: test_library_changes.py.
    of_all = {*known, "media.upload.ingest", "media.files.events", *WEBHOOKS, *DELIVERY}
    assert of_all == {route.opt["event"] for route in PUBLIC_ROUTES} - QUIET
    for event, fields in known.items():
        line = last_of(lines, event)
        assert set(line) == ALWAYS | fields, event
        expected = {"tenantId": client.tenant, "userId": client.user, "mediaId": media_id}
        expected |= {"mimeType": "image/png", "fileSize": asked()["fileSize"]}
        assert {name: line[name] for name in expected if name in fields} == {
            name: value for name, value in expected.items() if name in fields
        }
        assert line["status"] in (200, 204, 302)
        assert line["durationMs"] > 0
    assert client.key not in lines.text
    assert "Signature" not in lines.text


async def test_every_route_of_the_internal_app_leaves_one_line(
    client: ApiClient, internal: httpx.AsyncClient, lines: Lines
) -> None:
    media_id = (await client.presign())["mediaId"]
    body = {"mediaIds": [media_id], "tenantId": client.tenant}
    await internal.post("/internal/resolve", json=body)
    await internal.get("/internal/failures")
    await internal.post(f"/internal/failures/{media_id}/retry")
    await internal.get("/internal/events?limit=1")
    await internal.delete(f"/internal/tenants/{client.tenant}")
    known = {
        "media.internal.resolve": {"tenantId", "count", "position"},
        "media.internal.failures": set(),
        "media.internal.retry": {"mediaId", "code"},
        "media.internal.events": {"count"},
        "media.internal.tenant_removed": {"tenantId", "position"},
    }
    assert set(known) == {route.opt["event"] for route in internal_app.ROUTES} - QUIET
    for event, fields in known.items():
        (line,) = lines.of(event)
        assert set(line) == ALWAYS | fields, event


async def test_a_refusal_is_one_line_that_says_who_and_why(client: ApiClient, lines: Lines) -> None:
    await client.send("GET", "/files?limit=x")
    await client.but(permissions="media:files.read").send("POST", "/upload/presign", json=asked())
    await client.but(key="wrong").send("GET", "/files")
    await client.send("POST", "/upload/presign", json=asked(serviceCode=None))
    await client.http.get("/nothing")
    await client.http.get("/health")
    who = (client.user, client.tenant)
    assert [
        (line["event"], line["status"], line["code"], line.get("userId"), line.get("tenantId"))
        for line in lines.all
    ] == [
        ("media.files.list", 400, "INVALID_FIELD", *who),
        ("media.upload.presign", 403, "FORBIDDEN", client.user, None),
        ("media.files.list", 401, "UNAUTHORIZED", None, None),
        ("media.upload.presign", 400, "MISSING_FIELDS", *who),
        ("media.unknown", 404, "NOT_FOUND", None, None),
    ]


FORGED = '{"level":"info","event":"forged"}'


@pytest.mark.parametrize(
    "changes",
    [
        {"fileName": f"a\u2028{FORGED}"},
        {"fileName": f"a\n{FORGED}"},
        {"fileName": "a\x1b[2K\x1b[1A"},
        {"contentType": f"image/png\r\n{FORGED}"},
        {"contentType": f"image/png\u0085{FORGED}"},
        {"serviceCode": f"blog\u2029{FORGED}"},
        {"fileSize": 2**70},
    ],
)
async def test_nothing_a_caller_sends_begins_a_line(
    client: ApiClient, lines: Lines, changes: dict[str, Any]
) -> None:
    hostile = {"x-request-id": 'a","event":"forged'}
    await client.send("POST", "/upload/presign", json=asked(**changes), headers=hostile)
    (line,) = lines.all
    assert line["event"] == "media.upload.presign"
    assert lines.text.rstrip("\n").isprintable()

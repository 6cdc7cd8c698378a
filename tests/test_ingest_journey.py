"""Ingest through a running `./dev up`, as the README's tour does it: nine real files from a URL."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from domain.media_type import MEDIA_TYPES
from tests.kit.samples import sample
from tests.kit.up import Up, wait_until

pytestmark = pytest.mark.timeout(300)


class _Samples(http.server.BaseHTTPRequestHandler):
    """Serves `/<extension>` with the type that a web server would tell."""

    def do_GET(self) -> None:
        wanted = self.path.partition("?")[0].rpartition(".")[2]
        found = [one for one in MEDIA_TYPES.values() if one.extension == wanted]
        self.send_response(200 if found else 404)
        body = sample(found[0].mime_type) if found else b""
        if found:
            self.send_header("content-type", found[0].mime_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *_: Any) -> None:  # noqa: A002 - its signature
        """Say nothing."""


LIFE = [
    "ingest_requested",
    "upload_requested",
    "verification_deferred",
    "upload_completed",
    "file_deleted",
]


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    """`host:port` of a server with samples."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Samples) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def api(source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Somebody at a service that was started with the development setting for the source."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MEDIA_PERMITTED_SOURCES", source)
        up = Up(tmp_path_factory.mktemp("ingest") / "home", "--ephemeral")
    run = up.until_ready()
    headers = {
        "x-gateway-key": run["gatewayKey"],
        "x-user-id": "user_789",
        "x-tenant-id": "ls_journey",
        "x-user-permissions": "media:files.read media:files.write",
    }
    with httpx.Client(base_url=run["api"], headers=headers, timeout=40) as client:
        yield client
    assert up.end() == 0


@pytest.mark.parametrize("mime_type", list(MEDIA_TYPES))
def test_a_real_file_is_ingested_served_and_deleted(
    api: httpx.Client, source: str, mime_type: str
) -> None:
    extension = MEDIA_TYPES[mime_type].extension
    url = f"http://{source}/Gr%C3%B6%C3%9Fe.{extension}?token=secret"
    answer = api.post("/upload/ingest-url", json={"url": url, "serviceCode": "blog"})
    assert answer.status_code == 200, answer.text
    file = answer.json()
    assert (file["fileName"], file["mimeType"]) == (f"Größe.{extension}", mime_type)
    with httpx.Client(timeout=20) as visitor:
        served = visitor.get(file["url"])
        assert (served.status_code, served.headers["content-type"]) == (200, mime_type)
        assert len(served.content) == file["fileSize"]
        deleted = api.delete(f"/files/{file['id']}")
        wait_until(lambda: visitor.get(file["url"]).status_code == 404)
    history = api.get(
        f"/files/{file['id']}/history",
        headers={"media-position": deleted.headers["media-position"]},
    )
    assert "secret" not in history.text
    told = [item["type"].split(".")[1] for item in history.json()["items"]]
    # Between them stands what was found in the file and made from it.
    assert [fact for fact in told if fact in LIFE] == LIFE


def test_what_is_not_permitted_is_refused(api: httpx.Client, source: str) -> None:
    for url, code in (
        (f"http://{source}/none", "SOURCE_UNAVAILABLE"),
        (str(api.base_url), "SSRF_BLOCKED"),
        ("http://169.254.169.254/latest/meta-data/", "SSRF_BLOCKED"),
    ):
        answer = api.post("/upload/ingest-url", json={"url": url, "serviceCode": "blog"})
        assert answer.json()["code"] == code

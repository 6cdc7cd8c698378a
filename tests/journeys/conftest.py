"""One running `./dev up` for all journeys, and a server that it may fetch from."""

import http.server
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from domain.media_type import MEDIA_TYPES
from tests.kit.samples import sample
from tests.kit.up import Up


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


@pytest.fixture(scope="package")
def source() -> Iterator[str]:
    """`host:port` of a server with samples."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Samples) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="package")
def up(source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Processes of it that are killed start again."""
    home = tmp_path_factory.mktemp("journeys") / "home"
    one = Up(home, "--ephemeral", "--restart", settings={"MEDIA_PERMITTED_SOURCES": source})
    one.until_ready()
    yield one
    assert one.end(signal.SIGTERM) == 0

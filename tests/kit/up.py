"""One `./dev up` in a process of its own, for tests that meet the service as a newcomer does."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import msgspec

from adapters.embedded import free_port
from adapters.settings import child_environment
from tests.kit import written

ROOT = Path(__file__).parents[2]
UNLIMITED = {f"MEDIA_LIMIT_{name}": "0" for name in ("PRESIGN", "INGEST", "LIST", "BULK_DELETE")}
"""A test asks more in a minute than a person."""
SECONDS = 90.0
"""Patience, not a measure: the machine may be busy with other tests."""


class Up:
    """One `./dev up`, and what it printed."""

    def __init__(
        self,
        home: Path,
        *options: str,
        edge_port: int | None = None,
        web: bool = False,
        settings: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.home = home
        self.ports = [free_port(), free_port(), edge_port or free_port()]
        api, internal, edge = map(str, self.ports)
        dashboard = ["--web-port", str(free_port())] if web else ["--no-web"]
        self._log = home.parent / f"{home.name}.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "workers.cli", "up", "--home", str(home), *dashboard),
                    *("--port", api, "--internal-port", internal, "--edge-port", edge, *options),
                ],
                cwd=ROOT,
                env=child_environment(dict(settings), defaults=UNLIMITED),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def printed(self) -> str:
        return self._log.read_text()

    @property
    def run(self) -> dict[str, Any]:
        content: dict[str, Any] = msgspec.json.decode((self.home / "run.json").read_bytes())
        return content

    def until_ready(self) -> dict[str, Any]:
        def ready() -> bool:
            assert self.process.poll() is None, self.printed
            # A run.json may be there of one before it that was killed.
            return "Media Service is ready" in self.printed

        wait_until(ready)
        passwords = [urlsplit(self.run[name]).password for name in ("database", "redis")]
        keys = [self.run["objectStore"][name] for name in ("accessKey", "secretKey")]
        written.remember(*(secret for secret in (*passwords, *keys) if secret))
        return self.run

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        code = self.process.wait(SECONDS)
        # For the look at all that is written, and for whoever wonders why a test failed.
        sys.stdout.write(self.printed)
        return code


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)

"""One `./dev up` in a process of its own, for tests that meet the service as a newcomer does."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from adapters.embedded import free_port

ROOT = Path(__file__).parents[2]
SECONDS = 90.0
"""Patience, not a measure: the machine may be busy with other tests."""


class Up:
    """One `./dev up`, and what it printed."""

    def __init__(
        self, home: Path, *options: str, edge_port: int | None = None, web: bool = False
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
            return (self.home / "run.json").exists()

        wait_until(ready)
        return self.run

    def end(self, number: int = signal.SIGINT) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)

"""The log lines of what runs in this process, as they are written."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from adapters.settings import Settings
from adapters.telemetry import configure
from tests.kit import written


class Lines:
    """What was logged while it is open."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def all(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n")[:-1]]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.all if line["event"] == event]


@contextmanager
def logged(settings: Settings) -> Iterator[Lines]:
    """Collect the lines that a process with these settings writes."""
    stream = io.StringIO()
    configure(settings, process="tests", stream=stream)
    try:
        yield Lines(stream)
    finally:
        written.log_as_a_process(settings)
        logging.getLogger().info("tests wrote\n%s", stream.getvalue())

"""What `./dev up` prints: each line of a process behind its name, in its colour."""

import contextlib
import sys
from collections.abc import Sequence

from adapters.settings import child_environment

COLOURS = (36, 32, 35, 33, 34, 96, 92, 95, 93, 94)
"""Of ANSI terminals; red is left for errors."""
CHATTER = {
    "initdb": ("",),
    "postgres": ("LOG:", "FATAL:  the database system is starting up"),
    "valkey": ("WARNING Memory overcommit", "signal-handler", "ready to exit"),
    "s3": ("NOTICE: Local file system", "Dir.Remove not empty"),
}
"""The servers' lines that are no news to whoever runs `./dev up`."""


class Output:
    """Writes to standard output, with colours if that is a terminal."""

    def __init__(self, names: Sequence[str]) -> None:
        self._width = max(map(len, names))
        self._colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
        self._coloured = sys.stdout.isatty() and not child_environment({}).get("NO_COLOR")

    def line(self, name: str, text: str) -> None:
        """A line that a process printed."""
        if any(chatter in text for chatter in CHATTER.get(name, ())):
            return
        prefix = f"{name:>{self._width}} |"
        if self._coloured:
            prefix = f"\x1b[{self._colours.get(name, 37)}m{prefix}\x1b[0m"
        self._write(f"{prefix} {text}")

    def say(self, text: str) -> None:
        """Something of our own."""
        self._write(f"\x1b[1m{text}\x1b[0m" if self._coloured else text)

    def _write(self, text: str) -> None:
        # A terminal that went away must not keep us from stopping what we started.
        with contextlib.suppress(OSError):
            print(text, flush=True)  # noqa: T201 - a command speaks to its caller

"""What a process has started."""

import contextlib
from collections.abc import Sequence
from pathlib import Path


def children(pid: int) -> Sequence[int]:
    """Those that run, of all its threads; none when it is gone."""
    with contextlib.suppress(OSError):
        return [
            int(child)
            for task in Path(f"/proc/{pid}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


def with_descendants(pid: int) -> Sequence[int]:
    """The process, those it started, and so on."""
    return [pid, *(below for child in children(pid) for below in with_descendants(child))]

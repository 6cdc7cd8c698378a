"""Where a process can be told to die, to prove that nothing is lost there. Off unless named.

`MEDIA_STOP_POINT=after_commit:3` kills this process (SIGKILL) the third time it comes by. Where
nothing is named nothing is wrapped: `adapters/dying.py` gives the real adapters back.
"""

import os
import signal
from typing import Literal, TypeAlias, get_args

import msgspec

StopName: TypeAlias = Literal[
    "before_write",
    "before_commit",
    "after_commit",
    "before_answer",
    "job_taken",
    "effect_done",
    "job_done",
    "rows_written",
]
"""Before an append is sent; inside its transaction; committed, and nobody told; a command's answer
made and not sent; a job taken from the queue; bytes moved, and not yet recorded; a job's effect
recorded, and the job not acknowledged; a read model's rows written, its checkpoint not."""

NAMES: tuple[StopName, ...] = get_args(StopName)


class StopPoint(msgspec.Struct):
    """The one point this process dies at, and how often it has come by."""

    name: StopName
    hit: int = 1
    """1 for the first time."""
    seen: int = 0

    def due(self, name: StopName) -> bool:
        """Count a passage; whether it is the last."""
        self.seen += name == self.name
        return name == self.name and self.seen == self.hit

    def reached(self, name: StopName) -> None:
        """Die here, if this is the point and the time."""
        if self.due(name):
            die()


def die() -> None:
    """As `kill -9` does it: nothing is finished, closed or written."""
    os.kill(os.getpid(), signal.SIGKILL)


def stop_point(text: str) -> StopPoint | None:
    """What `MEDIA_STOP_POINT` says; None for nothing. Raises ValueError with a sentence."""
    if not text:
        return None
    name, _, hit = text.partition(":")
    if name not in NAMES:
        raise ValueError(f"{name!r} is no stop point; known are {', '.join(NAMES)}.")
    if hit and not (hit.isascii() and hit.isdecimal() and int(hit) >= 1):
        raise ValueError(f"{hit!r} is not how many times to come by; write {name}:3, say.")
    return StopPoint(name, int(hit or 1))

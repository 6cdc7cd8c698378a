"""Dying with a read model's rows written and its checkpoint not (`adapters/stop_points.py`)."""

import threading
from collections.abc import Collection, Sequence

from adapters.stop_points import StopPoint, die
from domain.event import Event, Recorded
from projections.projection import Projection, Statement

HELD_SECONDS = 5
KILLED_AFTER_SECONDS = 0.3


def rows_written(projection: Projection, stop: StopPoint | None) -> Projection:
    """The projection; the process dies in its n-th batch where that is asked for."""
    if stop is None or stop.name != "rows_written":
        return projection
    return _Dying(projection, stop)


class _Dying:
    def __init__(self, real: Projection, stop: StopPoint) -> None:
        self._real = real
        self._stop = stop

    @property
    def name(self) -> str:
        return self._real.name

    @property
    def event_types(self) -> Collection[type[Event]] | None:
        return self._real.event_types

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        statements = self._real.fold(batch)
        if not statements or not self._stop.due("rows_written"):
            return statements
        # The server holds still after the rows, with the checkpoint's statement waiting behind.
        threading.Timer(KILLED_AFTER_SECONDS, die).start()
        return [*statements, Statement(f"SELECT pg_sleep({HELD_SECONDS})")]

"""A lock that many threads hold together, or one of them alone."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class NotAlone(Exception):
    """Others held the lock for longer than one wanted to wait."""


class Closed(Exception):
    """Nobody waits for the lock any more."""


class SharedLock:
    """Who wants it alone is not overtaken: whoever comes later waits until that one is through."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._alone = 0
        """Those who hold it alone, or wait to."""
        self._taken = False
        """Whether one of these holds it."""
        self._closed = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold it beside others. Raises Closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._alone)
            if self._alone:
                raise Closed
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, *, seconds: float) -> Iterator[None]:
        """Hold it beside nobody. Raises NotAlone when that is not so in time, Closed."""
        with self._changed:
            self._alone += 1
        try:
            self._take(time.monotonic() + seconds)
            try:
                yield
            finally:
                with self._changed:
                    self._taken = False
        finally:
            with self._changed:
                self._alone -= 1
                self._changed.notify_all()

    def _take(self, deadline: float) -> None:
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or not (self._together or self._taken),
                max(deadline - time.monotonic(), 0),
            )
            if self._together or self._taken:
                raise Closed if self._closed else NotAlone
            self._taken = True

    def close(self) -> None:
        """Send away who waits, now and later; who holds it goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

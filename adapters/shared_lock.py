"""A lock that many threads hold together, or one of them alone."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class NotAlone(Exception):
    """Others held the lock for longer than one wanted to wait."""


class Taken(Exception):
    """Another one holds the lock alone, or waits to."""


class Closed(Exception):
    """Nobody waits for the lock any more."""


class SharedLock:
    """Who wants it alone is not overtaken: whoever comes later waits until that one is through."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._together = 0
        self._single: object = None
        """Whoever holds it alone, or waits to."""
        self._closed = False

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold it beside others. Raises Closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._single is None)
            if self._single is not None:
                raise Closed
            self._together += 1
        try:
            yield
        finally:
            with self._changed:
                self._together -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self, *, seconds: float) -> Iterator[Callable[[], None]]:
        """Hold it beside nobody, until what is given is called: from then on, beside others.

        Raises Taken, NotAlone when the others do not end in time, Closed.
        """
        me = object()
        with self._changed:
            if self._single is not None:
                raise Taken
            self._single = me
            try:
                self._until_alone(seconds)
            except BaseException:
                self._let_others_in()
                raise

        def join() -> None:
            with self._changed:
                if self._single is me:
                    self._together += 1
                    self._let_others_in()

        try:
            yield join
        finally:
            with self._changed:
                join()
                self._together -= 1
                self._changed.notify_all()

    def _until_alone(self, seconds: float) -> None:
        self._changed.wait_for(lambda: self._closed or not self._together, seconds)
        if self._together:
            raise Closed if self._closed else NotAlone

    def _let_others_in(self) -> None:
        self._single = None
        self._changed.notify_all()

    def close(self) -> None:
        """Send away who waits, now and later; who holds it goes on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

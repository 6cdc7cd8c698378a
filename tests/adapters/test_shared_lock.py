import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from adapters.shared_lock import Closed, NotAlone, SharedLock

SECONDS = 30.0
SOON = 0.05


@pytest.fixture
def lock() -> SharedLock:
    return SharedLock()


def held(lock: SharedLock, pool: ThreadPoolExecutor, over: threading.Event) -> Future[None]:
    """Somebody who holds the lock together with others, until told."""
    has = threading.Event()

    def hold() -> None:
        with lock.together():
            has.set()
            assert over.wait(SECONDS)

    future = pool.submit(hold)
    assert has.wait(SECONDS)
    return future


def alone(lock: SharedLock, seconds: float = SECONDS) -> Callable[[], None]:
    def take() -> None:
        with lock.alone(seconds=seconds):
            pass

    return take


def test_many_hold_it_together_and_one_alone_waits_for_all_of_them(lock: SharedLock) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(4) as pool:
        together = [held(lock, pool, over) for _ in range(3)]
        waiting = pool.submit(alone(lock))
        with pytest.raises(TimeoutError):
            waiting.result(SOON)
        over.set()
        waiting.result(SECONDS)
        assert all(one.result(SECONDS) is None for one in together)


def test_who_waits_to_be_alone_is_not_overtaken(lock: SharedLock) -> None:
    first, later = threading.Event(), threading.Event()
    later.set()
    with ThreadPoolExecutor(4) as pool:
        held(lock, pool, first)
        taken: list[str] = []

        def take_alone() -> None:
            with lock.alone(seconds=SECONDS):
                taken.append("alone")

        def take_together() -> None:
            with lock.together():
                taken.append("together")

        one = pool.submit(take_alone)
        while not lock._alone:
            pass
        other = pool.submit(take_together)
        first.set()
        one.result(SECONDS)
        other.result(SECONDS)
    assert taken == ["alone", "together"]


def test_who_is_not_alone_in_time_gives_way_to_the_others(lock: SharedLock) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        held(lock, pool, over)
        with pytest.raises(NotAlone):
            alone(lock, seconds=0)()
        with lock.together():
            over.set()


def test_two_who_want_to_be_alone_take_turns(lock: SharedLock) -> None:
    inside = 0

    def take() -> None:
        nonlocal inside
        with lock.alone(seconds=SECONDS):
            inside += 1
            assert inside == 1
            inside -= 1

    with ThreadPoolExecutor(8) as pool:
        for one in [pool.submit(take) for _ in range(200)]:
            one.result(SECONDS)


def test_closing_sends_away_who_waits_and_nobody_else(lock: SharedLock) -> None:
    over = threading.Event()
    with ThreadPoolExecutor(2) as pool:
        holding = held(lock, pool, over)
        waiting = pool.submit(alone(lock))
        lock.close()
        with pytest.raises(Closed):
            waiting.result(SECONDS)
        with pytest.raises(Closed):
            alone(lock)()
        with lock.together():
            over.set()
        assert holding.result(SECONDS) is None

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from adapters.shared_lock import Closed, NotAlone, SharedLock, Taken

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
    over, has_come = threading.Event(), threading.Event()
    taken: list[str] = []

    def take_alone() -> None:
        with lock.alone(seconds=SECONDS):
            taken.append("alone")

    def take_together() -> None:
        has_come.set()
        with lock.together():
            taken.append("together")

    with ThreadPoolExecutor(4) as pool:
        held(lock, pool, over)
        one = pool.submit(take_alone)
        deadline = time.monotonic() + SECONDS
        while lock._single is None and time.monotonic() < deadline:
            time.sleep(0.001)
        other = pool.submit(take_together)
        assert has_come.wait(SECONDS)
        time.sleep(SOON)
        over.set()
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


def test_a_second_one_who_wants_it_alone_is_sent_away(lock: SharedLock) -> None:
    with lock.alone(seconds=SECONDS), pytest.raises(Taken):
        alone(lock)()
    alone(lock)()


def test_who_had_it_alone_may_go_on_beside_others(lock: SharedLock) -> None:
    with lock.alone(seconds=SECONDS) as join:
        join()
        join()
        with lock.together():
            pass
        with pytest.raises(NotAlone):
            alone(lock, seconds=0)()
    alone(lock, seconds=0)()


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


def test_closing_sends_away_who_waits_behind_one_who_has_it_alone(lock: SharedLock) -> None:
    with ThreadPoolExecutor(1) as pool, lock.alone(seconds=SECONDS):

        def take() -> None:
            with lock.together():
                pass

        waiting = pool.submit(take)
        with pytest.raises(TimeoutError):
            waiting.result(SOON)
        lock.close()
        with pytest.raises(Closed):
            waiting.result(SECONDS)

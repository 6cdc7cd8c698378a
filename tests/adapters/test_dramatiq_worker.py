import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import dramatiq
import msgspec
import pytest

from adapters.dramatiq_queue import DramatiqQueue
from adapters.dramatiq_worker import (
    CRASHES_ALONE_ALLOWED,
    SUSPECTED_AFTER,
    Attempt,
    DramatiqWorker,
    rest_after,
)
from application.jobs import Job, PurgeObjects
from tests.workers.processes import until

NAMESPACE = "rest"
JOB = PurgeObjects(media_id="media_xK9mQ2pLw3RtYb8c")


CRASHES = 2


class Runner:
    """Remembers what it ran, and what ran beside."""

    def __init__(self, seconds: float = 0) -> None:
        self.ran: list[Job] = []
        self.beside: dict[Job, int] = {}
        self._seconds = seconds
        self._running = 0

    async def run(self, job: Job, attempt: Attempt) -> None:
        self._running += 1
        before = self._running
        await asyncio.sleep(self._seconds)
        self.beside[job] = max(before, self._running) - 1
        self._running -= 1
        self.ran.append(job)

    async def give_up(self, job: Job, attempt: Attempt, error: str) -> None:
        raise AssertionError(error)


@pytest.fixture
def crashed(redis_url: str) -> str:
    """Where a job waits that was begun twice and never came to an end."""
    queue = DramatiqQueue(redis_url, namespace=NAMESPACE)
    for _ in range(CRASHES):
        queue.begin(JOB, "killed")
    queue.send(JOB)
    queue.close()
    return redis_url


@asynccontextmanager
async def worker(
    redis_url: str, runner: Runner, *, rest: float, threads: int = 1, namespace: str = NAMESPACE
) -> AsyncIterator[list[int]]:
    """A worker; after how many crashes its jobs rested."""
    rested: list[int] = []
    queue = DramatiqQueue(redis_url, namespace=namespace, heartbeat_seconds=0.5)

    def resting(crashes: int) -> float:
        rested.append(crashes)
        return rest

    one = DramatiqWorker(
        queue,
        runner,
        jobs=[PurgeObjects],
        threads={PurgeObjects.QUEUE: threads},
        loop=asyncio.get_running_loop(),
        rest_after=resting,
    )
    one.start()
    try:
        yield rested
    finally:
        await one.stop(drain_seconds=0.1)
        queue.close()


async def seen(what: list[Any], *, at_least: int = 1) -> None:
    async def is_there() -> bool:
        return len(what) >= at_least

    await until(is_there)


async def test_a_job_whose_worker_died_rests_before_it_is_tried_again(crashed: str) -> None:
    runner = Runner()
    async with worker(crashed, runner, rest=0.01) as rested:
        await seen(runner.ran)
        # Long enough for the worker to be taken for dead, if it had another name by now.
        await asyncio.sleep(2)
    assert rested == [1]
    assert runner.ran == [JOB]


async def test_a_job_whose_workers_died_runs_alone_and_others_deaths_are_not_its_own(
    redis_url: str,
) -> None:
    queue = DramatiqQueue(redis_url, namespace="alone")
    # It was there whenever the worker died of another job.
    for _ in range(CRASHES_ALONE_ALLOWED + 2):
        queue.begin(JOB, "killed")
    runner = Runner(seconds=0.1)
    async with worker(redis_url, runner, rest=0.01, threads=4, namespace="alone"):
        queue.send(JOB)
        for number in range(2000):
            # More than it can do, so that whoever comes beside others would have some.
            queue.send(PurgeObjects(media_id=f"media_{number}"))
            if JOB in runner.ran:
                break
            await asyncio.sleep(0.02)
    assert runner.beside.pop(JOB) == 0
    assert max(runner.beside.values()) > 0
    queue.close()


async def test_a_job_that_is_to_run_alone_gives_way_to_those_that_do_not_end(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.dramatiq_worker.ALONE_SECONDS", 0.1)
    monkeypatch.setattr("adapters.dramatiq_worker.BUSY_SECONDS", 0.1)
    queue = DramatiqQueue(redis_url, namespace="busy")
    for _ in range(SUSPECTED_AFTER + 1):
        queue.begin(JOB, "killed")
    over = asyncio.Event()
    lasting, short = (PurgeObjects(media_id=f"media_{name}") for name in ("lasting", "short"))

    class Busy(Runner):
        async def run(self, job: Job, attempt: Attempt) -> None:
            if job == lasting:
                await over.wait()
            await super().run(job, attempt)

    runner = Busy()
    async with worker(redis_url, runner, rest=0.01, threads=2, namespace="busy") as rested:
        queue.send(lasting)
        queue.send(JOB)
        # Once because it crashed, then because it was not alone.
        await seen(rested, at_least=3)
        queue.send(short)
        await seen(runner.ran)
        assert runner.ran == [short]
        over.set()
        await seen(runner.ran, at_least=3)
    assert set(runner.ran[1:]) == {lasting, JOB}
    queue.close()


async def test_what_a_shutdown_interrupts_is_no_failed_attempt(redis_url: str) -> None:
    queue = DramatiqQueue(redis_url, namespace="stopped")
    last = dramatiq.Message[None](
        queue_name=JOB.QUEUE,
        actor_name=JOB.NAME,
        args=(),
        kwargs={"job": msgspec.to_builtins(JOB)},
        options={"retries": JOB.MAX_RETRIES},
    )
    queue.broker_of(JOB.QUEUE).enqueue(last)
    began: list[Job] = []

    class Endless(Runner):
        async def run(self, job: Job, attempt: Attempt) -> None:
            began.append(job)
            await asyncio.sleep(3600)

    async with worker(redis_url, Endless(), rest=0, namespace="stopped"):
        await seen(began)
    runner = Runner()
    async with worker(redis_url, runner, rest=0, namespace="stopped"):
        await seen(runner.ran)
    assert runner.ran == [JOB]
    queue.close()


async def test_what_rests_holds_nothing_up(crashed: str) -> None:
    runner = Runner()
    other = PurgeObjects(media_id="media_another")
    async with worker(crashed, runner, rest=3600) as rested:
        await seen(rested)
        queue = DramatiqQueue(crashed, namespace=NAMESPACE)
        queue.send(other)
        await seen(runner.ran)
        queue.close()
    assert runner.ran == [other]


def test_jobs_that_died_together_come_back_apart() -> None:
    rests = [rest_after(3) for _ in range(20)]
    assert max(rests) - min(rests) > 1
    assert all(0 <= rest <= 2**3 for rest in rests)

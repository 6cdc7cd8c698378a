import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.dramatiq_queue import DramatiqQueue
from adapters.dramatiq_worker import CRASHES_ALLOWED, Attempt, DramatiqWorker, rest_after
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
    redis_url: str, runner: Runner, *, rest: float, threads: int = 1
) -> AsyncIterator[list[int]]:
    """A worker; after how many crashes its jobs rested."""
    rested: list[int] = []
    queue = DramatiqQueue(redis_url, namespace=NAMESPACE, heartbeat_seconds=0.5)

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
    yield rested
    await one.stop(drain_seconds=0.1)
    queue.close()


async def seen(what: list[Any]) -> None:
    async def is_there() -> bool:
        return bool(what)

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
    queue = DramatiqQueue(redis_url, namespace=NAMESPACE)
    # It was there whenever the worker died of another job.
    for _ in range(3 * CRASHES_ALLOWED):
        queue.begin(JOB, "killed")
    others = [PurgeObjects(media_id=f"media_{number}") for number in range(12)]
    for job in (*others[:6], JOB, *others[6:]):
        queue.send(job)
    runner = Runner(seconds=0.1)
    async with worker(redis_url, runner, rest=0.01, threads=4):

        async def all_ran() -> bool:
            return len(runner.ran) == len(others) + 1

        await until(all_ran)
    assert runner.beside[JOB] == 0
    assert max(runner.beside[job] for job in others) > 0
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

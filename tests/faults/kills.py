"""Scenarios that kill: any process at any time, one at a named point, all of them at once."""

import asyncio
import signal
import time

from tests.faults.stage import Scenario, Stage, Strike
from workers.processes import PROCESSES

OURS = tuple(one.name for one in PROCESSES)
SELDOM = 3
DEATH_SECONDS = 60.0
"""How long a process that was told where to die may take to come by there."""


async def any_process(stage: Stage) -> bool:
    """`kill -9` of a process of ours."""
    await stage.rest(0.1, 0.8)
    name = OURS[stage.number % len(OURS)] if stage.number < len(OURS) else stage.chance.choice(OURS)
    await stage.system.kill(name)
    await stage.system.until_runs(name)
    return True


async def power_cut(stage: Stage) -> bool:
    """Everything dies at once but the bucket, whose PUT is whole or nothing."""
    await stage.rest(0.5, 1.5)
    system = stage.system
    await system.kill("postgres", "valkey", *OURS)
    await asyncio.gather(system.start_server("postgres"), system.start_server("valkey"))
    for name in OURS:
        await system.until_runs(name)
    await stage.rest(0.5, 1.0)
    return True


def at(point: str, *processes: str, hits: int = 6) -> Strike:
    """The process dies when it comes by the point for the n-th time, of at most `hits`."""

    def armed(stage: Stage, name: str) -> dict[str, str]:
        # The second process comes by there less often.
        most = hits if name == processes[0] else min(hits, SELDOM)
        return {"MEDIA_STOP_POINT": f"{point}:{stage.chance.randint(1, most)}"}

    async def strike(stage: Stage) -> bool:
        system = stage.system
        # The first strikes are at the first process, the last ones at the last.
        order = [processes[n * len(processes) // stage.strikes] for n in range(stage.strikes)]
        name = order[stage.number]
        if stage.armed != name or name in system.wanted:
            # Not until it answers: it may die at the first thing it does.
            await system.restart(name, armed(stage, name), wait=False)
            stage.armed_since = len(system.deaths)
        before = stage.armed_since
        again = order[stage.number + 1 : stage.number + 2] == [name]
        stage.armed = name if again else ""
        if again:
            # What is started again is told at once where to die next.
            system.wanted[name] = armed(stage, name)
        deadline = time.monotonic() + DEATH_SECONDS
        while time.monotonic() < deadline:
            died = [one for one in system.deaths[before:] if one.name == name]
            if died:
                stage.armed_since = system.deaths.index(died[0]) + 1
                await system.until_runs(name)
                return died[0].code == -signal.SIGKILL
            await asyncio.sleep(0.02)
        stage.armed = ""
        await system.restart(name)
        return False

    return strike


KILLS = (
    Scenario(
        name="kill-any",
        what="kill -9 of any process of ours, at any time",
        strike=any_process,
        api_dies=True,
    ),
    Scenario(
        name="before-write",
        what="killed before the append is sent (api, jobs: effect done, not recorded)",
        strike=at("before_write", "api", "jobs"),
        api_dies=True,
    ),
    Scenario(
        name="before-commit",
        what="killed inside the append's transaction (api, jobs)",
        strike=at("before_commit", "api", "jobs"),
        api_dies=True,
    ),
    Scenario(
        name="after-commit",
        what="killed after the commit, before anyone is told (api, jobs)",
        strike=at("after_commit", "api", "jobs"),
        api_dies=True,
    ),
    Scenario(
        name="before-answer",
        what="killed before a command's answer is sent",
        strike=at("before_answer", "api"),
        api_dies=True,
    ),
    Scenario(
        name="job-taken",
        what="killed with a job taken",
        strike=at("job_taken", "jobs", hits=8),
    ),
    Scenario(
        name="effect-done",
        what="killed with bytes moved and not recorded (api, jobs)",
        strike=at("effect_done", "api", "jobs"),
        api_dies=True,
    ),
    Scenario(
        name="job-done",
        what="killed with a job's effect recorded and the job not acknowledged",
        strike=at("job_done", "jobs", hits=8),
    ),
    Scenario(
        name="rows-written",
        what="killed with a read model's rows written and its checkpoint not",
        strike=at("rows_written", "projector", hits=12),
    ),
    Scenario(
        name="power-cut",
        what="Postgres, Redis and all workers killed at once",
        strike=power_cut,
        api_dies=True,
    ),
)

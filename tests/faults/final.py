"""The last look, when nothing can still be under way: every purge recorded, no byte left."""

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from tests.faults.checker import Case, Violation, jobs_end, once, stored, whole
from tests.faults.evidence import Work, facts_of, now, objects_of, unfinished
from tests.faults.stage import Outcome
from tests.faults.system import System

LAST_PASS_SECONDS = 170.0
"""A purge's last pass comes two minutes after the completion it follows; then a grace."""
POLL_SECONDS = 2.0
INVARIANTS = {
    "every job ends": jobs_end,
    "objects match files": stored,
    "nothing twice": once,
    "streams are whole": whole,
}


async def final_look(system: System, outcomes: Sequence[Outcome]) -> list[Violation]:
    """Wait for the last passes of all purges; what is wrong with any scenario's files then.

    It is added to what was found of the scenario.
    """
    tenants = [tenant for one in outcomes for tenant in one.evidence.tenants]
    deadline = time.monotonic() + LAST_PASS_SECONDS
    while time.monotonic() < deadline and _due(await unfinished(system, tenants)):
        await asyncio.sleep(POLL_SECONDS)
    all_found = []
    for outcome in outcomes:
        found = []
        last = msgspec.structs.replace(
            outcome.evidence,
            facts=await facts_of(system, outcome.evidence.tenants),
            objects=objects_of(system, outcome.evidence.tenants),
            work=await unfinished(system, outcome.evidence.tenants),
            reachable={},
            taken_at=now(),
        )
        case = Case(last)
        for name, invariant in INVARIANTS.items():
            found += [Violation(name, f"in the end, {what}") for what in invariant(case)]
        for work in _due(last.work):
            what = f"in the end, {work.kind} of {work.stream} ({outcome.scenario}) is not done"
            found.append(Violation("every job ends", what))
        outcome.violations += found
        all_found += found
    return all_found


def _due(work: Sequence[Work]) -> list[Work]:
    """What is to be done by then: a file in the bin stays there for a month."""
    soon = now() + timedelta(seconds=LAST_PASS_SECONDS)
    return [one for one in work if one.not_before is None or one.not_before < soon]

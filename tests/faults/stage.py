"""One scenario on a running system: load, strikes, recovery, evidence."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import msgspec
import psycopg
import redis.exceptions

from adapters.queue_depth import queue_depth
from adapters.settings import DEVELOPMENT_GATEWAY_KEY
from projections.read_models import is_retired
from tests.faults import checker, history
from tests.faults.clients import Client, Crowd
from tests.faults.evidence import (
    Evidence,
    Stored,
    Tail,
    differences,
    facts_of,
    hooks_of,
    journal_of,
    library_of,
    now,
    objects_of,
    order_since,
    reachable,
    unfinished,
)
from tests.faults.life import Life, lives
from tests.faults.system import NAMESPACE, System

RECOVERY_SECONDS = 120.0
"""Until all is done again: the redrive of lost jobs looks every 30 s, a job retries later."""
PAUSE_SECONDS = 0.06
"""Between two things one client does: a load that two cores carry beside all processes."""
STRIKE_SECONDS = 10.0
"""How long a fault may take to hit."""
VOID_ATTEMPTS = 3
"""How often a strike that did not hit is tried again."""
NOT_IN: Mapping[str, tuple[str, ...]] = {
    "ended": ("public", "private"),
    "purged": ("public", "private"),
    "binned": ("public",),
}
"""By state of a file: the buckets that must have been emptied of it."""
LOOKED_AT = 80
"""Public keys that are asked for at the edge."""


class Stage:
    """What a scenario has to work with."""

    def __init__(self, system: System, crowd: Crowd, chance: random.Random, strikes: int) -> None:
        self.system = system
        self.crowd = crowd
        self.chance = chance
        self.strikes = strikes
        self.number = 0
        """Of the strike, from 0."""
        self.armed = ""
        """The process that has been told where to die next."""
        self.armed_since = 0
        """How many deaths there had been."""

    def pick_client(self) -> Client:
        """Any of them. What it does besides must not be of files it uses itself."""
        return self.chance.choice(self.crowd.clients)

    async def rest(self, least: float, most: float) -> None:
        """Let the load go on for a while."""
        await asyncio.sleep(self.chance.uniform(least, most))

    async def sees(self, condition: Callable[[], bool]) -> bool:
        """Whether it comes true while a strike lasts."""
        deadline = time.monotonic() + STRIKE_SECONDS
        while not condition() and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        return condition()

    @contextlib.contextmanager
    def felt(self) -> Iterator[Callable[[], bool]]:
        """Something fails meanwhile; afterwards, whether any request met it."""
        waiting, asked = self.crowd.waiting, self.crowd.asked
        until = asked
        try:
            yield lambda: waiting > 0 or until > asked
        finally:
            until = self.crowd.asked


Act = Callable[[Stage], Awaitable[None]]
Strike = Callable[[Stage], Awaitable[bool]]
"""Whether it hit."""


async def _nothing(_stage: Stage) -> None:
    return


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """A fault, and how it strikes."""

    name: str
    what: str
    strike: Strike
    prepare: Act = _nothing
    heal: Act = _nothing
    api_dies: bool = False
    """Whether clients may lose their connection."""
    pause: float = PAUSE_SECONDS


class Outcome(msgspec.Struct, kw_only=True):
    """How a scenario went."""

    scenario: str
    what: str
    seed: int
    strikes: int
    void: int
    operations: int
    events: int
    recovery_seconds: float
    violations: list[checker.Violation]
    evidence: Evidence
    seconds: float = 0

    @property
    def good(self) -> bool:
        return not self.violations and self.strikes > 0


Progress = Callable[[str, int, int], None]
"""Told the scenario, the strikes that hit, and how many are wanted."""


async def play(
    system: System,
    scenario: Scenario,
    *,
    run: str,
    seed: int,
    strikes: int,
    folder: Path,
    progress: Progress = lambda _name, _done, _wanted: None,
    recovery_seconds: float = RECOVERY_SECONDS,
) -> Outcome:
    """Play it to its end; what was seen, and what was wrong with it."""
    began = time.monotonic()
    folder = folder / f"{run}-{scenario.name}"
    folder.mkdir(parents=True)
    whole_seed = f"{seed} {scenario.name}"
    crowd = Crowd(system, folder, run=run, seed=whole_seed)
    stage = Stage(system, crowd, random.Random(whole_seed), strikes)
    tail = Tail(system)
    await tail.start()
    hits = void = 0
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(crowd.close)
        stack.push_async_callback(tail.stop)
        hooked_from = await stack.enter_async_context(_webhook(system, crowd.tenants[0]))
        crowd.start(pause=scenario.pause)
        await asyncio.sleep(0.5)
        await scenario.prepare(stage)
        for number in range(strikes):
            stage.number = number
            await crowd.until_busy()
            progress(scenario.name, hits, strikes)
            hit = False
            for _ in range(VOID_ATTEMPTS):
                if hit := await scenario.strike(stage):
                    break
                void += 1
            hits += hit
        progress(scenario.name, hits, strikes)
        await scenario.heal(stage)
        await crowd.finish()
        healed = time.monotonic()
        recovered = await _recover(system, crowd, recovery_seconds)
        recovery = time.monotonic() - healed
        await tail.stop()
        evidence = await collect(system, crowd, tail, folder)
        evidence.api_dies = scenario.api_dies
        evidence.recovered = recovered
        evidence.hooked, evidence.hooked_from = crowd.tenants[0], hooked_from
        found = checker.violations(evidence)
        if hits < strikes:
            what = f"{strikes - hits} of {strikes} strikes did not hit: the run is void"
            found.append(checker.Violation("void", what))
    return Outcome(
        scenario=scenario.name,
        what=scenario.what,
        seed=seed,
        strikes=hits,
        void=void,
        operations=sum(entry.kind == "invoke" for entry in evidence.entries),
        events=len(evidence.facts),
        recovery_seconds=recovery,
        violations=found,
        evidence=evidence,
        seconds=time.monotonic() - began,
    )


async def collect(system: System, crowd: Crowd, tail: Tail, folder: Path) -> Evidence:
    """Everything the checker looks at, now that all is quiet."""
    facts = await facts_of(system, crowd.tenants)
    public = [life.key for life in lives(facts).values() if life.is_public and life.key]
    library = {tenant: await library_of(system, tenant) for tenant in crowd.tenants}
    return Evidence(
        tenants=crowd.tenants,
        entries=history.read(folder),
        facts=facts,
        order=await order_since(system, tail.began),
        tail=list(tail.seen),
        differences=await differences(system),
        library={tenant: ids for tenant, (ids, _) in library.items()},
        stats={tenant: stats for tenant, (_, stats) in library.items()},
        objects=objects_of(system, crowd.tenants),
        reachable=await reachable(system, public[-LOOKED_AT:]),
        work=await unfinished(system, crowd.tenants),
        journal=journal_of(system),
        hooks=hooks_of(system, crowd.tenants),
        hooked="",
        hooked_from=0,
        api_dies=False,
        recovered="",
        taken_at=now(),
    )


async def _recover(system: System, crowd: Crowd, seconds: float) -> str:
    """Wait until nothing is left to do; what still was when the time was over."""
    deadline = time.monotonic() + seconds
    with contextlib.suppress(TimeoutError):
        await system.until_ready(seconds)
    while True:
        try:
            left = await _left_to_do(system, crowd)
        except (psycopg.Error, redis.exceptions.RedisError, OSError, httpx.HTTPError) as error:
            left = f"{type(error).__name__}: {error}"
        if not left:
            break
        if time.monotonic() > deadline:
            return f"after {seconds:.0f} s without a hand: {left}"
        await asyncio.sleep(0.5)
    file = await crowd.clients[0].upload(is_public=True)
    return "" if file is not None else "an upload fails although all is well again"


async def _left_to_do(system: System, crowd: Crowd) -> str:
    async with system.sql() as one:
        found = await one.execute(
            "SELECT follower FROM checkpoints"
            " WHERE position < (SELECT max(position) FROM events WHERE owner = ANY (%s))",
            ([f"t:{tenant}" for tenant in crowd.tenants],),
        )
        behind = [name for (name,) in await found.fetchall() if _is_live(name)]
        if behind:
            return f"{behind[0]} is behind"
        waiting = await (
            await one.execute(
                "SELECT count(*) FROM webhook_deliveries"
                " WHERE status = 'waiting' AND owner = ANY (%s)",
                ([f"t:{tenant}" for tenant in crowd.tenants],),
            )
        ).fetchone()
        if waiting and waiting[0]:
            return f"{waiting[0]} webhook deliveries wait"
    if (await queue_depth(system.valkey.url, namespace=NAMESPACE)).ready:
        return "jobs wait in the queue"
    for work in await unfinished(system, crowd.tenants):
        if work.not_before is None and work.failure is None:
            return f"{work.kind} of {work.stream} is not done"
    facts = await facts_of(system, crowd.tenants)
    if left := _left_in_buckets(lives(facts), objects_of(system, crowd.tenants)):
        return left
    subjects = {told.id for told in journal_of(system)}
    for id_, _, _ in checker._announcements(facts):
        if id_ not in subjects:
            return f"the subscriber does not know {id_}"
    return ""


def _left_in_buckets(files: Mapping[str, Life], objects: Sequence[Stored]) -> str:
    there = {(one.bucket, one.key) for one in objects}
    for life in files.values():
        for bucket in NOT_IN.get(life.state, ()):
            if (bucket, life.key) in there:
                return f"{life.stream} is {life.state}, and {bucket} has it"
    of = checker.files_by_stem(files.values())
    for one in objects:
        life_of = of.get(one.key.rpartition("/")[0])
        if life_of is not None and life_of.state != "uploaded":
            return f"{one.key} is still there"
    return ""


def _is_live(follower: str) -> bool:
    """Neither an earlier version of a read model nor one that was being built beside."""
    return not follower.startswith(("rebuild_", "verify_")) and not is_retired(follower)


@asynccontextmanager
async def _webhook(system: System, tenant: str) -> AsyncIterator[int]:
    """A webhook of the workspace, as long as the scenario; where in the log it begins."""
    headers = {
        "x-gateway-key": DEVELOPMENT_GATEWAY_KEY,
        "x-user-id": "user_hooks",
        "x-tenant-id": tenant,
        "x-user-permissions": "media:webhooks.write",
    }
    types = ["media.uploaded", "media.deleted"]
    async with httpx.AsyncClient(base_url=system.api, timeout=20, headers=headers) as http:
        asked = {"url": system.hooks.url(f"/{tenant}"), "eventTypes": types}
        made = await http.post("/webhooks", json=asked)
        made.raise_for_status()
        yield int(made.headers["media-position"])
        with contextlib.suppress(httpx.HTTPError):
            await http.delete(f"/webhooks/{made.json()['id']}")

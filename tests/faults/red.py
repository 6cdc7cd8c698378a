"""The proof that the checker can see: a broken build for each invariant must turn it red."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec

from tests.faults.broken import BROKEN
from tests.faults.stage import Progress, Scenario, Stage, play
from tests.faults.system import System

MODULE = "tests.faults.broken"
LOAD_SECONDS = 4.0
GIVE_UP_SECONDS = 6.0
"""How long a broken service may try to recover: most never do."""


class RedProof(msgspec.Struct, frozen=True):
    """An invariant, and the builds that break it: fault by process."""

    invariant: str
    builds: Mapping[str, str]


PROOFS = (
    RedProof("acknowledged is kept", {"api": "loses"}),
    RedProof("nothing twice", {"api": "repeats"}),
    RedProof("refused did not happen", {"api": "refuses"}),
    RedProof("streams are whole", {"api": "deletes-twice"}),
    RedProof("read your writes", {"api": "does-not-wait", "projector": "lags"}),
    RedProof("pages are stable", {"api": "skips"}),
    RedProof("workspaces are apart", {"api": "opens-doors"}),
    RedProof("objects match files", {"jobs": "keeps-objects"}),
    RedProof("every job ends", {"jobs": "drops-jobs"}),
    RedProof("errors keep shape and deadline", {"api": "loses-envelopes"}),
    RedProof("subscribers are told once", {"publisher": "keeps-silent"}),
    RedProof("recovery needs no hand", {"projector": "dies"}),
    RedProof("one order", {"api": "goes-back"}),
    RedProof("read models equal a replay", {"projector": "forgets-rows"}),
)
"""In an order in which what one leaves behind is not what a later one looks for."""


class Red(msgspec.Struct, frozen=True):
    """What came of a proof."""

    invariant: str
    build: str
    told: str
    """What the checker said; empty when it saw nothing."""


async def prove(
    system: System, proof: RedProof, *, number: int, seed: int, folder: Path, progress: Progress
) -> Red:
    """Run the broken build under load; what the checker says of the invariant."""

    async def break_it(stage: Stage) -> None:
        for name, fault in proof.builds.items():
            stage.system.put_in(name, MODULE, fault)
            await stage.system.restart(name, wait=fault != "dies")

    async def load(_stage: Stage) -> bool:
        await asyncio.sleep(LOAD_SECONDS)
        return True

    # The faults stay in until the evidence is taken: nobody heals a broken build.
    scenario = Scenario(
        name=f"red-{number}",
        what=proof.invariant,
        prepare=break_it,
        strike=load,
        api_dies=True,
        pause=0.03,
    )
    try:
        outcome = await play(
            system,
            scenario,
            run=f"x{number}",
            seed=seed,
            strikes=1,
            folder=folder,
            progress=progress,
            recovery_seconds=GIVE_UP_SECONDS,
        )
    finally:
        for name in proof.builds:
            system.modules.pop(name, None)
            await system.restart(name)
    told = [one.what for one in outcome.violations if one.invariant == proof.invariant]
    builds = ", ".join(
        f"{name}: {(BROKEN[fault].__doc__ or '').rstrip('.')}"
        for name, fault in proof.builds.items()
    )
    return Red(proof.invariant, builds, told[0] if told else "")

"""The short form of `./dev faults`: a few strikes of a few scenarios, and one of the red proofs."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bench.all import ended
from tests.faults.program import BY_NAME, REGRESSIONS, SCENARIOS, regressions
from tests.faults.red import PROOFS, RedProof, prove
from tests.faults.stage import play
from tests.faults.system import System, running_system

pytestmark = [pytest.mark.timeout(600), pytest.mark.long]

SHORT = ("after-commit", "rows-written", "store-forgetting")
STRIKES = 2
PROGRAM_SECONDS = 400
PROVEN = ("acknowledged is kept",)


@pytest.fixture(scope="module")
async def system() -> AsyncIterator[System]:
    async with running_system() as one:
        yield one


@pytest.mark.parametrize("name", SHORT)
async def test_a_few_strikes_break_nothing(system: System, name: str, tmp_path: Path) -> None:
    outcome = await play(
        system,
        BY_NAME[name],
        run=name.replace("-", ""),
        seed=1,
        strikes=STRIKES,
        folder=tmp_path,
    )
    assert outcome.violations == []
    assert outcome.strikes == STRIKES
    assert outcome.operations > 0


@pytest.mark.parametrize(
    "proof", [one for one in PROOFS if one.invariant in PROVEN], ids=lambda one: one.invariant
)
async def test_a_broken_build_turns_the_checker_red(
    system: System, proof: RedProof, tmp_path: Path
) -> None:
    red = await prove(
        system,
        proof,
        number=PROOFS.index(proof),
        seed=1,
        folder=tmp_path,
        progress=lambda _name, _done, _wanted: None,
    )
    assert red.told


async def test_the_program_comes_to_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    asked = ("fifty-completes", "--strikes", "1", "--no-final")
    code = await ended([sys.executable, "-m", "tests.faults", *asked], PROGRAM_SECONDS)
    said = capfd.readouterr().out
    assert code == 0, said
    assert "no invariant was violated" in said


def test_scenarios_have_names_of_their_own_and_every_regression_is_one_of_them() -> None:
    assert len(BY_NAME) == len(SCENARIOS)
    assert {one.scenario for one in regressions()} <= set(BY_NAME)
    assert REGRESSIONS.exists()

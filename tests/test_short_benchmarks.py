"""The short form of each benchmark, so that none is broken when somebody needs a figure."""

import asyncio
import sys

import pytest

from bench.all import LIMITS
from bench.kit import GOAL_MISSED
from tests.kit.up import ROOT

PATIENCE = 3
"""Other tests run on the same processors."""
SHORT = [name for name in LIMITS if name != "suite"]
"""All but the one that runs the tests."""


@pytest.mark.long
@pytest.mark.timeout(PATIENCE * max(LIMITS.values()))
@pytest.mark.parametrize("name", SHORT)
async def test_it_comes_to_its_end(name: str) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", f"bench.{name}", "--quick"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await program.communicate()
    # What is measured beside other tests means nothing.
    assert program.returncode in {0, GOAL_MISSED}, said.decode()

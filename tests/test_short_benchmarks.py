"""The short form of each benchmark, so that none is broken when somebody needs a figure."""

import sys

import pytest

from bench.all import GRACE_SECONDS, LIMITS, ended
from bench.kit import GOAL_MISSED

PATIENCE = 3
"""Other tests run on the same processors."""
SHORT = [name for name in LIMITS if name != "suite"]
"""All but the one that runs the tests."""


@pytest.mark.long
@pytest.mark.timeout(PATIENCE * max(LIMITS.values()) + 2 * GRACE_SECONDS)
@pytest.mark.parametrize("name", SHORT)
async def test_it_comes_to_its_end(name: str) -> None:
    program = [sys.executable, "-m", f"bench.{name}", "--quick"]
    # What is measured beside other tests means nothing.
    assert await ended(program, PATIENCE * LIMITS[name]) in {0, GOAL_MISSED}

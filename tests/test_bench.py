"""The benchmarks are programs a person runs; here only that the one command knows them all."""

import importlib
from pathlib import Path

import pytest

from bench.all import LIMITS

PARTS = {"__init__", "all", "kit", "processes", "http_floor", "http_stand", "delivery_server"}
"""What is no benchmark."""
BOUND_SECONDS = 65 * 60


def test_the_one_command_runs_every_benchmark_and_is_bounded() -> None:
    files = {path.stem for path in (Path(__file__).parents[1] / "bench").glob("*.py")}
    assert files - PARTS == set(LIMITS)
    assert sum(LIMITS.values()) <= BOUND_SECONDS


@pytest.mark.parametrize("name", LIMITS)
def test_each_can_be_started(name: str) -> None:
    assert callable(importlib.import_module(f"bench.{name}").main)

"""The rules of docs/architecture.md that a machine can keep."""

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.postgres_migrations import migration_files
from api.errors import STATUS
from application.jobs import JOBS
from domain import errors, event_catalogue
from domain.errors import MediaError
from domain.event import Event, UnknownEvent
from projections.read_models import READ_MODELS
from workers.jobs import BODIES, check_wiring
from workers.processes import MIGRATE, PROCESSES

ROOT = Path(__file__).parent.parent
PACKAGES = ("domain", "application", "projections", "adapters", "api", "workers")
MAX_LINES = 350
BANNED_NAMES = re.compile(
    r"(^|_)(service|manager|helper|helpers|util|utils|common|core|dto|processor|impl)(_|$)"
)
SOURCES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
EVENTS = [
    event
    for event in Event.__subclasses__()
    if event.__module__.startswith("domain.") and event is not UnknownEvent
]


def refusals(of: type[MediaError] = MediaError) -> Iterator[type[MediaError]]:
    for refusal in of.__subclasses__():
        yield refusal
        yield from refusals(refusal)


def test_imports_keep_to_the_layers() -> None:
    linter = Path(sys.executable).parent / "lint-imports"
    checked = subprocess.run(
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("package", [*PACKAGES, "tests", "bench", "docs"])
def test_our_generic_top_level_names_are_those_of_the_repository(package: str) -> None:
    found = importlib.util.find_spec(package)
    assert found is not None
    assert [Path(place) for place in found.submodule_search_locations or ()] == [ROOT / package]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_collects_more_than_a_reader_can_hold(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= MAX_LINES


def test_no_file_is_named_for_a_drawer() -> None:
    assert [path.name for path in SOURCES if BANNED_NAMES.search(path.stem)] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_settings_read_the_environment(path: Path) -> None:
    names = {
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }
    if path != ROOT / "adapters" / "settings.py":
        assert names.isdisjoint({"environ", "environb", "getenv", "putenv"})


@pytest.mark.parametrize("process", [MIGRATE, *PROCESSES], ids=lambda process: process.name)
def test_every_process_can_be_started_as_a_module(process: object) -> None:
    module = getattr(process, "module")  # noqa: B009 - parametrized by a struct
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    assert 'if __name__ == "__main__":' in source


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.__name__)
def test_every_event_has_a_stored_name_a_sentence_and_a_stored_example(event: type[Event]) -> None:
    assert re.fullmatch(r"[a-z_]+\.[a-z_]+\.v\d+", event.TYPE)
    assert "TYPE" in vars(event)
    assert event.__doc__
    assert (ROOT / "tests" / "stored_events" / f"{event.TYPE}.json").is_file()


def test_no_two_events_share_a_stored_name() -> None:
    assert len({event.TYPE for event in EVENTS}) == len(EVENTS) > 0
    assert set(EVENTS) == set(event_catalogue.EVENTS)


def test_every_refusal_of_the_domain_has_a_status() -> None:
    leaves = {one for one in refusals() if one.__module__ == errors.__name__}
    assert {one.__name__ for one in leaves if not one.__subclasses__()} <= {
        one.__name__ for one in STATUS
    }


def test_every_job_has_exactly_one_body() -> None:
    assert set(BODIES) == set(JOBS)
    check_wiring(BODIES)


def test_every_read_model_has_one_migration_of_its_name() -> None:
    names = [path.stem.split("_", 1)[1] for path in migration_files()]
    for name in READ_MODELS:
        assert names.count(name) == 1

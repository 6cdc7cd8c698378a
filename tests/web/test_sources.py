"""What the tests ask of web/ without a browser."""

import json
import re
from pathlib import Path

import pytest

from workers.dashboard import WEB, run_script

pytestmark = pytest.mark.timeout(300)
LOCK = json.loads((WEB / "package-lock.json").read_text())["packages"]
SOURCES = sorted(path for path in (WEB / "src").rglob("*") if path.suffix in {".ts", ".tsx"})


def test_the_hooks_and_rules_keep_to_their_timing() -> None:
    run_script("test")


def test_the_types_of_the_client_are_those_of_the_api() -> None:
    types = WEB / "src" / "lib" / "api-types.ts"
    before = types.read_text()
    try:
        run_script("types")
        assert types.read_text() == before, "run ./dev docs"
    finally:
        types.write_text(before)


def test_the_lock_pins_every_package_by_its_hash_and_names_no_registry() -> None:
    # Bundled ones come inside another, whose hash covers them.
    packages = {name: one for name, one in LOCK.items() if name and not one.get("inBundle")}
    assert len(packages) > 100
    assert [name for name, package in packages.items() if "integrity" not in package] == []
    assert [name for name, package in packages.items() if "resolved" in package] == []


def test_versions_are_exact() -> None:
    package = json.loads((WEB / "package.json").read_text())
    versions = {**package["dependencies"], **package["devDependencies"]}
    exact = re.compile(r"\d+\.\d+\.\d+")
    assert [name for name in versions if exact.fullmatch(versions[name]) is None] == []


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(WEB)))
def test_no_source_collects_more_than_a_reader_can_hold(path: Path) -> None:
    generated = path.name == "api-types.ts"
    assert generated or len(path.read_text().splitlines()) <= 350

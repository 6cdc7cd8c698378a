"""`./dev`: one command for what developers and operators do. Started by the file `dev`."""

import importlib.util
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

ROOT = Path(__file__).resolve().parent.parent
VERBATIM = Parameter(allow_leading_hyphen=True)

CHECKS = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
    ("codespell",),
    (sys.executable, "-m", "workers.dashboard", "check"),
)
# The files hold the oldest Python's wheels and those of every platform that the servers exist for.
LOCK = ("pip", "compile", "--universal", "--python-version", "3.11", "--generate-hashes", "-q")
LOCKED = {
    "requirements/runtime.txt": ("pyproject.toml",),
    "requirements/tracing.txt": ("pyproject.toml", "--extra", "tracing"),
    "requirements/dev.txt": (
        *("pyproject.toml", "--extra", "embedded", "--extra", "tracing"),
        *("--extra", "check", "--extra", "test"),
    ),
    # By itself, since only a machine without Node.js installs it.
    "requirements/node.txt": ("--group", "node"),
}

app = App(name="./dev", help="Media Service: run it, test it, look into it.", version_flags=[])
OPERATIONS = {
    "operations:log": "Print the event log, or follow it.",
    "operations:projections": "Show where each follower of the log stands, and how far behind.",
    "replays:rebuild": "Build a read model anew beside the live one, then switch.",
    "replays:verify": "Compare read models with what the log makes of them.",
    "reconcile:reconcile": "Compare the bytes in the buckets with the log, and mend on request.",
    "failures:failures": "List the work that failed for good.",
    "failures:retry": "Ask again for work that failed.",
    "rerender:rerender": "Make the variants of a changed preset anew.",
}
for place, text in OPERATIONS.items():
    app.command(f"workers.{place}", name=place.partition(":")[2], help=text)
app.command("workers.backup:backup", name="backup", help="Dump the database into a file.")
app.command("workers.backup:restore_into", name="restore", help="Load a dump into a new home.")


@app.command
def up(
    *,
    home: Annotated[Path, Parameter(help="Folder of the data and of run.json.")] = Path(".media"),
    port: Annotated[int, Parameter(help="Port of the public API.")] = 8789,
    internal_port: Annotated[int, Parameter(help="Port of the internal API.")] = 8790,
    edge_port: Annotated[int, Parameter(help="Port of the upload host and CDN.")] = 8787,
    web_port: Annotated[int, Parameter(help="Port of the dashboard.")] = 3000,
    ephemeral: Annotated[bool, Parameter(help="Keep nothing.", negative=())] = False,
    web: Annotated[bool, Parameter(help="Serve the dashboard.")] = True,
    restart: Annotated[
        bool, Parameter(help="Start a process of ours again when it dies.", negative=())
    ] = False,
) -> int:
    """Run the whole service on embedded servers until Ctrl-C."""
    from workers.ports import Ports  # noqa: PLC0415 - other commands need none of it
    from workers.up import run  # noqa: PLC0415

    ports = Ports(port, internal_port, edge_port, web_port if web else None)
    return run(home, ports, ephemeral=ephemeral, restart=restart)


@app.command(name="test")
def run_tests(
    *arguments: Annotated[str, VERBATIM],
    every: Annotated[bool, Parameter(name="--all", help="All of them.", negative=())] = False,
) -> int:
    """Run the tests but the long ones; --all runs every one, as CI does.

    Long are those of the workers, in a browser and over the whole service, and some others of more
    than a few seconds. Arguments go to pytest; where they name files, all of their tests are run.
    """
    if every or any((ROOT / one.partition("::")[0]).exists() for one in arguments):
        return _call("pytest", "-n", "2", *arguments)
    code = _call("pytest", "-n", "2", "-m", "not long", *arguments)
    print("Without the long ones; `./dev test --all` runs these too.")  # noqa: T201
    return code


@app.command
def check() -> int:
    """Run every check that CI runs: ruff, its format, strict types, import rules, spelling."""
    failed = []
    for command in CHECKS:
        began = time.monotonic()
        print(f"== {Path(command[0]).name} {' '.join(command[1:])}".rstrip(), flush=True)  # noqa: T201
        if _call(*command) != 0:
            failed.append(" ".join(command))
        print(f"   {time.monotonic() - began:.1f} s", flush=True)  # noqa: T201
    verdict = f"failed: {', '.join(failed)}" if failed else "all checks passed"
    print(f"== {verdict}", flush=True)  # noqa: T201
    return 1 if failed else 0


@app.command
def docs() -> int:
    """Write docs/events.md, docs/configuration.md and the types of the dashboard's API client."""
    code = _call(sys.executable, "-m", "docs.generate")
    return code or _call(sys.executable, "-m", "workers.dashboard", "types")


@app.command
def bench(*arguments: Annotated[str, VERBATIM]) -> int:
    """Run one benchmark of bench/, or all: [NAME] [--quick] [--report]."""
    named = bool(arguments) and not arguments[0].startswith("-")
    name, options = (arguments[0], arguments[1:]) if named else ("all", arguments)
    if importlib.util.find_spec(f"bench.{name}") is None:
        files = sorted(path.stem for path in (ROOT / "bench").glob("[a-z]*.py"))
        print("benchmarks:", ", ".join(files))  # noqa: T201
        return 1
    return _call(sys.executable, "-m", f"bench.{name}", *options)


@app.command
def faults(*arguments: Annotated[str, VERBATIM]) -> int:
    """Strike the running service with faults, check what is left; --help lists the scenarios."""
    return _call(sys.executable, "-m", "tests.faults", *arguments)


@app.command
def lock(*arguments: Annotated[str, VERBATIM]) -> int:
    """Pin the newest packages that pyproject.toml allows; needs uv, which nothing else does."""
    if shutil.which("uv") is None:
        print("./dev lock needs uv on the PATH.", file=sys.stderr)  # noqa: T201
        return 1
    for file, sources in LOCKED.items():
        code = _call(
            "uv", *LOCK, "--custom-compile-command", "./dev lock", *sources, *arguments,
            "-o", file,
        )  # fmt: skip
        if code != 0:
            return code
    return 0


def _call(program: str, *arguments: str) -> int:
    """Run a program of our virtual environment, else of the PATH, in the repository's root."""
    own = Path(sys.executable).parent / program
    argv = [str(own) if own.exists() else program, *arguments]
    # Ctrl-C reaches the program itself, which ends in its own way.
    with subprocess.Popen(argv, cwd=ROOT) as process:  # noqa: S603 - what the developer asked for
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def main() -> int:
    """The exit code of the command."""
    try:
        code = app()
    except KeyboardInterrupt:
        return 130
    return code if isinstance(code, int) else 0


if __name__ == "__main__":
    sys.exit(main())

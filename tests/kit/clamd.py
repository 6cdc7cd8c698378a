"""A real clamd for the tests: from the environment, the PATH, or Debian's package, unpacked.

Its database holds one signature, EICAR's, written here: nothing is downloaded but the program.
"""

import asyncio
import contextlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import pytest

from adapters.clamd_scanner import ClamdScanner, ScanLimits
from adapters.embedded import LOOPBACK, free_port
from adapters.scanner_address import ScannerAddress
from adapters.scanner_check import TEST_FILE, ScannerCheck
from adapters.settings import child_environment
from adapters.supervisor import Program, Supervisor, other_user
from tests.kit.servers import background_loop, exclusively, supervised

ROOT = Path(__file__).parents[2]
VARIABLE = "MEDIA_TEST_SCANNER"
NEEDED = "needs clamd"
"""What the reason of a skipped test begins with; counted in the last lines of a run."""
SIGNATURE = "MediaTests.Eicar"
PACKAGE = "clamav-daemon"
START_SECONDS = 60
APT_SECONDS = 120


class Clamd(msgspec.Struct, frozen=True):
    """The program, and where its libraries are when the system does not know them."""

    binary: str
    libraries: str = ""


class NoClamd(Exception):
    """There is none on this machine; the message says why."""


@contextlib.contextmanager
def open_scanner() -> Iterator[str]:
    """`clamd://…`, for as long as the block runs; else why there is none, without that scheme."""
    given = os.environ.get(VARIABLE, "")
    if given:
        yield given
        return
    try:
        clamd = find_clamd()
    except NoClamd as why:
        yield str(why)
        return
    with background_loop() as run:
        stack = contextlib.AsyncExitStack()
        try:
            yield run(stack.enter_async_context(running_clamd(clamd)))
        finally:
            run(stack.aclose())


@contextlib.asynccontextmanager
async def running_clamd(clamd: Clamd, port: int = 0, **changes: str) -> AsyncIterator[str]:
    """A clamd on loopback with the configuration of docs/clamd.conf, changed so; its address."""
    port = port or free_port()
    # Not below pytest's own folder, which another user may not enter.
    with tempfile.TemporaryDirectory(prefix="media-clamd-") as folder:
        home = Path(folder)
        signature = f"{SIGNATURE}:0:*:{TEST_FILE.hex()}\n"
        (home / "tests.ndb").write_text(signature)
        (home / "clamd.conf").write_text(_configuration(home, port, changes))
        user = other_user()
        if user is not None:
            shutil.chown(home, user)
        libraries = {"LD_LIBRARY_PATH": clamd.libraries} if clamd.libraries else {}
        program = Program(
            name="clamd",
            argv=(clamd.binary, f"--config-file={home / 'clamd.conf'}"),
            environment=child_environment(libraries),
            directory=home,
            user=user,
        )
        async with supervised() as supervisor:
            await supervisor.start(program)
            address = f"clamd://{LOOPBACK}:{port}"
            await _until_it_works(supervisor, address)
            yield address


def _configuration(home: Path, port: int, changes: dict[str, str]) -> str:
    """What is deployed, but on loopback, with a database of ours, and as whoever starts it."""
    options = dict(
        line.split(maxsplit=1)
        for line in (ROOT / "docs" / "clamd.conf").read_text().splitlines()
        if line and not line.startswith("#")
    )
    del options["LocalSocket"], options["User"]
    here = {
        "TCPSocket": str(port),
        "TCPAddr": LOOPBACK,
        "DatabaseDirectory": str(home),
        "TemporaryDirectory": str(home),
    }
    return "".join(f"{name} {value}\n" for name, value in (options | here | changes).items())


async def _until_it_works(supervisor: Supervisor, address: str) -> None:
    scanner = ClamdScanner(ScannerAddress.parse(address), ScanLimits(total_seconds=15))
    deadline = time.monotonic() + START_SECONDS
    while (trouble := await ScannerCheck(scanner).find_trouble()) is not None:
        if "clamd" not in supervisor.pids:
            raise await supervisor.ended()
        if time.monotonic() > deadline:
            raise TimeoutError(trouble)
        await asyncio.sleep(0.05)


def find_clamd() -> Clamd:
    """The program of this machine. Raises NoClamd."""
    found = shutil.which("clamd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is not None:
        return Clamd(found)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NoClamd(f"clamd is not installed, and no Debian that has the package {PACKAGE}")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    cache = Path(base) / "media-service-tests"
    cache.mkdir(parents=True, exist_ok=True)
    with exclusively(cache / "clamd.lock"):
        root = cache / "clamd"
        if not root.exists():
            _unpack(cache, root)
    (library,) = list(root.glob("usr/lib/*/libclamav.so.*.*.*"))[:1] or (None,)
    binary = root / "usr/sbin/clamd"
    if library is None or not binary.exists():
        raise NoClamd(f"{root} is no unpacked {PACKAGE}; remove it")
    return Clamd(str(binary), str(library.parent))


def _unpack(cache: Path, root: Path) -> None:
    """Download what an installation would add to this system, and unpack it, as any user."""
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        work = Path(folder)
        for name in ("lists/partial", "archives/partial", "unpacked"):
            (work / name).mkdir(parents=True)
        own = (
            *("-o", f"Dir::Cache={work}", "-o", "Debug::NoLocking=1"),
            *("-o", f"APT::Sandbox::User={_own_name()}"),
        )
        try:
            _download(work, own)
        except NoClamd:
            # The system's lists of packages are missing or too old, and only root renews them.
            lists = (*own, "-o", f"Dir::State::Lists={work / 'lists'}")
            _apt(work, *lists, "update")
            _download(work, lists)
        for package in work.glob("*.deb"):
            _run(work, "dpkg", "-x", str(package), str(work / "unpacked"))
        (work / "unpacked").rename(root)


def _download(work: Path, options: tuple[str, ...]) -> None:
    planned = _apt(work, *options, "install", "-s", "--no-install-recommends", PACKAGE)
    packages = re.findall(r"^Inst (\S+)", planned, re.MULTILINE)
    wanted = [one for one in packages if one.startswith("lib") or one == PACKAGE]
    if PACKAGE not in wanted:
        raise NoClamd(f"apt-get would not install {PACKAGE}")
    _apt(work, *options, "download", *wanted)


def _own_name() -> str:
    """apt hands its downloads to another user, who may not enter our folders."""
    return "root" if os.geteuid() == 0 else ""


def _apt(work: Path, *arguments: str) -> str:
    return _run(work, "apt-get", "-q", *arguments)


def _run(work: Path, program: str, *arguments: str) -> str:
    try:
        ended = subprocess.run(
            [shutil.which(program) or program, *arguments],
            cwd=work,
            check=False,
            capture_output=True,
            text=True,
            timeout=APT_SECONDS,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise NoClamd(f"{program} cannot be run: {error}") from error
    if ended.returncode != 0:
        said = (ended.stderr.strip().splitlines() or ["no reason given"])[0]
        raise NoClamd(f"{program} {arguments[-1]} failed: {said}")
    return ended.stdout


def say_what_was_not_tested(terminal: pytest.TerminalReporter) -> None:
    """The last lines of a run tell of malware tests that did not run, and why."""
    reasons = [
        report.longrepr[2].removeprefix("Skipped: ")
        for report in terminal.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and NEEDED in report.longrepr[2]
    ]
    if reasons:
        terminal.write_line(
            f"{len(reasons)} tests of malware scanning did not run: {reasons[0]}.", yellow=True
        )

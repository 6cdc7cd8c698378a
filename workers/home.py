"""The folder of one `./dev up`: a lock, the secrets made for it, and what it tells others.

Used by `workers/up.py`; `run.json` and `environment` are read by tools and tests.
"""

import contextlib
import fcntl
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

EPHEMERAL = "ephemeral-"


class HomeTaken(Exception):
    """Another `./dev up` runs on this folder; the message says what to do."""


class Secrets(msgspec.Struct, frozen=True):
    """Passwords of the embedded servers, made at the first start."""

    database_password: str
    redis_password: str
    s3_access_key: str
    s3_secret_key: str


class Home(msgspec.Struct, frozen=True):
    """Where this instance says what it is (`place`) and where its data lies (`data`)."""

    place: Path
    data: Path

    def secrets(self) -> Secrets:
        """The kept secrets, made now if there are none."""
        file = self.data / "secrets.json"
        if file.exists():
            return msgspec.json.decode(file.read_bytes(), type=Secrets)
        made = Secrets(*(secrets.token_hex(16) for _ in range(4)))
        _write(file, msgspec.json.encode(made))
        return made

    def metrics_folder(self) -> Path:
        """An empty folder for the numbers of this start's processes."""
        folder = self.data / "metrics"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        return folder

    def announce(self, run: Mapping[str, object], environment: Mapping[str, str]) -> None:
        """Write run.json, and the settings as lines that a shell can read."""
        lines = "".join(f"{name}={shlex.quote(text)}\n" for name, text in environment.items())
        _write(self.place / "environment", lines.encode())
        _write(self.place / "run.json", msgspec.json.format(msgspec.json.encode(run)) + b"\n")

    def withdraw(self) -> None:
        """Nothing runs here any more."""
        for name in ("run.json", "environment"):
            (self.place / name).unlink(missing_ok=True)


@contextlib.contextmanager
def open_home(place: Path, *, ephemeral: bool) -> Iterator[Home]:
    """Hold the folder; an ephemeral instance keeps its data apart and removes it at the end.

    Raises HomeTaken.
    """
    place = place.absolute()
    # As root, PostgreSQL runs as another user, who must get through; secrets are files of 0600.
    place.mkdir(parents=True, exist_ok=True, mode=0o711)
    with (place / "up.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise HomeTaken(
                f"Another ./dev up runs on {place}. Stop it, or start this one with --home DIR "
                "and other ports."
            ) from None
        end_left_over(place)
        for left_over in place.glob(f"{EPHEMERAL}*"):
            shutil.rmtree(left_over, ignore_errors=True)
        data = Path(tempfile.mkdtemp(prefix=EPHEMERAL, dir=place)) if ephemeral else place
        data.chmod(0o711)
        home = Home(place, data)
        try:
            yield home
        finally:
            home.withdraw()
            if ephemeral:
                shutil.rmtree(data, ignore_errors=True)


def end_left_over(place: Path) -> list[int]:
    """Kill what a supervisor that was itself killed left running here; the process ids.

    Where Linux's parent-death signal exists, there is never any.
    """
    try:
        run = msgspec.json.decode((place / "run.json").read_bytes())
        pids = [int(pid) for pid in run["pids"].values()]
    except (OSError, msgspec.DecodeError, KeyError, TypeError, ValueError, AttributeError):
        return []
    ended = [pid for pid in pids if _is_orphan_of(place, pid)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in ended:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        time.sleep(1 if ended else 0)
    return ended


def _is_orphan_of(place: Path, pid: int) -> bool:
    """Whether the process lost its parent and was started for this folder, not just on its id."""
    ps = shutil.which("ps")
    if ps is None:
        return False
    # With E, ps shows the environment too, in which every child of ours finds its home.
    asked = subprocess.run(  # noqa: S603 - a fixed program, and a number
        [ps, "eww", "-o", "ppid=,command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    parent, _, command = asked.stdout.strip().partition(" ")
    return parent == "1" and f"MEDIA_HOME={place}" in command


def _write(file: Path, content: bytes) -> None:
    """Whole or not at all, and only for us."""
    partial = file.with_name(f"{file.name}.new")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_bytes(content)
    partial.replace(file)

"""Child processes that never outlive us: started, watched, stopped in reverse order.

Used by `./dev up` and by the tests' servers.
"""

import asyncio
import contextlib
import ctypes
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

TAIL_LINES = 20
LINE_LIMIT_BYTES = 1024 * 1024

# From linux/prctl.h, linux/securebits.h and linux/capability.h.
PR_SET_PDEATHSIG, PR_SET_SECUREBITS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE = 1, 28, 47, 2
SECBIT_NO_SETUID_FIXUP = 4
CAPABILITY_VERSION_3, CAP_DAC_OVERRIDE = 0x20080522, 1

_LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, and how to end it."""

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL
    """What it gets when we die without stopping it (Linux)."""
    stop_seconds: float = 10.0
    """How long it may take to end before it is killed."""
    user: str | None = None
    """Whom to run as; only root may name another."""


class ProgramFailed(Exception):
    """A program ended that should not have; `tail` holds its last lines."""

    def __init__(self, name: str, code: int, tail: tuple[str, ...]) -> None:
        super().__init__(f"{name} ended with exit code {code}")
        self.name, self.code, self.tail = name, code, tail


class _Child:
    def __init__(self, program: Program, process: asyncio.subprocess.Process) -> None:
        self.program = program
        self.process = process
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.reading: asyncio.Task[None] | None = None
        self.watching: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def code(self) -> int | None:
        return self.process.returncode


class Supervisor:
    """Runs programs; `on_line(name, line)` gets every line they print."""

    def __init__(self, on_line: Callable[[str, str], None]) -> None:
        self._on_line = on_line
        self._children: dict[str, _Child] = {}
        self._ended: asyncio.Queue[ProgramFailed] = asyncio.Queue()
        self._stopping = False

    @property
    def pids(self) -> dict[str, int]:
        """The running children by name, in the order they were started."""
        return {name: child.pid for name, child in self._children.items() if child.code is None}

    async def run(self, program: Program) -> None:
        """Run it to its end. Raises ProgramFailed unless that is 0."""
        child = await self._spawn(program)
        try:
            await _wait(child)
        except BaseException:
            await self._end(child)
            raise
        if child.code != 0:
            raise ProgramFailed(program.name, child.code or 0, tuple(child.tail))

    async def start(self, program: Program) -> int:
        """Start it and keep it; its process id. Its unasked end is reported by `ended`."""
        child = await self._spawn(program)
        self._children.pop(program.name, None)
        self._children[program.name] = child
        child.watching = asyncio.create_task(self._watch(child))
        return child.pid

    async def ended(self) -> ProgramFailed:
        """Wait until a child ends that nobody stopped."""
        return await self._ended.get()

    async def stop(self) -> None:
        """End all, the last started first; each is killed after its `stop_seconds`."""
        self._stopping = True
        for child in reversed(list(self._children.values())):
            await self._end(child)

    def kill(self) -> None:
        """End all at once and hard; `stop` then only collects them."""
        self._stopping = True
        for child in self._children.values():
            if child.code is None:
                _signal_group(child.pid, signal.SIGKILL)

    async def _spawn(self, program: Program) -> _Child:
        try:
            process = await asyncio.create_subprocess_exec(
                *program.argv,
                env=dict(program.environment),
                cwd=program.directory,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                limit=LINE_LIMIT_BYTES,
                start_new_session=True,
                preexec_fn=_before_exec(program),
            )
        except (OSError, subprocess.SubprocessError) as error:
            why = f"it cannot be started: {error}"
            if program.user is not None:
                why += f" (as {program.user}, since we are root; an ordinary user needs no switch)"
            raise ProgramFailed(program.name, 1, (why,)) from error
        child = _Child(program, process)
        child.reading = asyncio.create_task(self._read(child))
        return child

    async def _read(self, child: _Child) -> None:
        stream = child.process.stdout
        assert stream is not None  # noqa: S101 - asked for above
        while True:
            try:
                line = await stream.readline()
            except ValueError:  # longer than LINE_LIMIT_BYTES
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            child.tail.append(text)
            self._on_line(child.program.name, text)

    async def _watch(self, child: _Child) -> None:
        await _wait(child)
        if not self._stopping:
            # What it left running would hold its ports and its data.
            _signal_group(child.pid, signal.SIGKILL)
            name, code = child.program.name, child.code or 0
            await self._ended.put(ProgramFailed(name, code, tuple(child.tail)))

    async def _end(self, child: _Child) -> None:
        if child.code is None:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(child.program.stop_signal)
        try:
            async with asyncio.timeout(child.program.stop_seconds):
                await child.process.wait()
        except TimeoutError:
            pass
        # The whole group: a killed master must not leave its own children.
        _signal_group(child.pid, signal.SIGKILL)
        await _wait(child)
        if child.watching is not None:
            await child.watching


async def _wait(child: _Child) -> None:
    await child.process.wait()
    if child.reading is not None:
        # A grandchild that inherited the pipe could hold it open for ever.
        await asyncio.wait([child.reading], timeout=1.0)
        child.reading.cancel()


def _signal_group(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def other_user() -> str | None:
    """Whom a program runs as that refuses to be root; None when we are not root."""
    return "nobody" if os.geteuid() == 0 else None


def can_reach(user: str, path: Path) -> bool:
    """Whether every folder above the path lets the user through by the rights of others."""
    uid = pwd.getpwnam(user).pw_uid
    for folder in path.resolve().parents:
        status = folder.stat()
        if not status.st_mode & (stat.S_IXUSR if status.st_uid == uid else stat.S_IXOTH):
            return False
    return True


def _before_exec(program: Program) -> Callable[[], None]:
    """What the child does between fork and exec."""
    us = os.getpid()
    account = pwd.getpwnam(program.user) if program.user else None
    paths = (program.directory, Path(program.argv[0]))
    hidden = program.user is not None and not all(can_reach(program.user, p) for p in paths)

    def prepare() -> None:
        if account is not None:
            _become(account.pw_uid, account.pw_gid, keep_reach=hidden)
        if _LIBC is not None:
            _LIBC.prctl(PR_SET_PDEATHSIG, program.death_signal, 0, 0, 0)
            if os.getppid() != us:  # we died before the line above
                os.kill(os.getpid(), signal.SIGKILL)

    return prepare


def _become(uid: int, gid: int, *, keep_reach: bool) -> None:
    """Give root up; `keep_reach` keeps the one right to pass folders such as /root.

    PostgreSQL refuses to be root, but a checkout often lies where only root may look.
    """
    os.setgroups([])
    os.setgid(gid)
    if _LIBC is None or not keep_reach:
        os.setuid(uid)
        return
    # Keeps capabilities over setuid, and lets access(2), which initdb asks, see them.
    _LIBC.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setuid(uid)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    bit = 1 << CAP_DAC_OVERRIDE
    # effective, permitted, inheritable for capabilities 0 to 31, then for 32 to 63
    sets = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if _LIBC.capset(header, sets) != 0:
        raise PermissionError("capset")
    _LIBC.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)

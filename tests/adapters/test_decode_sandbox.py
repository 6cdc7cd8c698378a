"""What the decode sandbox survives, and what its children may do."""

import asyncio
import contextlib
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from adapters import decode_server
from adapters.decode_child import HEAVY_SERVER
from adapters.decode_sandbox import DecodeSandbox
from adapters.decode_verdict import DecodeLimits
from application.ports import Refused, SandboxUnavailable
from tests.kit import hostile_files as hostile
from tests.kit.decoding import Accepted, prove
from tests.kit.hostile_files import GOOD_FILES, HTML
from tests.kit.process_tree import children

MEBIBYTE = 1024 * 1024
LONG_ANIMATIONS = DecodeLimits(cpu_seconds=1, frames=10**6, animation_pixels=10**12)
"""Lets animations in that no machine decodes in a second."""
ENDLESS_ANIMATIONS = DecodeLimits(frames=10**6, animation_pixels=10**12)
"""The same with time for them: whoever looks for their decoder finds it at work."""


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[DecodeSandbox]:
    async with DecodeSandbox() as opened:
        yield opened


async def test_a_fifty_megapixel_picture_is_accepted(sandbox: DecodeSandbox) -> None:
    body = hostile.flat_image(".webp", 8_160, 6_120)
    assert await prove(sandbox, body, "image/webp") == Accepted()


def _child_of(server: int) -> int | None:
    """Of the server itself, or of its heavy server, once that one is there."""
    names = {child: _name(child) for child in children(server)}
    heavy = [child for child, name in names.items() if name == HEAVY_SERVER]
    if not heavy:
        return None
    found = [*(child for child in names if child not in heavy), *children(heavy[0])]
    return found[0] if found else None


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def _children_at_work(sandbox: DecodeSandbox) -> list[int]:
    async with asyncio.timeout(60):
        while True:
            found = [child for pid in sandbox.pids if (child := _child_of(pid))]
            if found:
                return found
            await asyncio.sleep(0.002)


async def _gone(pid: int) -> None:
    """Wait until the process has ended; whoever inherits an orphan may reap it late."""
    while _state(pid) not in {"gone", "Z"}:
        await asyncio.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except OSError:
        return "gone"


async def _servers_ready(sandbox: DecodeSandbox, count: int) -> None:
    async with asyncio.timeout(60):
        while len(sandbox.pids) != count:
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def stopped_decode(sandbox: DecodeSandbox) -> AsyncIterator[tuple[int, asyncio.Task[object]]]:
    """A file in the middle of its decoding, the child halted."""
    body = hostile.flat_image(".png", 6_000, 6_000)
    work: asyncio.Task[object] = asyncio.ensure_future(prove(sandbox, body, "image/png"))
    (child,) = await _children_at_work(sandbox)
    os.kill(child, signal.SIGSTOP)
    try:
        yield child, work
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGCONT)
        await asyncio.wait([work])


@pytest.mark.long
async def test_a_decoder_that_hangs_is_killed_and_only_its_file_fails() -> None:
    limits = DecodeLimits(wall_seconds=5)
    async with DecodeSandbox(servers=2, limits=limits) as sandbox:
        async with stopped_decode(sandbox) as (child, work):
            body = GOOD_FILES["image/jpeg"]()
            proofs = [await prove(sandbox, body, "image/jpeg") for _ in range(5)]
            assert proofs == [Accepted()] * 5
            proof = await work
        assert isinstance(proof, Refused)
        assert proof.reason == "time"
        await _gone(child)
        await _servers_ready(sandbox, 2)
        assert await prove(sandbox, body, "image/jpeg") == Accepted()


async def test_a_decoder_that_crashes_fails_its_file_alone() -> None:
    async with DecodeSandbox(servers=1) as sandbox:
        async with stopped_decode(sandbox) as (child, work):
            os.kill(child, signal.SIGSEGV)
            os.kill(child, signal.SIGCONT)
            proof = await work
        assert proof == Refused("crash", "The decoder crashed over the file.")
        assert await prove(sandbox, GOOD_FILES["image/gif"](), "image/gif") == Accepted()


async def test_a_file_whose_decoder_is_killed_by_hand_is_tried_again() -> None:
    async with DecodeSandbox(servers=1) as sandbox:
        (server,) = sandbox.pids
        async with stopped_decode(sandbox) as (child, work):
            os.kill(child, signal.SIGKILL)
            assert await work == Accepted()
        assert server not in sandbox.pids


async def test_a_file_whose_decoder_was_killed_is_tried_again() -> None:
    async with DecodeSandbox(servers=1) as sandbox:
        body = hostile.flat_image(".png", 6_000, 6_000)
        work = asyncio.ensure_future(prove(sandbox, body, "image/png"))
        (child,) = await _children_at_work(sandbox)
        os.kill(child, signal.SIGKILL)
        proof = await work
    assert not isinstance(proof, Refused)


async def test_a_file_whose_decoder_is_killed_each_time_is_refused_in_the_end() -> None:
    # What a kernel does that has no memory left for the file.
    async with DecodeSandbox(servers=1, limits=ENDLESS_ANIMATIONS) as sandbox:
        body = hostile.gif_of_frames(4_900, 2_000)
        work = asyncio.ensure_future(prove(sandbox, body, "image/gif"))
        killed: set[int] = set()
        while not work.done():
            for server in sandbox.pids:
                child = _child_of(server)
                if child is not None and child not in killed:
                    os.kill(child, signal.SIGKILL)
                    killed.add(child)
            await asyncio.sleep(0.002)
        verdict = await work
        assert isinstance(verdict, Refused)
        assert verdict.reason == "memory"
        assert len(killed) == 3
        assert await prove(sandbox, GOOD_FILES["image/png"](), "image/png") == Accepted()


async def test_a_file_whose_fork_server_is_killed_each_time_can_be_tried_again() -> None:
    async with DecodeSandbox(servers=1, limits=ENDLESS_ANIMATIONS) as sandbox:
        body = hostile.gif_of_frames(4_900, 2_000)
        work = asyncio.ensure_future(prove(sandbox, body, "image/gif"))
        while not work.done():
            for server in sandbox.pids:
                if _child_of(server) is not None:
                    os.kill(server, signal.SIGKILL)
            await asyncio.sleep(0.002)
        with pytest.raises(SandboxUnavailable):
            await work


async def test_servers_are_started_by_the_first_file_that_needs_them() -> None:
    sandbox = DecodeSandbox(servers=2)
    sandbox.start_when_needed()
    try:
        assert not sandbox.pids
        assert await prove(sandbox, GOOD_FILES["image/png"](), "image/png") == Accepted()
        assert len(sandbox.pids) == 1
    finally:
        await sandbox.close()
    assert not sandbox.pids


async def test_a_killed_fork_server_is_replaced() -> None:
    async with DecodeSandbox(servers=1) as sandbox:
        (server,) = sandbox.pids
        os.kill(server, signal.SIGKILL)
        assert await prove(sandbox, GOOD_FILES["image/png"](), "image/png") == Accepted()
        assert server not in sandbox.pids


async def test_a_decoder_that_computes_too_long_is_ended_by_the_kernel() -> None:
    async with DecodeSandbox(servers=1, limits=LONG_ANIMATIONS) as sandbox:
        proof = await prove(sandbox, hostile.gif_of_frames(4_900, 2_000), "image/gif")
        assert isinstance(proof, Refused)
        assert proof.reason == "time"
        assert await prove(sandbox, GOOD_FILES["image/png"](), "image/png") == Accepted()


async def test_a_decoder_that_wants_too_much_memory_gets_none() -> None:
    body = hostile.flat_image(".webp", 8_160, 6_120)
    limits = DecodeLimits(memory_bytes=150 * MEBIBYTE)
    async with DecodeSandbox(servers=1, limits=limits) as sandbox:
        proof = await prove(sandbox, body, "image/webp")
        assert isinstance(proof, Refused)
        assert proof.reason in {"memory", "crash", "damaged"}
        assert await prove(sandbox, GOOD_FILES["image/webp"](), "image/webp") == Accepted()


async def test_a_caller_who_gives_up_leaves_no_decoder_behind() -> None:
    async with DecodeSandbox(servers=1) as sandbox:
        async with stopped_decode(sandbox) as (child, work):
            work.cancel()
            await asyncio.wait([work])
        await _gone(child)
        assert await prove(sandbox, GOOD_FILES["image/png"](), "image/png") == Accepted()


async def test_closing_ends_every_process_and_the_files_at_work_can_be_tried_again() -> None:
    sandbox = DecodeSandbox(servers=1)
    async with sandbox:
        (server,) = sandbox.pids
        body = hostile.flat_image(".png", 6_000, 6_000)
        work = asyncio.ensure_future(prove(sandbox, body, "image/png"))
        (child,) = await _children_at_work(sandbox)
    with pytest.raises(SandboxUnavailable):
        await work
    await _gone(server)
    await _gone(child)
    with pytest.raises(SandboxUnavailable):
        await prove(sandbox, body, "image/png")


async def test_decoders_that_cannot_start_accept_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(SandboxUnavailable):
        await DecodeSandbox().__aenter__()
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SandboxUnavailable):
        await DecodeSandbox().__aenter__()


async def test_two_hundred_good_files_pass_while_poisoned_ones_are_killed() -> None:
    slow = hostile.gif_of_frames(4_900, 2_000)
    kinds = ["image/jpeg", "image/png", "image/gif", "application/pdf"]
    files = [kinds[number % len(kinds)] for number in range(200)]
    async with DecodeSandbox(servers=3, limits=LONG_ANIMATIONS) as sandbox:
        poisoned = [asyncio.ensure_future(prove(sandbox, slow, "image/gif")) for _ in range(2)]
        proofs = await asyncio.gather(*(prove(sandbox, GOOD_FILES[m](), m) for m in files))
        refusals = await asyncio.gather(*poisoned)
    assert proofs == [Accepted()] * 200
    assert {r.reason for r in refusals if isinstance(r, Refused)} == {"time"}


async def test_the_parent_holds_no_more_after_hundreds_of_files(sandbox: DecodeSandbox) -> None:
    body = GOOD_FILES["image/jpeg"]()
    bomb = hostile.png_bomb()

    async def many() -> None:
        await asyncio.gather(*(prove(sandbox, body + HTML, "image/jpeg") for _ in range(10)))

    # Which starts every server.
    await many()
    descriptors = _descriptors()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(12):
        await many()
        assert isinstance(await prove(sandbox, bomb, "image/png"), Refused)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 20 * 1024, f"{grown} KiB"
    assert _descriptors() <= descriptors


async def test_two_files_are_decoded_at_once() -> None:
    halted: set[int] = set()
    async with DecodeSandbox(servers=2) as sandbox:
        body = hostile.flat_image(".png", 6_000, 6_000)
        work = [asyncio.ensure_future(prove(sandbox, body, "image/png")) for _ in range(2)]
        async with asyncio.timeout(40):
            # The first is halted, or it might have ended before the other has begun.
            while len(halted) < 2:
                for child in set(await _children_at_work(sandbox)) - halted:
                    os.kill(child, signal.SIGSTOP)
                    halted.add(child)
                await asyncio.sleep(0.002)
        for child in halted:
            os.kill(child, signal.SIGCONT)
        assert await asyncio.gather(*work) == [Accepted()] * 2


async def test_the_decoder_sees_no_setting_of_ours_and_holds_no_privilege(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MEDIA_S3_SECRET_KEY", "the-secret-of-the-bucket")
    async with DecodeSandbox(servers=1) as sandbox:
        (server,) = sandbox.pids
        environment = _seen_of(server, "environ")
        body = hostile.flat_image(".png", 6_000, 6_000)
        work = asyncio.ensure_future(prove(sandbox, body, "image/png"))
        (child,) = await _children_at_work(sandbox)
        status = limits = volunteers = ""
        while "Seccomp:\t2" not in status and not work.done():
            await asyncio.sleep(0.002)
            with contextlib.suppress(OSError):
                status, limits = _seen_of(child, "status"), _seen_of(child, "limits")
                volunteers = _seen_of(child, "oom_score_adj")
        assert await work == Accepted()
    assert "the-secret" not in environment
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert lines["NoNewPrivs"].strip() == "1"
    assert lines["Seccomp"].strip() == "2"
    assert int(lines["CapEff"], 16) == 0
    assert lines["Uid"].split()[1] != "0"
    assert "Max file size             0 " in limits
    # Without memory the kernel ends the decoder, and not the service.
    assert volunteers.strip() == "1000"


def _seen_of(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


OWNER = """
import asyncio, sys
from adapters.decode_sandbox import DecodeSandbox
async def main():
    async with DecodeSandbox(servers=1) as sandbox:
        print(*sandbox.pids, flush=True)
        await asyncio.sleep(600)
asyncio.run(main())
"""


async def test_a_killed_parent_leaves_no_decoder_behind() -> None:
    owner = await asyncio.create_subprocess_exec(
        sys.executable, "-c", OWNER, cwd=decode_server.ROOT, stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    server = int(await owner.stdout.readline())
    owner.kill()
    await owner.wait()
    await _gone(server)


JAILED = """
import os, socket, subprocess, sys, threading
from adapters import decode_jail
from adapters.decode_verdict import DecodeLimits
decode_jail.limit(DecodeLimits())
decode_jail.lock(os.getppid())
def tried(act):
    try:
        act()
    except (OSError, RuntimeError):
        return "no"
    return "yes"
answers = [
    tried(lambda: open("/etc/hostname")),
    tried(lambda: socket.socket()),
    tried(os.fork),
    tried(lambda: os.execv("/bin/true", ["true"])),
    tried(lambda: os.kill(os.getppid(), 0)),
    tried(lambda: os.unlink("/tmp/no-such-file")),
    tried(lambda: threading.Thread(target=int).start()),
]
os.write(1, " ".join(answers).encode())
"""


def test_the_jail_has_neither_files_nor_network_nor_processes_but_has_threads() -> None:
    run = subprocess.run(
        [sys.executable, "-c", JAILED], capture_output=True, check=True, timeout=30,
        cwd=decode_server.ROOT,
    )  # fmt: skip
    assert run.stdout.split() == [b"no"] * 6 + [b"yes"]


ELSEWHERE = """
import asyncio
from adapters.decode_sandbox import DecodeSandbox
async def main():
    async with DecodeSandbox(servers=1):
        print("started")
asyncio.run(main())
"""


def test_the_decoder_finds_its_packages_where_only_the_environment_names_them() -> None:
    # As in our image: the packages stand beside the interpreter's own.
    packages = str(Path(msgspec.__file__).parents[1])
    interpreter = os.path.realpath(sys.executable)
    run = subprocess.run(
        [interpreter, "-c", ELSEWHERE], capture_output=True, check=True, timeout=60,
        cwd=decode_server.ROOT, env={"PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert run.stdout.split() == [b"started"]

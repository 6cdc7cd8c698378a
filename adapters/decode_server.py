"""The parent's side of one `decode_child` process: start it, hand it a file, believe little.

Used by `adapters/decode_sandbox.py`, which keeps a few of them.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess  # starts our own module, with no shell
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from adapters.decode_answers import hear_report, receive, receive_frame
from adapters.decode_verdict import (
    REASONS,
    STATUS_BYTES,
    DecodeLimits,
    Greeting,
    Question,
    Verdict,
    asked_of,
    drawing_limit,
    frame,
)
from adapters.scratch_file import ScratchFile
from application.ports import Accepted, Refused, SandboxUnavailable
from application.rendering import Order, Rendered
from domain.metadata import REMOVABLE, MetadataPolicy

T = TypeVar("T")
Hear = Callable[[socket.socket, Question], Awaitable[T | None]]
"""Takes a child's answer; None when it is none."""

START_SECONDS = 30.0
"""A fork server loads its decoders in 0.3 s; a busy machine may need a hundred times as long."""
STATUS_SECONDS = 5.0
ANSWER_BYTES = 4096
PART_BYTES = 1 << 18
DETAIL_CHARACTERS = 200
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    # A child lives for one file: memory that comes in large pages and is not given back meanwhile
    # saves it a tenth of its time, which went into page faults (docs/figures/README.md).
    "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TOP_PAD_": str(16 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "PYTHONDONTWRITEBYTECODE": "1",
    "VIPS_BLOCK_UNTRUSTED": "1",
    "VIPS_CONCURRENCY": "1",
    # libvips unpacks larger pictures into a file otherwise, and a child can write none.
    "VIPS_DISC_THRESHOLD": "8g",
}
"""All that a child sees; none of our settings, so none of our secrets."""

OUTCOMES: Mapping[int, tuple[str, str]] = {
    signal.SIGXCPU: ("time", "Decoding takes longer than is allowed."),
    signal.SIGABRT: ("crash", "The decoder gave up on the file."),
    signal.SIGTRAP: ("crash", "The decoder gave up on the file."),
}


class Interrupted(Exception):
    """The fork server went away, through no fault of the file."""


class ChildKilled(Interrupted):
    """Somebody killed the child of the file: the kernel, out of memory, or an operator."""


class ForkServer:
    """One `decode_child` process, the head of a process group, and the socket it listens on."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(0)
        # Not in a thread: the child dies with the thread that started it.
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "adapters.decode_child"],
                cwd=ROOT,
                # The packages may stand where only our own environment says.
                env={**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            self._control.close()
            raise SandboxUnavailable(f"The decoder does not start: {error}") from error
        finally:
            theirs.close()

    @property
    def pid(self) -> int:
        """Of the fork server and of its process group."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    async def greet(self) -> None:
        """Wait until the decoders are loaded. Raises SandboxUnavailable."""
        try:
            async with asyncio.timeout(START_SECONDS):
                greeting = msgspec.msgpack.decode(
                    await receive_frame(self._control, ANSWER_BYTES), type=Greeting
                )
        except (OSError, TimeoutError, msgspec.MsgspecError) as error:
            raise SandboxUnavailable("The decoder does not start.") from error
        if greeting.trouble is not None:
            raise SandboxUnavailable(f"The decoder does not start: {greeting.trouble}")

    async def prove(
        self,
        file: ScratchFile,
        mime_type: str,
        limits: DecodeLimits,
        metadata: MetadataPolicy = "keep",
    ) -> Accepted | Refused:
        """Have one file decoded, and rewritten where that is called for.

        Raises OSError or Interrupted when server or child go away; the file is untouched then.
        """
        question = Question(mime_type, file.size, limits, metadata)
        with contextlib.ExitStack() as kept:
            answer, status = await self._ask(file, question, partial(_hear_verdict, kept=kept))
            return _outcome(answer, status, file)

    async def carry_out(
        self, file: ScratchFile, order: Order, limits: DecodeLimits
    ) -> Rendered | Refused:
        """Have pictures made of one file. Raises OSError or Interrupted, as `prove` does."""
        question = Question(order.mime_type, file.size, limits, order=order)

        async def hear(child: socket.socket, _question: Question) -> Rendered | Refused | None:
            return await hear_report(child, order)

        answer: Rendered | Refused | None
        answer, status = await self._ask(file, question, hear)
        if answer is None or status != 0:
            return _ended(status)
        if isinstance(answer, Refused):
            return _named(answer.reason, answer.detail)
        return answer

    async def _ask(
        self, file: ScratchFile, question: Question, hear: Hear[T]
    ) -> tuple[T | None, int]:
        """What a child of this server's answers, None when that is nothing, and how it ended."""
        child = self._hand_over(file, asked_of(question))
        answer: T | None = None
        with contextlib.closing(child), contextlib.suppress(ConnectionError):
            await asyncio.get_running_loop().sock_sendall(child, frame(question))
            answer = await hear(child, question)
        # Without an answer the child has closed its end, so the status comes at once.
        async with asyncio.timeout(None if answer is None else STATUS_SECONDS):
            status = await receive(self._control, STATUS_BYTES)
        return answer, int.from_bytes(status, "big", signed=True)

    def _hand_over(self, file: ScratchFile, asked: bytes) -> socket.socket:
        """A connection to a child of this server that exists for this file alone."""
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        try:
            socket.send_fds(self._control, [asked], [theirs.fileno(), file.descriptor])
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return ours

    def kill(self) -> None:
        """Kill the server and the child of the file it is at."""
        # Until it is reaped nobody else can have the number.
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def reap(self) -> None:
        """Wait for the end of the killed server; nobody may be waiting on its socket any more."""
        while self._process.poll() is None:  # noqa: ASYNC110 - no event tells of it on all systems
            await asyncio.sleep(0.005)
        self._control.close()


async def _hear_verdict(
    child: socket.socket, question: Question, *, kept: contextlib.ExitStack
) -> tuple[Verdict, ScratchFile | None] | None:
    """The child's verdict, and what may follow it: the bytes to be served in the file's place."""
    answer = await receive_frame(child, ANSWER_BYTES)
    try:
        verdict = msgspec.msgpack.decode(answer, type=Verdict)
    except msgspec.MsgspecError:
        return None
    if verdict.drawing_bytes is None:
        return verdict, None
    if not 0 < verdict.drawing_bytes <= drawing_limit(question.size):
        return None
    drawing = kept.enter_context(ScratchFile())
    while drawing.size < verdict.drawing_bytes:
        most = min(PART_BYTES, verdict.drawing_bytes - drawing.size)
        await drawing.append(await receive(child, most))
    return verdict, drawing


def _outcome(
    answer: tuple[Verdict, ScratchFile | None] | None, status: int, file: ScratchFile
) -> Accepted | Refused:
    """What the child's answer and end mean; the child may have been taken over by the file."""
    if answer is None or status != 0:
        return _ended(status)
    verdict, drawing = answer
    if verdict.reason is not None:
        return _named(verdict.reason, verdict.detail)
    if drawing is not None:
        file.exchange(drawing)
    elif verdict.keep == file.size:
        return Accepted(file.size)
    elif 0 < verdict.keep < file.size:
        file.cut(verdict.keep)
    else:
        return Refused("crash", "The decoder gave no proper answer.")
    file.rewind()
    removed = tuple(place for place in verdict.removed if place in REMOVABLE)
    return Accepted(file.size, file.body, removed)


def _ended(status: int) -> Refused:
    """What a child's end without a good answer says of its file."""
    if status == -signal.SIGKILL:
        raise ChildKilled
    reason, detail = OUTCOMES.get(-status, ("crash", "The decoder crashed over the file."))
    return Refused(reason, detail)


def _named(reason: str, detail: str) -> Refused:
    return Refused(reason if reason in REASONS else "crash", _sentence(detail))


def _sentence(text: str) -> str:
    printable = "".join(character for character in text if character.isprintable())
    return printable[:DETAIL_CHARACTERS]

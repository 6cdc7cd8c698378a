"""Proves that a file is what it is declared to be, by decoding it in a jailed child process.

The parent parses nothing of the file: it hands the bytes over, waits a bounded time for a bounded
answer, and kills. Used by the verification of completed uploads and ingested files.
"""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess  # starts our own module, with no shell
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import msgspec

from adapters.decode_verdict import (
    FRAME_LENGTH_BYTES,
    REASONS,
    STATUS_BYTES,
    DecodeLimits,
    Greeting,
    Question,
    Verdict,
    drawing_limit,
    frame,
)

START_SECONDS = 30.0
"""A fork server loads its decoders in 0.3 s; a busy machine may need a hundred times as long."""
STATUS_SECONDS = 5.0
QUEUE_SECONDS = 60.0
"""How long a file waits for a free server before the caller is told to come again."""
ANSWER_OVERHEAD_BYTES = 4096
DETAIL_CHARACTERS = 200
ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "MALLOC_ARENA_MAX": "1",
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


class Accepted(msgspec.Struct, frozen=True):
    """The file was decoded to its end."""

    rewritten: bytes | None = None
    """What is to be stored in its place; None: the bytes as they are."""


class Refused(msgspec.Struct, frozen=True):
    """The file is not to be served."""

    reason: str
    """One of `decode_verdict.Reason`."""
    detail: str
    """A sentence for the event and the caller; at most 200 printable characters."""


Proof = Accepted | Refused


class SandboxUnavailable(Exception):
    """The sandbox could not look at the file, which says nothing about it: try again."""


class _Interrupted(Exception):
    """The fork server or its child went away, through no fault of the file."""


class DecodeSandbox:
    """A few fork servers, each at one file at a time. Belongs to one event loop."""

    def __init__(self, *, servers: int = 2, limits: DecodeLimits | None = None) -> None:
        self._limits = limits or DecodeLimits()
        self._size = servers
        self._free: asyncio.Queue[_ForkServer | None] = asyncio.Queue()
        self._running: set[_ForkServer] = set()
        self._restarts: set[asyncio.Task[None]] = set()
        self._places = 0
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start the fork servers. Raises SandboxUnavailable if the decoders do not load."""
        try:
            for _ in range(self._size):
                self._free.put_nowait(await self._start())
                self._places += 1
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """End them."""
        await self.close()

    async def close(self) -> None:
        """Kill every server; files still at work raise SandboxUnavailable."""
        self._closed = True
        for server in self._running:
            server.kill()
        while self._places:
            await self._free.get()
            self._places -= 1
        for server in tuple(self._running):
            await self._stop(server)

    @property
    def pids(self) -> tuple[int, ...]:
        """The fork servers now running, for operators and tests."""
        return tuple(server.pid for server in self._running)

    async def prove(self, body: bytes, mime_type: str) -> Proof:
        """Decode the whole file by its declared type. Raises SandboxUnavailable."""
        try:
            return await self._prove_once(body, mime_type)
        except _Interrupted:
            pass
        try:
            return await self._prove_once(body, mime_type)
        except _Interrupted as error:
            raise SandboxUnavailable("The decoder was killed twice from outside.") from error

    async def _prove_once(self, body: bytes, mime_type: str) -> Proof:
        server = await self._take()
        usable = False
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                proof = await server.prove(body, mime_type, self._limits)
            usable = True
        except TimeoutError:
            return Refused("time", "Decoding takes longer than is allowed.")
        except OSError as error:
            raise _Interrupted from error
        else:
            return proof
        finally:
            self._give_back(server, usable=usable)

    async def _take(self) -> "_ForkServer":
        self._check_open()
        try:
            async with asyncio.timeout(QUEUE_SECONDS if self._places else 0):
                server = await self._free.get()
        except TimeoutError:
            raise SandboxUnavailable("No decoder became free in time.") from None
        if server is not None and server.is_alive and not self._closed:
            return server
        try:
            self._check_open()
            if server is not None:
                await self._stop(server)
            return await self._start()
        except BaseException:
            # An empty place: whoever takes it tries to start a server again.
            self._free.put_nowait(None)
            raise

    def _check_open(self) -> None:
        if self._closed:
            raise SandboxUnavailable("The sandbox is closed.")

    def _give_back(self, server: "_ForkServer", *, usable: bool) -> None:
        if usable:
            self._free.put_nowait(server)
            return
        server.kill()
        restart = asyncio.ensure_future(self._replace(server))
        self._restarts.add(restart)
        restart.add_done_callback(self._restarts.discard)

    async def _replace(self, server: "_ForkServer") -> None:
        fresh = None
        try:
            await self._stop(server)
            fresh = None if self._closed else await self._start()
        except SandboxUnavailable:
            fresh = None
        finally:
            self._free.put_nowait(fresh)

    async def _start(self) -> "_ForkServer":
        server = _ForkServer()
        self._running.add(server)
        try:
            await server.greet()
        except BaseException:
            await self._stop(server)
            raise
        return server

    async def _stop(self, server: "_ForkServer") -> None:
        server.kill()
        self._running.discard(server)
        await server.reap()


class _ForkServer:
    """One `decode_child` process, the head of a process group, and the socket it listens on."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair()
        self._control.settimeout(0)
        # Not in a thread: the child dies with the thread that started it.
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "adapters.decode_child"],
                cwd=ROOT,
                env=ENVIRONMENT,
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
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def greet(self) -> None:
        """Wait until the decoders are loaded. Raises SandboxUnavailable."""
        try:
            async with asyncio.timeout(START_SECONDS):
                greeting = msgspec.msgpack.decode(
                    await _receive_frame(self._control, ANSWER_OVERHEAD_BYTES), type=Greeting
                )
        except (OSError, TimeoutError, msgspec.MsgspecError) as error:
            raise SandboxUnavailable("The decoder does not start.") from error
        if greeting.trouble is not None:
            raise SandboxUnavailable(f"The decoder does not start: {greeting.trouble}")

    async def prove(self, body: bytes, mime_type: str, limits: DecodeLimits) -> Proof:
        """Have one file decoded. Raises OSError or _Interrupted when server or child go away."""
        verdict: Verdict | None = None
        with contextlib.closing(self._hand_over()) as child, contextlib.suppress(ConnectionError):
            verdict = await _converse(child, body, mime_type, limits)
        # Without a verdict the child has closed its end, so the status comes at once.
        async with asyncio.timeout(None if verdict is None else STATUS_SECONDS):
            status = await _receive(self._control, STATUS_BYTES)
        return _proof(verdict, int.from_bytes(status, "big", signed=True), body)

    def _hand_over(self) -> socket.socket:
        """A connection to a child of this server that exists for it alone."""
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        try:
            socket.send_fds(self._control, [b"f"], [theirs.fileno()])
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


async def _converse(
    child: socket.socket, body: bytes, mime_type: str, limits: DecodeLimits
) -> Verdict | None:
    loop = asyncio.get_running_loop()
    question = Question(mime_type=mime_type, size=len(body), limits=limits)
    await loop.sock_sendall(child, frame(question))
    if body:  # the child of an empty file may have answered and gone
        await loop.sock_sendall(child, body)
    answer = await _receive_frame(child, drawing_limit(len(body)) + ANSWER_OVERHEAD_BYTES)
    try:
        return msgspec.msgpack.decode(answer, type=Verdict)
    except msgspec.MsgspecError:
        return None


def _proof(verdict: Verdict | None, status: int, body: bytes) -> Proof:
    """What the child's answer and end mean; the child may have been taken over by the file."""
    if verdict is None or status != 0:
        if status == -signal.SIGKILL:
            raise _Interrupted
        reason, detail = OUTCOMES.get(-status, ("crash", "The decoder crashed over the file."))
        return Refused(reason, detail)
    if verdict.reason is not None:
        known = verdict.reason in REASONS
        return Refused(verdict.reason if known else "crash", _sentence(verdict.detail))
    if verdict.drawing is not None:
        return Accepted(None if verdict.drawing == body else verdict.drawing)
    if not 0 < verdict.keep <= len(body):
        return Refused("crash", "The decoder gave no proper answer.")
    return Accepted(None if verdict.keep == len(body) else body[: verdict.keep])


def _sentence(text: str) -> str:
    printable = "".join(character for character in text if character.isprintable())
    return printable[:DETAIL_CHARACTERS]


async def _receive_frame(connection: socket.socket, most: int) -> bytes:
    length = int.from_bytes(await _receive(connection, FRAME_LENGTH_BYTES), "big")
    if length > most:
        raise ConnectionError("the answer is longer than any can be")
    return await _receive(connection, length)


async def _receive(connection: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    parts = bytearray()
    while len(parts) < size:
        part = await loop.sock_recv(connection, min(size - len(parts), 1 << 18))
        if not part:
            raise ConnectionError("the child is gone")
        parts += part
    return bytes(parts)

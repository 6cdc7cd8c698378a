"""The HTTP server that a deploy takes no request from: it drains what is connected before it ends.

Whoever got through to it is answered; whoever did not is refused before anything was sent, which
says clearly that nothing has happened (RFC 9112, section 9.6, on how a connection should end).
"""

import asyncio
import contextlib
import ctypes
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator

import uvicorn

FIRST_REQUEST_SECONDS = 3.0
"""How long whoever is connected may take to send a request, once the process was told to end."""
HANDSHAKE_SECONDS = 0.25
"""How long a handshake that has begun may take: a round trip on a network of any kind."""
POLL_SECONDS = 0.02

SO_ATTACH_FILTER = 26
TCP_FLAGS, SYN, ACK = 13, 0x02, 0x10
ONLY_SYN = ctypes.create_string_buffer(
    b"".join(
        struct.pack("HBBI", *line)
        for line in (
            (0x30, 0, 0, TCP_FLAGS),  # A = byte [13] of the TCP header
            (0x54, 0, 0, SYN | ACK),  # A &= SYN | ACK
            (0x15, 0, 1, SYN),  # A == SYN ?
            (0x06, 0, 0, 0),  # then drop it
            (0x06, 0, 0, 0xFFFFFFFF),  # else take it
        )
    )
)
"""A classic BPF program (man 7 socket): drops the packets with which connections begin."""


def begin_no_more(listener: int) -> None:
    """Have the kernel drop who wants to connect; they ask again in a second, and are refused.

    A listener that is closed at once resets those whose handshake is under way, and who may have
    sent a request already. Does nothing where the kernel is not Linux. Whoever else holds the same
    listener is deaf then, too.
    """
    program = struct.pack("HP", 5, ctypes.addressof(ONLY_SYN))
    with contextlib.suppress(OSError), socket.socket(fileno=listener) as same:
        try:
            same.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        finally:
            same.detach()


class Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn raises them again at the end, which is no exit 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


class DrainingServer(Server):
    """uvicorn drops who has not yet sent anything, and who waits in the listener's queue."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody begin, take in who has begun, close the listener, answer who is connected."""
        deadline = time.monotonic() + FIRST_REQUEST_SECONDS
        self._say_that_it_closes()
        for listener in self._listeners():
            begin_no_more(listener)
        await asyncio.sleep(HANDSHAKE_SECONDS)
        # A turn of the loop may take in no more than one of those who wait.
        await _while(self._somebody_waits, deadline, pause=0)
        for server in self.servers:
            server.close()
        for _ in range(3):
            await asyncio.sleep(0)  # in which who was taken in becomes a connection
        await _while(self._somebody_may_ask, deadline, pause=POLL_SECONDS)
        await super().shutdown(sockets)

    def _say_that_it_closes(self) -> None:
        """Every answer that begins from now on is the last of its connection, and says so."""
        self.server_state.default_headers = [
            *self.server_state.default_headers,
            (b"connection", b"close"),
        ]
        for connection in self.server_state.connections:
            cycle = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_started:
                cycle.keep_alive = False

    def _listeners(self) -> Iterator[int]:
        for server in self.servers:
            for listener in server.sockets:
                yield listener.fileno()

    def _somebody_waits(self) -> bool:
        """Whether the kernel has taken in connections that this process has not."""
        waiting = select.poll()
        for listener in self._listeners():
            waiting.register(listener, select.POLLIN)
        return bool(waiting.poll(0))

    def _somebody_may_ask(self) -> bool:
        """Whether a connection has nothing under way: its request may be on its way."""
        cycles = [getattr(one, "cycle", None) for one in self.server_state.connections]
        return any(cycle is None or cycle.response_complete for cycle in cycles)


async def _while(holds: Callable[[], bool], deadline: float, *, pause: float) -> None:
    """Wait as long as it holds, until the deadline; no event tells."""
    while holds() and time.monotonic() < deadline:  # noqa: ASYNC110 - see above
        await asyncio.sleep(pause)

"""The connection under a guarded request: only checked addresses, bounded in time and in header.

Called by httpcore, through its `AsyncNetworkBackend`, for requests of `guarded_http.py`.
"""

# ruff: noqa: ASYNC109 - the timeouts are part of httpcore's interface

import asyncio
import ssl
from collections.abc import Iterable, Sequence
from typing import Any, Final

import httpcore

from adapters.address_policy import IPAddress

# A name may have hundreds of addresses; a fallback is tried, not a scan.
MAX_DIALS: Final = 4


class Deadline:
    """The moment by which a whole request is over, redirects and body included."""

    def __init__(self, seconds: float) -> None:
        self._at = asyncio.get_running_loop().time() + seconds

    def within(self, seconds: float | None) -> float:
        """What is left in seconds, at most `seconds`. Raises TimeoutError when it is over."""
        left = self._at - asyncio.get_running_loop().time()
        if left <= 0:
            raise TimeoutError
        return left if seconds is None else min(left, seconds)


class HeadLimit:
    """How many bytes may come before the head of the final answer is complete."""

    def __init__(self, max_bytes: int) -> None:
        self._left: int | None = max_bytes

    def cap(self, max_bytes: int) -> int:
        """How much may be read next. Raises RemoteProtocolError when it was too much already."""
        if self._left is None:
            return max_bytes
        if self._left == 0:
            raise httpcore.RemoteProtocolError("The head of the answer is too large.")
        return min(max_bytes, self._left)

    def count(self, read_bytes: int) -> None:
        """Note what came."""
        if self._left is not None:
            self._left -= read_bytes

    def lift(self) -> None:
        """The head is complete: what follows is body."""
        self._left = None


class BoundedStream(httpcore.AsyncNetworkStream):
    """A connection whose every wait ends at the deadline."""

    def __init__(
        self, stream: httpcore.AsyncNetworkStream, deadline: Deadline, head: HeadLimit
    ) -> None:
        self._stream = stream
        self._deadline = deadline
        self._head = head

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """At most so many bytes, none at the end of the stream."""
        data = await self._stream.read(self._head.cap(max_bytes), self._deadline.within(timeout))
        self._head.count(len(data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send all of it."""
        await self._stream.write(buffer, self._deadline.within(timeout))

    async def aclose(self) -> None:
        """Close."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The same connection under TLS, for the name the URL had, not for the address."""
        secured = await self._stream.start_tls(
            ssl_context, server_hostname, self._deadline.within(timeout)
        )
        return BoundedStream(secured, self._deadline, self._head)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks of a connection."""
        return self._stream.get_extra_info(info)


class CheckedDialler(httpcore.AsyncNetworkBackend):
    """Dials the addresses that were checked for one host and port, and nothing else."""

    def __init__(
        self,
        dialler: httpcore.AsyncNetworkBackend,
        *,
        host: str,
        port: int,
        addresses: Sequence[IPAddress],
        deadline: Deadline,
        head: HeadLimit,
    ) -> None:
        self._dialler = dialler
        self._checked = (host, port)
        self._addresses = addresses
        self._deadline = deadline
        self._head = head

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The first of the addresses that answers."""
        if (host, port) != self._checked:
            raise RuntimeError("A host was to be dialled that was not checked.")
        failure: Exception | None = None
        for address in self._addresses[:MAX_DIALS]:
            try:
                stream = await self._dialler.connect_tcp(
                    str(address),
                    port,
                    timeout=self._deadline.within(timeout),
                    local_address=local_address,
                    socket_options=socket_options,
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return BoundedStream(stream, self._deadline, self._head)
        raise failure or RuntimeError("There is no checked address to dial.")

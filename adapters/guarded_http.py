"""Requests to URLs that a user chose: ingest sources now, webhook receivers later.

Every hop passes the URL gate, is looked up once, has all its addresses checked, and is dialled at
a checked address. Nothing is read from the environment, and no cookie, proxy or connection is kept.
"""

import asyncio
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from ipaddress import ip_address
from typing import Any, Final, Literal, Protocol

import httpcore
import httpx
import msgspec

from adapters.address_policy import IPAddress, is_public
from adapters.bounded_connection import CheckedDialler, Deadline, HeadLimit
from adapters.url_gate import GatedUrl, check_permitted, gate, gate_redirect
from domain.errors import FileTooLarge, RedirectLoop, SourceUnavailable, SsrfBlocked

Method = Literal["GET", "HEAD", "POST"]

MAX_REDIRECTS: Final = 3
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
# RFC 9110: the others let a client turn a POST into a GET, which would deliver nothing and look
# like a success.
REDIRECTS_THAT_KEEP_POST: Final = frozenset({307, 308})
PIECE_BYTES: Final = 64 * 1024
USER_AGENT: Final = "MediaService/1.0"

# What frames the request is ours alone.
_FRAMING_HEADERS = frozenset(
    {
        *("host", "connection", "keep-alive", "upgrade", "expect", "trailer"),
        *("content-length", "transfer-encoding", "accept-encoding"),
        "te",  # codespell:ignore te
    }
)
# What may follow a redirect to another origin; signatures and credentials may not.
_NEUTRAL_HEADERS = frozenset({"accept", "content-type", "user-agent"})


class FetchLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How long a request may take and how large the head of an answer may be."""

    total_seconds: float = 60
    """For everything: lookups, redirects, and the body to its last byte."""
    lookup_seconds: float = 5
    connect_seconds: float = 5
    """For one dial, and again for the TLS handshake."""
    silence_seconds: float = 15
    """Between two signs of life of the source."""
    head_bytes: int = 32 * 1024
    """Status line and headers, informational answers included."""


class Resolver(Protocol):
    """Looks a name up."""

    async def __call__(self, name: str) -> Sequence[str]:
        """The addresses of the name, as text. Raises OSError if there are none."""
        ...


# Threads of its own: a lookup given up holds its thread until the system's resolver answers, and
# names that never resolve would soon leave no thread for anything else.
_LOOKUPS = ThreadPoolExecutor(max_workers=32, thread_name_prefix="lookup")


def _ask_system(name: str) -> Sequence[tuple[Any, ...]]:
    return socket.getaddrinfo(name, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)


async def look_up(name: str) -> Sequence[str]:
    """Ask the system's resolver."""
    answers = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, _ask_system, name)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in answers))


class FetchedResponse:
    """A 2xx answer whose body is still to come. Iterate once; a piece is at most 64 KiB."""

    def __init__(self, url: GatedUrl, response: httpcore.Response, *, max_bytes: int) -> None:
        self.url: Final = str(url)
        """The last URL of the chain, in canonical form and without a fragment."""
        self.status: Final = response.status
        self.headers: Final = httpx.Headers(response.headers)
        self._response = response
        self._max_bytes = max_bytes
        self._gzip = _encoding(self.headers) == "gzip"

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes, decoded. Raises FileTooLarge at `max_bytes`, SourceUnavailable if cut off."""
        received = decoded = 0
        gunzip = _Gunzip() if self._gzip else None
        with _as_source_errors():
            async for chunk in self._response.aiter_stream():
                # Counted on the wire too: empty gzip members would otherwise come for ever.
                received += len(chunk)
                if received > self._max_bytes:
                    raise FileTooLarge(self._max_bytes)
                for piece in gunzip.feed(chunk) if gunzip else (chunk,):
                    decoded += len(piece)
                    if decoded > self._max_bytes:
                        raise FileTooLarge(self._max_bytes)
                    yield piece
            if gunzip:
                gunzip.finish()


class GuardedFetcher:
    """Fetches what a user names, and reaches nothing but the public internet.

    `permitted` holds `host:port` pairs that both checks let through, whatever they lead to: a
    setting for development, for a local source or webhook receiver.
    """

    def __init__(
        self,
        resolver: Resolver = look_up,
        dialler: httpcore.AsyncNetworkBackend | None = None,
        *,
        permitted: frozenset[str] = frozenset(),
        max_redirects: int = MAX_REDIRECTS,
        limits: FetchLimits = FetchLimits(),  # noqa: B008 - frozen
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._resolver = resolver
        self._dialler = dialler or httpcore.AnyIOBackend()
        self._permitted = check_permitted(permitted)
        self._max_redirects = max_redirects
        self._limits = limits
        self._tls = tls or httpx.create_ssl_context(trust_env=False)

    def check(self, url: str) -> str:
        """The URL without query and fragment, if it passes the gate. Raises SsrfBlocked."""
        gated = gate(url, permitted=self._permitted)
        return f"{gated.scheme}://{gated.authority}{gated.target.partition('?')[0]}"

    @asynccontextmanager
    async def get(self, url: str, *, max_bytes: int) -> AsyncIterator[FetchedResponse]:
        """GET the URL; see `request`."""
        async with self.request("GET", url, max_bytes=max_bytes) as response:
            yield response

    @asynccontextmanager
    async def request(
        self,
        method: Method,
        url: str,
        *,
        max_bytes: int,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> AsyncIterator[FetchedResponse]:
        """Send a request, follow its redirects, and hand out the 2xx answer at their end.

        `max_bytes` bounds the body of the answer, on the wire and decoded. Raises SsrfBlocked,
        RedirectLoop, SourceUnavailable (`details["sourceStatus"]` where there was an answer) or
        FileTooLarge. A POST is repeated on 307 and 308; another redirect of it is no success.
        """
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if framing := _FRAMING_HEADERS & sent.keys():
            raise ValueError(f"These headers are not the caller's to set: {sorted(framing)}.")
        here = gate(url, permitted=self._permitted)
        deadline = Deadline(self._limits.total_seconds)
        for redirects in range(self._max_redirects + 1):
            async with AsyncExitStack() as hop:
                with _as_source_errors():
                    answer = await self._send(
                        hop, method, here, headers=sent, body=body, deadline=deadline
                    )
                if answer.status not in REDIRECTS or (
                    method == "POST" and answer.status not in REDIRECTS_THAT_KEEP_POST
                ):
                    _refuse_failure(method, answer, max_bytes)
                    yield FetchedResponse(here, answer, max_bytes=max_bytes)
                    return
            if redirects < self._max_redirects:
                before, here = here, self._redirected(here, answer)
                if here.origin != before.origin:
                    sent = {name: sent[name] for name in sent.keys() & _NEUTRAL_HEADERS}
        raise RedirectLoop(self._max_redirects)

    async def _send(
        self,
        hop: AsyncExitStack,
        method: Method,
        url: GatedUrl,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
        deadline: Deadline,
    ) -> httpcore.Response:
        limits = self._limits
        head = HeadLimit(limits.head_bytes)
        dialler = CheckedDialler(
            self._dialler,
            host=url.host,
            port=url.port,
            addresses=await self._addresses(url, deadline),
            deadline=deadline,
            head=head,
        )
        destination = httpcore.URL(
            scheme=url.scheme.encode(),
            host=url.host.encode(),
            port=url.port,
            target=url.target.encode(),
        )
        connection = await hop.enter_async_context(
            httpcore.AsyncHTTPConnection(
                destination.origin, ssl_context=self._tls, network_backend=dialler
            )
        )
        ours = {
            "host": url.authority,
            "user-agent": USER_AGENT,
            "accept": "*/*",
            "accept-encoding": "identity",
            "connection": "close",
        }
        answer = await hop.enter_async_context(
            connection.stream(
                method,
                destination,
                headers=list((ours | dict(headers)).items()),
                content=body or b"" if method == "POST" else None,
                extensions={
                    "timeout": {
                        "connect": limits.connect_seconds,
                        "read": limits.silence_seconds,
                        "write": limits.silence_seconds,
                    }
                },
            )
        )
        head.lift()
        return answer

    async def _addresses(self, url: GatedUrl, deadline: Deadline) -> Sequence[IPAddress]:
        if url.address is not None:
            return [url.address]
        # The final dot keeps the search list of resolv.conf out, which leads to inside names.
        # A permitted name may be one of those, or one of /etc/hosts.
        name = url.host if url.permitted else f"{url.host}."
        async with asyncio.timeout(deadline.within(self._limits.lookup_seconds)):
            answers = await self._resolver(name)
        try:
            addresses = [ip_address(answer) for answer in answers]
        except ValueError as error:
            raise SourceUnavailable("The name of the source leads nowhere.") from error
        if not addresses:
            raise SourceUnavailable("The name of the source leads nowhere.")
        if not url.permitted and not all(map(is_public, addresses)):
            raise SsrfBlocked("its host name leads to an address that is not public")
        return addresses

    def _redirected(self, here: GatedUrl, answer: httpcore.Response) -> GatedUrl:
        locations = httpx.Headers(answer.headers).get_list("location")
        if len(locations) != 1:
            raise SourceUnavailable("The source redirects to no one place.")
        there = gate_redirect(here, locations[0], permitted=self._permitted)
        if (here.scheme, there.scheme) == ("https", "http"):
            # Who asked for https asked for bytes that nobody on the way could change.
            raise SourceUnavailable("The source redirects from https to http.")
        return there


class _Gunzip:
    """Decodes gzip in pieces of bounded size, however much one byte may stand for."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
        self._is_begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What the bytes decode to. Raises zlib.error."""
        self._is_begun = True
        while True:
            if self._member.eof and data:
                self._member = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
            piece = self._member.decompress(data, PIECE_BYTES)
            if piece:
                yield piece
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
            if not data:
                return

    def finish(self) -> None:
        """Check that nothing is missing. Raises zlib.error."""
        if self._is_begun and not self._member.eof:
            raise zlib.error("The body ends inside its gzip stream.")


def _encoding(headers: httpx.Headers) -> Literal["identity", "gzip"]:
    encodings = headers.get("content-encoding", "").lower().replace(",", " ").split()
    if encodings in ([], ["identity"]):
        return "identity"
    if encodings in (["gzip"], ["x-gzip"]):
        return "gzip"
    raise SourceUnavailable("The source answers in an encoding that was not asked for.")


def _refuse_failure(method: Method, answer: httpcore.Response, max_bytes: int) -> None:
    if not httpx.codes.is_success(answer.status):
        raise SourceUnavailable(f"The source answers {answer.status}.", sourceStatus=answer.status)
    declared = httpx.Headers(answer.headers).get("content-length", "")
    if method != "HEAD" and declared.isdecimal() and int(declared) > max_bytes:
        raise FileTooLarge(max_bytes)


@contextmanager
def _as_source_errors() -> Iterator[None]:
    try:
        yield
    except (httpcore.TimeoutException, TimeoutError) as error:
        raise SourceUnavailable("The source takes too long.") from error
    except (httpcore.NetworkError, OSError) as error:
        if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
            raise SourceUnavailable("The source's TLS is not valid.") from error
        raise SourceUnavailable("The source does not answer.") from error
    except (httpcore.RemoteProtocolError, zlib.error) as error:
        raise SourceUnavailable("The source's answer is malformed.") from error

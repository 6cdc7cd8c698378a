import asyncio
import gzip
import ssl
import threading
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from itertools import cycle
from pathlib import Path

import httpcore
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.address_policy import REFUSED_IPV4
from adapters.guarded_http import FetchLimits, GuardedFetcher, look_up
from domain.errors import FileTooLarge, RedirectLoop, SourceUnavailable, SsrfBlocked
from tests.kit.certificates import self_signed
from tests.kit.hostile_urls import HOSTILE_URLS, PRIVATE_IPV4, PRIVATE_IPV6, spellings
from tests.kit.http_source import HttpSource, http_source, redirect, response

CODES = (301, 302, 303, 307, 308)
PUBLIC = "93.184.216.34"
OTHER = "1.1.1.1"
# Made once, since it takes a while.
TLS = ssl.create_default_context()
MEBIBYTE = 1024 * 1024
SHORT = FetchLimits(total_seconds=0.5, lookup_seconds=0.2, connect_seconds=0.2, silence_seconds=0.3)


class Names:
    """A resolver that answers from a table and notes what it was asked."""

    def __init__(self, table: Mapping[str, Iterable[Sequence[str]]]) -> None:
        self._table = {f"{name}.": iter(answers) for name, answers in table.items()}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> Sequence[str]:
        self.asked.append(name)
        if name not in self._table:
            raise OSError("no such name")
        return next(self._table[name])


class Wire(httpcore.AnyIOBackend):
    """Notes each dial, and puts it through to a port of loopback if there is one for it."""

    def __init__(self, lines: Mapping[str, int] | None = None) -> None:
        self._lines = lines or {}
        self.dialled: list[tuple[str, int]] = []

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        self.dialled.append((host, port))
        if host not in self._lines:
            raise httpcore.ConnectError("nobody there")
        return await super().connect_tcp("127.0.0.1", self._lines[host], timeout)


def names(**table: Sequence[str]) -> Names:
    """`a_example_com=[…]`: the same answer each time."""
    return Names({name.replace("_", "."): cycle([answers]) for name, answers in table.items()})


@pytest.fixture
async def source() -> AsyncIterator[HttpSource]:
    async with http_source() as source:
        yield source


@pytest.fixture
def local(source: HttpSource) -> GuardedFetcher:
    """A fetcher with the development setting for the source."""
    return GuardedFetcher(permitted=frozenset({source.pair}))


@pytest.fixture
def hasty(source: HttpSource) -> GuardedFetcher:
    """The same, of little patience."""
    return GuardedFetcher(permitted=frozenset({source.pair}), limits=SHORT)


async def fetch(fetcher: GuardedFetcher, url: str, max_bytes: int = MEBIBYTE) -> bytes:
    async with fetcher.get(url, max_bytes=max_bytes) as answer:
        return b"".join([piece async for piece in answer])


async def take_until_too_large(fetcher: GuardedFetcher, url: str) -> int:
    taken = 0
    async with fetcher.get(url, max_bytes=8 * MEBIBYTE) as answer:
        pieces = aiter(answer)
        while True:
            try:
                piece = await anext(pieces)
            except FileTooLarge:
                return taken
            assert len(piece) <= 65536
            taken += len(piece)


# What is refused on its face.


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://Example.COM/a/b.png?sig=1#part", "https://example.com/a/b.png"),
        ("http://example.com:80?token=a", "http://example.com/"),
        ("https://b\u00fccher.de/\u00e4?x", "https://xn--bcher-kva.de/%C3%A4"),
        ("http://[2606:4700:4700::1111]/#a?b", "http://[2606:4700:4700::1111]/"),
    ],
)
async def test_a_url_is_shown_without_what_may_be_secret(url: str, shown: str) -> None:
    resolver, wire = names(), Wire()
    assert GuardedFetcher(resolver, wire).check(url) == shown
    assert (resolver.asked, wire.dialled) == ([], [])


async def test_no_hostile_url_causes_a_lookup_or_a_dial() -> None:
    resolver, wire = names(), Wire()
    fetcher = GuardedFetcher(resolver, wire)
    for url in HOSTILE_URLS:
        with pytest.raises(SsrfBlocked):
            await fetch(fetcher, url)
    assert (resolver.asked, wire.dialled) == ([], [])


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(REFUSED_IPV4).flatmap(lambda network: st.ip_addresses(network=network)))
def test_a_private_address_is_never_dialled_however_it_is_written(address: IPv4Address) -> None:
    resolver, wire = names(), Wire()
    fetcher = GuardedFetcher(resolver, wire, tls=TLS)

    async def try_all() -> None:
        for host in spellings(address):
            with pytest.raises(SsrfBlocked):
                await fetch(fetcher, f"http://{host}/")

    with asyncio.Runner() as runner:
        runner.run(try_all())
    assert (resolver.asked, wire.dialled) == ([], [])


# What a lookup shows.


@pytest.mark.parametrize("address", [*PRIVATE_IPV4, *PRIVATE_IPV6, "2606:4700::1%eth0"])
async def test_a_name_that_leads_to_a_private_address_is_looked_up_and_not_dialled(
    address: str,
) -> None:
    resolver, wire = names(a_example_com=[address]), Wire()
    with pytest.raises(SsrfBlocked) as refusal:
        await fetch(GuardedFetcher(resolver, wire), "http://a.example.com/")
    assert (resolver.asked, wire.dialled) == (["a.example.com."], [])
    assert address not in refusal.value.message


@pytest.mark.parametrize(
    "answers",
    [
        [PUBLIC, "10.0.0.1"],
        ["127.0.0.1", PUBLIC],
        [PUBLIC, OTHER, "2606:4700::1", "::1"],
        ["2606:4700::1", "::ffff:10.0.0.1"],
        [*[PUBLIC] * 50, "169.254.169.254"],
    ],
)
async def test_one_private_answer_among_public_ones_refuses_them_all(answers: list[str]) -> None:
    resolver, wire = names(a_example_com=answers), Wire({PUBLIC: 1})
    with pytest.raises(SsrfBlocked):
        await fetch(GuardedFetcher(resolver, wire), "http://a.example.com/")
    assert wire.dialled == []


@pytest.mark.parametrize("answers", [[], ["nonsense"], [PUBLIC, "http://x"], [""]])
async def test_a_name_without_a_proper_address_is_an_unavailable_source(
    answers: list[str],
) -> None:
    wire = Wire()
    with pytest.raises(SourceUnavailable):
        await fetch(GuardedFetcher(names(a_example_com=answers), wire), "http://a.example.com/")
    assert wire.dialled == []


async def test_an_unknown_name_is_an_unavailable_source() -> None:
    with pytest.raises(SourceUnavailable):
        await fetch(GuardedFetcher(names(), Wire()), "http://a.example.com/")


async def test_a_lookup_that_hangs_ends_in_time() -> None:
    async def hanging(name: str) -> Sequence[str]:
        await asyncio.Event().wait()
        return [name]

    with pytest.raises(SourceUnavailable, match="too long"):
        await fetch(GuardedFetcher(hanging, Wire(), limits=SHORT), "http://a.example.com/")


async def test_lookups_that_hang_take_no_thread_from_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def hang(*_: object, **__: object) -> list[object]:
        answered.wait(30)
        return []

    monkeypatch.setattr("socket.getaddrinfo", hang)
    lookups = [asyncio.create_task(look_up(f"{number}.example.com")) for number in range(40)]
    try:
        async with asyncio.timeout(25):
            assert await asyncio.to_thread(lambda: "served") == "served"
    finally:
        answered.set()
        await asyncio.gather(*lookups)


async def test_the_checked_address_is_the_one_dialled_though_the_resolver_alternates(
    source: HttpSource,
) -> None:
    source.answers = {"/": response(b"public")}
    resolver = Names({"a.example.com": cycle([[PUBLIC], ["127.0.0.1"]])})
    wire = Wire({PUBLIC: source.port})
    fetcher = GuardedFetcher(resolver, wire)
    for _ in range(5):
        assert await fetch(fetcher, "http://a.example.com/") == b"public"
        with pytest.raises(SsrfBlocked):
            await fetch(fetcher, "http://a.example.com/")
    assert wire.dialled == [(PUBLIC, 80)] * 5
    assert len(resolver.asked) == 10


async def test_a_name_that_turns_private_between_two_hops_is_refused_at_the_second(
    source: HttpSource,
) -> None:
    source.answers = {"/": redirect("/again")}
    resolver = Names({"a.example.com": [[PUBLIC], ["127.0.0.1"]]})
    wire = Wire({PUBLIC: source.port, "127.0.0.1": source.port})
    with pytest.raises(SsrfBlocked):
        await fetch(GuardedFetcher(resolver, wire), "http://a.example.com/")
    assert wire.dialled == [(PUBLIC, 80)]


async def test_each_hop_is_looked_up_once(source: HttpSource) -> None:
    source.answers = {"/": redirect("/2"), "/2": redirect("/3"), "/3": response(b"x")}
    resolver, wire = names(a_example_com=[PUBLIC]), Wire({PUBLIC: source.port})
    assert await fetch(GuardedFetcher(resolver, wire), "http://a.example.com/") == b"x"
    assert resolver.asked == ["a.example.com."] * 3
    assert wire.dialled == [(PUBLIC, 80)] * 3


async def test_the_next_checked_address_is_dialled_when_one_does_not_answer(
    source: HttpSource,
) -> None:
    source.answers = {"/": response(b"x")}
    resolver = names(a_example_com=["2606:4700::1", OTHER, PUBLIC])
    wire = Wire({PUBLIC: source.port})
    assert await fetch(GuardedFetcher(resolver, wire), "http://a.example.com/") == b"x"
    assert wire.dialled == [("2606:4700::1", 80), (OTHER, 80), (PUBLIC, 80)]


async def test_a_name_with_many_addresses_is_not_scanned() -> None:
    resolver = names(a_example_com=[f"8.8.8.{last}" for last in range(200)])
    wire = Wire()
    with pytest.raises(SourceUnavailable):
        await fetch(GuardedFetcher(resolver, wire), "http://a.example.com/")
    assert len(wire.dialled) == 4


# What is sent.


async def test_the_host_header_is_the_name_and_nothing_is_kept_between_requests(
    source: HttpSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:9")
    cookie = ("Set-Cookie", "a=b; Path=/")
    source.answers = {
        "/": response(status=302, headers=[("Location", "http://b.example.com:443/next"), cookie]),
        "/next": response(b"x", headers=[cookie]),
    }
    resolver = names(a_example_com=[PUBLIC], b_example_com=[OTHER])
    wire = Wire({PUBLIC: source.port, OTHER: source.port})
    fetcher = GuardedFetcher(resolver, wire)
    for _ in range(2):
        await fetch(fetcher, "http://A.example.com./")
    assert wire.dialled == [(PUBLIC, 80), (OTHER, 443)] * 2
    assert ["host: a.example.com\r\n" in head for head in source.requests] == [True, False] * 2
    assert "host: b.example.com:443\r\n" in source.requests[1]
    for head in source.requests:
        assert "accept-encoding: identity\r\n" in head
        assert "cookie" not in head.lower()
        assert "proxy" not in head.lower()


async def test_a_permitted_source_is_fetched(source: HttpSource, local: GuardedFetcher) -> None:
    source.answers = {"/a%20b?c=d": response(b"body", headers=[("Content-Type", "image/png")])}
    async with local.get(source.url("/a%20b?c=d#e"), max_bytes=10) as answer:
        assert answer.status == 200
        assert answer.url == source.url("/a%20b?c=d")
        assert answer.headers["content-type"] == "image/png"
        assert b"".join([piece async for piece in answer]) == b"body"


async def test_a_permitted_name_is_looked_up_as_it_is(source: HttpSource) -> None:
    source.answers = {"/": response(b"x")}
    fetcher = GuardedFetcher(permitted=frozenset({f"localhost:{source.port}"}))
    assert await fetch(fetcher, f"http://localhost:{source.port}/") == b"x"
    with pytest.raises(SsrfBlocked):
        await fetch(fetcher, source.url())


async def test_a_post_carries_its_body_and_headers(
    source: HttpSource, local: GuardedFetcher
) -> None:
    source.answers = {"/hook": response(b"ok", status=202)}
    async with local.request(
        "POST", source.url("/hook"), max_bytes=10, headers={"X-Signature": "s"}, body=b'{"a":1}'
    ) as answer:
        assert answer.status == 202
    assert "x-signature: s\r\n" in source.requests[0]
    assert "Content-Length: 7\r\n" in source.requests[0]
    assert source.requests[0].endswith('\r\n\r\n{"a":1}')


async def test_a_head_has_no_body(source: HttpSource, local: GuardedFetcher) -> None:
    source.answers = {"/": b"HTTP/1.1 200 X\r\nContent-Length: 99999999\r\n\r\n"}
    async with local.request("HEAD", source.url(), max_bytes=10) as answer:
        assert answer.headers["content-length"] == "99999999"
        assert [piece async for piece in answer] == []


@pytest.mark.parametrize("name", ["Host", "Content-Length", "transfer-encoding", "CONNECTION"])
async def test_headers_that_frame_a_request_are_not_the_callers(name: str) -> None:
    wire = Wire()
    with pytest.raises(ValueError, match=name.lower()):
        async with GuardedFetcher(names(), wire).request(
            "GET", "http://1.1.1.1/", max_bytes=1, headers={name: "x"}
        ):
            pass
    assert wire.dialled == []


# Redirects.


@pytest.mark.parametrize("status", CODES)
async def test_three_redirects_are_followed_and_the_fourth_refused(
    source: HttpSource, local: GuardedFetcher, status: int
) -> None:
    source.answers = {f"/{hop}": redirect(f"/{hop + 1}", status) for hop in range(4)}
    source.answers["/4"] = response(b"end")
    assert await fetch(local, source.url("/1")) == b"end"
    source.requests.clear()
    with pytest.raises(RedirectLoop) as loop:
        await fetch(local, source.url("/0"))
    assert loop.value.code == "REDIRECT_LOOP"
    assert [head.split(" ")[1] for head in source.requests] == ["/0", "/1", "/2", "/3"]


@pytest.mark.parametrize("status", CODES)
async def test_a_redirect_to_itself_ends(
    source: HttpSource, local: GuardedFetcher, status: int
) -> None:
    source.answers = {"/": redirect("", status)}
    with pytest.raises(RedirectLoop):
        await fetch(local, source.url())
    assert len(source.requests) == 4


@pytest.mark.parametrize("status", CODES)
@pytest.mark.parametrize("hops", [1, 2, 3])
async def test_a_redirect_to_a_hostile_url_is_refused_at_every_hop(
    source: HttpSource, status: int, hops: int
) -> None:
    absolute = [url for url in HOSTILE_URLS if url.startswith(("http://", "https://", "file:"))]
    hostile = [url for url in absolute if url.isascii() and url.isprintable()]
    for url in hostile[CODES.index(status) :: len(CODES) * 3]:
        source.answers = {f"/{hop}": redirect(f"/{hop + 1}", status) for hop in range(1, hops)}
        source.answers[f"/{hops}"] = redirect(url, status)
        resolver, wire = names(a_example_com=[PUBLIC]), Wire({PUBLIC: source.port})
        with pytest.raises(SsrfBlocked):
            await fetch(GuardedFetcher(resolver, wire, tls=TLS), "http://a.example.com/1")
        assert resolver.asked == ["a.example.com."] * hops
        assert wire.dialled == [(PUBLIC, 80)] * hops


@pytest.mark.parametrize("status", CODES)
async def test_a_redirect_to_a_name_with_a_private_address_is_refused(
    source: HttpSource, status: int
) -> None:
    source.answers = {"/": redirect("//b.example.com/", status)}
    resolver = names(a_example_com=[PUBLIC], b_example_com=["192.168.0.1"])
    wire = Wire({PUBLIC: source.port})
    with pytest.raises(SsrfBlocked):
        await fetch(GuardedFetcher(resolver, wire), "http://a.example.com/")
    assert resolver.asked == ["a.example.com.", "b.example.com."]
    assert wire.dialled == [(PUBLIC, 80)]


async def test_a_permitted_source_cannot_redirect_to_another_port_of_its_host(
    source: HttpSource, local: GuardedFetcher
) -> None:
    source.answers = {"/": redirect(f"http://127.0.0.1:{source.port - 1}/")}
    with pytest.raises(SsrfBlocked):
        await fetch(local, source.url())


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 302 X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 302 X\r\nLocation: /a\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_a_redirect_to_no_one_place_is_an_unavailable_source(
    source: HttpSource, local: GuardedFetcher, head: bytes
) -> None:
    source.answers = {"/": head}
    with pytest.raises(SourceUnavailable):
        await fetch(local, source.url())


@pytest.mark.parametrize("status", [307, 308])
async def test_a_post_is_repeated_but_its_signature_stays_with_the_first_origin(
    source: HttpSource, status: int
) -> None:
    source.answers = {"/": redirect("http://b.example.com/hook", status), "/hook": response()}
    wire = Wire({PUBLIC: source.port, OTHER: source.port})
    fetcher = GuardedFetcher(names(a_example_com=[PUBLIC], b_example_com=[OTHER]), wire)
    headers = {"Authorization": "secret", "Content-Type": "application/json"}
    async with fetcher.request(
        "POST", "http://a.example.com/", max_bytes=1, headers=headers, body=b"{}"
    ) as answer:
        assert answer.url == "http://b.example.com/hook"
    first, second = source.requests
    assert first.startswith("POST / ")
    assert "authorization: secret" in first
    assert second.startswith("POST /hook ")
    assert second.endswith("\r\n\r\n{}")
    assert "secret" not in second
    assert "content-type: application/json" in second


@pytest.mark.parametrize("status", [301, 302, 303])
async def test_a_post_that_would_become_a_get_is_no_success(
    source: HttpSource, local: GuardedFetcher, status: int
) -> None:
    source.answers = {"/": redirect("/get", status), "/get": response()}
    with pytest.raises(SourceUnavailable):
        async with local.request("POST", source.url(), max_bytes=1, body=b"{}"):
            pass
    assert len(source.requests) == 1


# What comes back.


@pytest.mark.parametrize("status", [300, 304, 305, 400, 401, 403, 404, 410, 429, 500, 502, 503])
async def test_an_error_of_the_source_is_an_unavailable_source(
    source: HttpSource, local: GuardedFetcher, status: int
) -> None:
    source.answers = {"/": response(status=status)}
    with pytest.raises(SourceUnavailable) as refusal:
        await fetch(local, source.url())
    assert refusal.value.details == {"sourceStatus": status}
    assert refusal.value.code == "SOURCE_UNAVAILABLE"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"\x00" * 100,
        b"HTTP/1.1 200 X\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"HTTP/1.1 200 X\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 X\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\nx",
        b"HTTP/1.1 200 X\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ],
    ids=lambda answer: ascii(answer[:60]),
)
async def test_an_answer_that_is_not_proper_http_is_an_unavailable_source(
    source: HttpSource, local: GuardedFetcher, answer: bytes
) -> None:
    source.answers = {"/": answer}
    with pytest.raises(SourceUnavailable):
        await fetch(local, source.url())


async def test_a_body_cut_off_is_an_unavailable_source(
    source: HttpSource, local: GuardedFetcher
) -> None:
    source.answers = {"/": b"HTTP/1.1 200 X\r\nContent-Length: 100\r\n\r\nonly this"}
    with pytest.raises(SourceUnavailable):
        await fetch(local, source.url())


async def test_what_comes_after_the_declared_length_is_not_taken(
    source: HttpSource, local: GuardedFetcher
) -> None:
    source.answers = {"/": b"HTTP/1.1 200 X\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200 X\r\n\r\n"}
    assert await fetch(local, source.url()) == b"body"


async def test_a_declared_length_over_the_limit_is_refused_before_the_body(
    source: HttpSource, local: GuardedFetcher
) -> None:
    source.answers = {"/": b"HTTP/1.1 200 X\r\nContent-Length: 11\r\n\r\n"}
    with pytest.raises(FileTooLarge):
        await fetch(local, source.url(), max_bytes=10)


@pytest.mark.parametrize("size", [0, 1, 9, 10])
async def test_a_body_up_to_the_limit_is_taken(
    source: HttpSource, local: GuardedFetcher, size: int
) -> None:
    source.answers = {"/": b"HTTP/1.1 200 X\r\n\r\n" + b"x" * size}
    assert await fetch(local, source.url(), max_bytes=10) == b"x" * size


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"\r\n", b"x" * 65536),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        (
            b"Content-Encoding: gzip\r\n\r\n",
            gzip.compress(b"") * 3000,
        ),
    ],
    ids=["until close", "chunked", "empty gzip members"],
)
async def test_an_endless_body_ends_in_bounded_memory(
    source: HttpSource, head: bytes, piece: bytes
) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 X\r\n" + head)
        while True:
            writer.write(piece)
            await writer.drain()

    source.answers = {"/": endless}
    fetcher = GuardedFetcher(permitted=frozenset({source.pair}))
    tracemalloc.start()
    try:
        await take_until_too_large(fetcher, source.url())
        assert tracemalloc.get_traced_memory()[1] < 4 * MEBIBYTE
    finally:
        tracemalloc.stop()


async def test_a_gzip_bomb_ends_in_bounded_memory(source: HttpSource) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(MEBIBYTE)) for _ in range(512)) + packer.flush()
    assert len(bomb) < MEBIBYTE
    source.answers = {"/": response(bomb, headers=[("Content-Encoding", "gzip")])}
    fetcher = GuardedFetcher(permitted=frozenset({source.pair}))
    tracemalloc.start()
    try:
        taken = await take_until_too_large(fetcher, source.url())
        assert tracemalloc.get_traced_memory()[1] < 4 * MEBIBYTE
    finally:
        tracemalloc.stop()
    assert taken == 8 * MEBIBYTE


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 500_000])
async def test_gzip_that_nobody_asked_for_is_decoded(source: HttpSource, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    packed = gzip.compress(body[: size // 2]) + gzip.compress(body[size // 2 :])
    source.answers = {"/": response(packed, headers=[("Content-Encoding", "X-GZIP")])}
    fetcher = GuardedFetcher(permitted=frozenset({source.pair}))
    assert await fetch(fetcher, source.url()) == body


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b"x" * 100)[:-1], b"no gzip", gzip.compress(b"x") + b"behind it"],
    ids=["cut off", "no gzip", "more behind it"],  # not the bytes: they hold the time
)
async def test_gzip_that_is_broken_is_an_unavailable_source(
    source: HttpSource, local: GuardedFetcher, body: bytes
) -> None:
    source.answers = {"/": response(body, headers=[("Content-Encoding", "gzip")])}
    with pytest.raises(SourceUnavailable):
        await fetch(local, source.url())


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip", "identity, gzip", "x"])
async def test_another_encoding_is_an_unavailable_source(
    source: HttpSource, local: GuardedFetcher, encoding: str
) -> None:
    source.answers = {"/": response(b"x", headers=[("Content-Encoding", encoding)])}
    with pytest.raises(SourceUnavailable):
        await fetch(local, source.url())


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 X\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 X\r\n" + b"X: a\r\n" * 8_000 + b"\r\n",
        b"HTTP/1.1 200 " + b"a" * 40_000,
        b"HTTP/1.1 103 X\r\n\r\n" * 4_000 + response(b"x"),
    ],
    ids=["one header", "many headers", "status line", "informational answers"],
)
async def test_a_head_that_is_too_large_is_refused(
    source: HttpSource, local: GuardedFetcher, head: bytes
) -> None:
    source.answers = {"/": head}
    with pytest.raises(SourceUnavailable):
        await fetch(local, source.url())


async def test_a_head_within_the_limit_is_read(source: HttpSource, local: GuardedFetcher) -> None:
    source.answers = {"/": response(b"x" * 100_000, headers=[("X", "a" * 30_000)])}
    assert await fetch(local, source.url()) == b"x" * 100_000


# Time.


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 X\r\nX: ", b"HTTP/1.1 200 X\r\n\r\n"])
async def test_a_drip_ends_at_the_total_limit(
    source: HttpSource, hasty: GuardedFetcher, start: bytes
) -> None:
    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    source.answers = {"/": drip}
    async with asyncio.timeout(60):
        with pytest.raises(SourceUnavailable, match="too long"):
            await fetch(hasty, source.url())


async def test_the_total_limit_spans_redirects(source: HttpSource, hasty: GuardedFetcher) -> None:
    async def slow_redirect(writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(redirect("/"))

    source.answers = {"/": slow_redirect}
    with pytest.raises(SourceUnavailable, match="too long"):
        await fetch(hasty, source.url())


@pytest.mark.parametrize(
    "limits",
    [
        FetchLimits(total_seconds=0.3, silence_seconds=60),
        FetchLimits(total_seconds=60, silence_seconds=0.3),
    ],
)
async def test_a_silent_source_ends_at_the_nearer_limit(
    source: HttpSource, limits: FetchLimits
) -> None:
    async def silent(writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    source.answers = {"/": silent}
    fetcher = GuardedFetcher(permitted=frozenset({source.pair}), limits=limits, tls=TLS)
    with pytest.raises(SourceUnavailable, match="too long"):
        await fetch(fetcher, source.url())


async def test_a_request_given_up_in_the_tls_handshake_leaves_nothing_open(
    source: HttpSource,
) -> None:
    fetcher = GuardedFetcher(permitted=frozenset({source.pair}), tls=TLS)
    given_up = asyncio.create_task(fetch(fetcher, f"https://{source.pair}/"))
    async with asyncio.timeout(60):
        await source.busy.wait()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        await source.idle.wait()


async def test_a_server_that_never_takes_part_in_tls_ends_in_time(source: HttpSource) -> None:
    wire = Wire({PUBLIC: source.port})
    fetcher = GuardedFetcher(names(a_example_com=[PUBLIC]), wire, limits=SHORT)
    with pytest.raises(SourceUnavailable):
        await fetch(fetcher, "https://a.example.com/")


async def test_a_reader_that_stops_early_leaves_nothing_open(
    source: HttpSource, local: GuardedFetcher
) -> None:
    source.answers = {"/": response(b"x" * 900_000)}

    async def first_piece(*, failure: Exception | None = None) -> bytes:
        async with local.get(source.url(), max_bytes=MEBIBYTE) as answer:
            async for piece in answer:
                if failure:
                    raise failure
                return piece
        return b""

    assert await first_piece()
    with pytest.raises(OSError, match="mine"):
        await first_piece(failure=OSError("mine"))
    async with asyncio.timeout(60):
        await source.idle.wait()


async def test_a_closed_port_is_an_unavailable_source() -> None:
    async with http_source() as source:
        pair, url = source.pair, source.url()
    with pytest.raises(SourceUnavailable) as refusal:
        await fetch(GuardedFetcher(permitted=frozenset({pair})), url)
    assert "127" not in refusal.value.message


# TLS.


async def test_tls_is_checked_against_the_name_though_an_address_is_dialled(
    tmp_path: Path,
) -> None:
    server, client = self_signed(tmp_path, "a.example.com")
    async with http_source(tls=server) as source:
        source.answers = {"/": response(b"secured")}
        wire = Wire({PUBLIC: source.port})
        resolver = names(a_example_com=[PUBLIC], b_example_com=[PUBLIC])
        fetcher = GuardedFetcher(resolver, wire, tls=client)
        assert await fetch(fetcher, "https://a.example.com/") == b"secured"
        with pytest.raises(SourceUnavailable, match="TLS"):
            await fetch(fetcher, "https://b.example.com/")
        with pytest.raises(SourceUnavailable, match="TLS"):
            await fetch(GuardedFetcher(resolver, wire), "https://a.example.com/")
        assert wire.dialled == [(PUBLIC, 443)] * 3


async def test_a_redirect_from_https_to_http_is_not_followed(tmp_path: Path) -> None:
    server, client = self_signed(tmp_path, "a.example.com")
    async with http_source(tls=server) as source:
        source.answers = {"/": redirect("http://a.example.com/")}
        wire = Wire({PUBLIC: source.port})
        fetcher = GuardedFetcher(names(a_example_com=[PUBLIC]), wire, tls=client)
        with pytest.raises(SourceUnavailable, match="https to http"):
            await fetch(fetcher, "https://a.example.com/")
        assert wire.dialled == [(PUBLIC, 443)]

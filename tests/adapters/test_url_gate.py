from ipaddress import IPv4Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.address_policy import REFUSED_IPV4, is_public
from adapters.url_gate import check_permitted, gate, gate_redirect
from domain.errors import SsrfBlocked
from tests.kit.hostile_urls import HOSTILE_URLS, spellings

ACCEPTED = {
    "http://example.com": "http://example.com/",
    "HTTPS://Example.COM:443/A?b=C#d": "https://example.com/A?b=C",
    "http://example.com:80/": "http://example.com/",
    "http://example.com:443/": "http://example.com:443/",
    "https://example.com:80/": "https://example.com:80/",
    "http://example.com./x": "http://example.com/x",
    "http://example.com?q": "http://example.com/?q",
    "http://example.com/@user:pass@host/": "http://example.com/@user:pass@host/",
    "http://example.com/?u=http://127.0.0.1:22/": "http://example.com/?u=http://127.0.0.1:22/",
    "http://example.com/a%20b%2Fc": "http://example.com/a%20b%2Fc",
    "http://example.com/ü?ö#ß": "http://example.com/%C3%BC?%C3%B6",
    'http://example.com/{a}|"b"<c>^`': "http://example.com/%7Ba%7D%7C%22b%22%3Cc%3E%5E%60",
    "http://bücher.example.com/": "http://xn--bcher-kva.example.com/",
    "http://BÜCHER.example.com/": "http://xn--bcher-kva.example.com/",
    "http://faß.de/": "http://xn--fa-hia.de/",
    "http://例え。jp/": "http://xn--r8jz45g.jp/",
    "http://例え.テスト.com/": "http://xn--r8jz45g.xn--zckzah.com/",
    "http://xn--r8jz45g.jp/": "http://xn--r8jz45g.jp/",
    "http://r3---sn-abc.googlevideo.com/v": "http://r3---sn-abc.googlevideo.com/v",
    "http://my_bucket.s3.amazonaws.com/k": "http://my_bucket.s3.amazonaws.com/k",
    "http://localhost.example.com/": "http://localhost.example.com/",
    "http://local.com/": "http://local.com/",
    "http://1.2.3.4.example.com/": "http://1.2.3.4.example.com/",
    "http://1.1.1.1/": "http://1.1.1.1/",
    "https://93.184.216.34:443/x": "https://93.184.216.34/x",
    "http://[2606:4700:4700::1111]/": "http://[2606:4700:4700::1111]/",
    "http://[2606:4700:4700:0:0:0:0:1111]:443/": "http://[2606:4700:4700::1111]:443/",
}


def test_the_table_of_hostile_urls_is_large() -> None:
    assert len(HOSTILE_URLS) > 800


@pytest.mark.parametrize("url", HOSTILE_URLS, ids=ascii)
def test_a_hostile_url_is_refused(url: str) -> None:
    with pytest.raises(SsrfBlocked):
        gate(url)


@pytest.mark.parametrize(("url", "canonical"), ACCEPTED.items())
def test_a_public_url_passes_in_one_canonical_form(url: str, canonical: str) -> None:
    assert str(gate(url)) == canonical
    assert gate(canonical) == gate(url)


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(REFUSED_IPV4).flatmap(lambda network: st.ip_addresses(network=network)),
    st.sampled_from(["http", "https"]),
    st.sampled_from(["", ":80", ":443"]),
)
def test_a_private_address_is_refused_in_every_spelling(
    address: IPv4Address, scheme: str, port: str
) -> None:
    for host in spellings(address):
        with pytest.raises(SsrfBlocked):
            gate(f"{scheme}://{host}{port}/latest/meta-data")


@settings(max_examples=200, deadline=None)
@given(st.ip_addresses(v=4).filter(is_public))
def test_of_all_spellings_of_a_public_address_only_the_plain_one_passes(
    address: IPv4Address,
) -> None:
    assert gate(f"http://{address}/").address == address
    for host in spellings(address):
        if host != str(address):
            with pytest.raises(SsrfBlocked):
                gate(f"http://{host}/")


@settings(max_examples=500, deadline=None)
@given(st.text(max_size=60) | st.text("htps:/\\@%.[]0127xlocal\u3002#?\uff11", max_size=40))
def test_any_text_is_refused_or_leads_to_a_public_looking_place(text: str) -> None:
    for url in (text, f"http://{text}", f"https://{text}/"):
        try:
            gated = gate(url)
        except SsrfBlocked:
            continue
        assert gated.port in (80, 443)
        assert str(gated).isascii()
        assert gate(str(gated)) == gated
        assert is_public(gated.address) if gated.address else "." in gated.host


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "http://example.com/b"),
        ("b", "http://example.com/a/b"),
        ("../b?c#d", "http://example.com/b?c"),
        ("?q", "http://example.com/a/x?q"),
        ("", "http://example.com/a/x"),
        ("//other.example.com/b", "http://other.example.com/b"),
        ("https://other.example.com", "https://other.example.com/"),
    ],
)
def test_a_location_is_read_relative_to_the_page(location: str, target: str) -> None:
    assert str(gate_redirect(gate("http://example.com/a/x"), location)) == target


@pytest.mark.parametrize(
    "location",
    [
        *("//127.0.0.1/", "//localhost", "///localhost/", "//user@example.com/", "//[::1]/"),
        *("//[", "//[::1", "//2130706433/", "http:/b", "http:b", "https:example.com", "file:///x"),
        *(
            "javascript:x",
            "/a b",
            "/a\tb",
            "/\r\nX: y",
            "\\\\localhost\\",
            "/\\localhost",
            "\t//localhost",
        ),
        *("//example.com:22/", "//loca\u00adlhost/", "//127\u30020.0.1/", "HTTP://LOCALHOST/"),
    ],
)
def test_a_hostile_location_is_refused(location: str) -> None:
    with pytest.raises(SsrfBlocked):
        gate_redirect(gate("http://example.com/a/x"), location)


@pytest.mark.parametrize(
    ("url", "pair"),
    [
        ("http://127.0.0.1:9000/x", "127.0.0.1:9000"),
        ("http://localhost:9000/x", "localhost:9000"),
        ("http://LOCALHOST.:9000/x", "localhost:9000"),
        ("http://[0:0::1]:9000/x", "[::1]:9000"),
        ("https://minio.local/x", "minio.local:443"),
    ],
)
def test_a_permitted_pair_passes_and_only_that_pair(url: str, pair: str) -> None:
    assert gate(url, permitted=frozenset({pair})).permitted
    with pytest.raises(SsrfBlocked):
        gate(url, permitted=frozenset({"10.0.0.1:9000", "localhost:9001", "127.0.0.1:80"}))


@pytest.mark.parametrize("url", HOSTILE_URLS, ids=ascii)
def test_a_permitted_pair_lets_no_hostile_url_through(url: str) -> None:
    with pytest.raises(SsrfBlocked):
        gate(url, permitted=frozenset({"127.0.0.1:9000", "localhost:9000", "[::1]:9000"}))


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.1:9000/", "http://2130706433:9000/", "http://u@127.0.0.1:9000/"),
        *("http://127.0.0.1.:9000/", "http://127.0.0.1:09000/", "http://127.0.0.2:9000/"),
        *("ftp://127.0.0.1:9000/", "http://[::ffff:127.0.0.1]:9000/", "http://127.0.0.1/"),
    ],
)
def test_a_permitted_pair_loosens_nothing_else(url: str) -> None:
    with pytest.raises(SsrfBlocked):
        gate(url, permitted=frozenset({"127.0.0.1:9000"}))


@pytest.mark.parametrize(
    "pair",
    ["localhost", "Localhost:1", ":80", "http://a:80", "a:0", "::1:80", "[0::1]:80", "a.:80"],
)
def test_a_pair_that_could_never_match_is_refused_at_start(pair: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        check_permitted(frozenset({pair}))


def test_the_refusal_does_not_say_more_than_the_caller_wrote() -> None:
    with pytest.raises(SsrfBlocked) as refusal:
        gate("http://169.254.169.254/secret")
    assert "169" not in refusal.value.message
    assert refusal.value.code == "SSRF_BLOCKED"

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.address_policy import is_public
from tests.kit.hostile_urls import PRIVATE_IPV4, PRIVATE_IPV6

PUBLIC = (
    *("1.0.0.0", "1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34"),
    *("100.63.255.255", "100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15"),
    *("168.63.129.17", "169.253.255.255", "169.255.0.0", "172.15.255.255", "172.32.0.0"),
    *("192.0.1.0", "192.0.3.0", "192.88.98.255", "192.167.255.255", "192.169.0.0"),
    *("198.17.255.255", "198.20.0.0", "198.51.101.0", "203.0.112.255", "203.0.114.0"),
    *("223.255.255.255", "2001:200::1", "2001:4860:4860::8888", "2003::1", "2400:cb00::1"),
    *("2606:4700:4700::1111", "2620:fe::fe", "2620:4f:8001::1", "2a00:1450:4001::1", "2c0f::1"),
    *("2001:db7:ffff::1", "2001:db9::1", "2003:ffff::1", "3ffd:ffff::1", "3fff:1000::1"),
)

# The registry's own ranges, as the standard library of a later Python knows them.
SPECIAL_IPV4 = [IPv4Network(text) for text in (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
    "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
    "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
)]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_may_be_reached(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize("text", [*PRIVATE_IPV4, *PRIVATE_IPV6])
def test_a_special_address_may_not_be_reached(text: str) -> None:
    assert not is_public(ip_address(text))


@given(st.sampled_from(SPECIAL_IPV4).flatmap(lambda network: st.ip_addresses(network=network)))
def test_no_address_of_a_special_ipv4_range_is_public(address: IPv4Address) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_what_the_standard_library_calls_special_is_never_public(address: IPv4Address) -> None:
    special = (
        address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
    assert not (special and is_public(address))


@given(st.ip_addresses(v=6).filter(lambda address: address not in IPv6Network("2000::/3")))
def test_no_ipv6_address_outside_global_unicast_is_public(address: IPv6Address) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4))
def test_no_ipv6_address_that_carries_an_ipv4_address_is_public(address: IPv4Address) -> None:
    number = int(address)
    carriers = (
        number,
        0xFFFF << 32 | number,
        0xFFFF << 48 | number,
        0x64FF9B << 96 | number,
        0x0064FF9B0001 << 80 | number,
        0x2002 << 112 | number << 80,
        0x20010000 << 96 | number ^ 0xFFFF_FFFF,
        0x26064700 << 96 | 0x5EFE << 32 | number,
        0x26064700 << 96 | 0x0200_5EFE << 32 | number,
    )
    assert not any(is_public(IPv6Address(carrier)) for carrier in carriers)


def test_an_address_of_one_interface_only_is_not_public() -> None:
    assert not is_public(IPv6Address("2606:4700:4700::1111%eth0"))

"""Which IP addresses a URL that a user chose may lead to. Pure; asked for every dial.

Known good rather than known bad: `is_global` of the standard library lets NAT64, IPv4-compatible,
site-local and multicast addresses through.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

IPAddress = IPv4Address | IPv6Address

REFUSED_IPV4 = tuple(
    IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network (RFC 791); 0.0.0.0 reaches loopback
        "10.0.0.0/8",  # private (RFC 1918)
        "100.64.0.0/10",  # carrier NAT (RFC 6598); holds Alibaba's 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent, in the middle of public space
        "169.254.0.0/16",  # link-local (RFC 3927); holds the clouds' metadata servers
        "172.16.0.0/12",  # private (RFC 1918)
        "192.0.0.0/24",  # IETF assignments (RFC 6890); holds Oracle's 192.0.0.192
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # AMT (RFC 7450)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "192.168.0.0/16",  # private (RFC 1918)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
    )
)

# Everything else is refused, and with it ::1, fe80::/10, fc00::/7, ff00::/8, IPv4-mapped and
# -compatible, NAT64 (64:ff9b::/96, 64:ff9b:1::/48), discard (100::/64) and SRv6 (5f00::/16).
GLOBAL_UNICAST = IPv6Network("2000::/3")

REFUSED_IPV6 = tuple(
    IPv6Network(network)
    for network in (
        "2001::/23",  # IETF assignments (RFC 2928): Teredo, ORCHID, benchmarks, AMT, AS112
        "2001:db8::/32",  # documentation (RFC 3849)
        "2002::/16",  # 6to4 (RFC 3056): carries an IPv4 address
        "2620:4f:8000::/48",  # AS112 (RFC 7534)
        "3ffe::/16",  # 6bone, given back (RFC 3701)
        "3fff::/20",  # documentation (RFC 9637)
    )
)

# RFC 5214: an interface identifier that begins so carries an IPv4 address, under any prefix.
ISATAP_MARKS = frozenset({0x0000_5EFE, 0x0200_5EFE})


def is_public(address: IPAddress) -> bool:
    """Whether the address is a host on the public internet and can be nothing else."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_IPV4)
    if address.scope_id is not None or address not in GLOBAL_UNICAST:
        return False
    if (int(address) >> 32) & 0xFFFF_FFFF in ISATAP_MARKS:
        return False
    return not any(address in network for network in REFUSED_IPV6)

"""URLs that must be refused on their face: before any lookup and any dial.

From RFC 1918, 3849, 3986, 4291, 5737, 6052, 6598, 6761, 6762, 6890, 8215, 8375, 9476, 9637, the
IANA special-purpose registries, the WHATWG URL tests, and the usual lists of SSRF bypasses.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

# Not a complete http(s) URL, or one that parsers read in different ways.
MALFORMED = (
    "", " ", "http", "http:", "http:/", "http://", "http:///", "http:////", "https:///path",
    "http:example.com", "http:/example.com", "http:///example.com/", "http:////example.com",
    "//example.com/", "///example.com", "/etc/passwd", "example.com", "example.com:80",
    "?http://example.com", "#http://example.com", "http//example.com", "://example.com",
    "http://?q", "http://#f", "http://?@example.com", "http://:80", "http://:80/", "http://:443",
    "url:http://example.com", "URL:http://127.0.0.1", "http::example.com", "http:://example.com",
    "http\u017f://example.com/", "\u0127ttp://example.com/", "\uff48ttp://example.com/",
    "http\uff1a//example.com/", "http:\uff0f\uff0fexample.com/", "https\ufe55//example.com",
    " http://example.com/", "http://example.com/ ", "\thttp://example.com", "ht\ntp://example.com",
    "http://exa mple.com/", "http://example.com/a b", "http://example.com/\r\nX: y",
    "http://example.com/\nHost: 127.0.0.1", "http://example.com\r\n.local/", "http://\t127.0.0.1/",
    "http://127.0.0.1\t/", "http://exam\x00ple.com/", "http://example.com\x00.png", "\x00http://a.b",
    "http://example.com/\x7f", "http://example.com/\x85", "http://example.com/\xa0",
    "http://example.com/\u2028", "http://example.com/\u3000", "\ufeff http://example.com/",
    "http:\\\\example.com", "http:/\\example.com", "http:\\/example.com", "http://example.com\\",
    "http://example.com\\@127.0.0.1/", "http://127.0.0.1\\@example.com/", "\\\\127.0.0.1\\share",
    "http://example.com\\.local/", "http://example.com/\\..\\x", "http://example.com/\ud800",
    "http://\udc80example.com/", "http://example.com/" + "a" * 2048,
    "http://" + "a." * 1100 + "com",
)  # fmt: skip

SCHEMES = (
    "ftp://example.com/", "ftps://example.com/", "sftp://example.com/", "tftp://example.com/x",
    "file:///etc/passwd", "file://localhost/etc/passwd", "file://example.com/x", "file:/etc/passwd",
    "gopher://example.com:80/_GET", "gopher://127.0.0.1:6379/_FLUSHALL", "dict://127.0.0.1:11211/s",
    "ldap://127.0.0.1/", "ldaps://example.com/", "ws://example.com/", "wss://example.com/",
    "data:text/html,hi", "data:image/svg+xml;base64,AA==", "javascript:alert(1)",
    "jar:http://example.com!/", "netdoc:///etc/passwd", "phar://x", "php://filter/resource=x",
    "expect://id", "ssh://example.com", "telnet://example.com", "smb://example.com/x",
    "imap://example.com", "smtp://example.com", "rtsp://example.com", "tcp://example.com:80",
    "unix:/var/run/docker.sock", "http+unix://%2Fvar%2Frun%2Fdocker.sock/x", "unix://x",
    "blob:http://example.com/x", "about:blank", "view-source:http://example.com", "mailto:a@b.c",
    "chrome://version", "resource://x", "s3://bucket/key", "git://example.com", "httpx://example.com",
    "http2://example.com", "httpss://example.com", "xhttp://example.com", "h\u200bttp://example.com",
    "http.://example.com", "http+://example.com", "-http://example.com", "0http://example.com",
)  # fmt: skip

CREDENTIALS = (
    "http://user@example.com/", "http://user:pass@example.com/", "http://:pass@example.com/",
    "http://@example.com/", "http://:@example.com/", "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/", "http://127.0.0.1@example.com/", "http://a@b@example.com/",
    "http://example.com%40127.0.0.1/", "http://example.com%2540127.0.0.1/",
    "http://user%3apass@example.com", "http://example.com&@127.0.0.1/", "http://1.1.1.1 &@2.2.2.2/",
    "http://127.0.0.1:80;@example.com/", "http://[::1]@example.com/", "http://example.com@[::1]/",
    "https://example.com:443@localhost", "http://foo@127.0.0.1:80@example.com/",
    "http://example.com\uff20127.0.0.1/", "http://example.com\ufe6b127.0.0.1/",
    "http://anything@metadata.google.internal/",
)  # fmt: skip

PORTS = (
    *(f"http://example.com:{port}/" for port in (
        1, 7, 8, 21, 22, 23, 25, 53, 79, 81, 110, 111, 123, 135, 139, 143, 389, 442, 444, 445, 465,
        587, 631, 873, 993, 1080, 1433, 1521, 2049, 2375, 2379, 3000, 3128, 3306, 3389, 4443, 5000,
        5432, 5984, 6379, 6443, 8000, 8080, 8443, 8789, 8790, 9000, 9090, 9200, 10250, 11211, 15672,
        27017, 50070, 65535, 65536, 65616, 65979, 99999, 100080, 4294967376,
    )),
    "http://example.com:/", "http://example.com:0/", "http://example.com:00/", "https://a.com:-1/",
    "http://example.com:080/", "http://example.com:0080/", "http://example.com:+80/",
    "http://example.com:-80/", "http://example.com:80:80/", "http://example.com:8 0/",
    "http://example.com:0x50/", "http://example.com:8_0/", "http://example.com:80a/",
    "http://example.com:\uff18\uff10/", "http://example.com:\u0668\u0660/", "http://example.com:a/",
    "http://example.com::80/", "http://example.com:80.0/", "http://example.com:%38%30/",
    "http://1.1.1.1:22/", "https://1.1.1.1:8443/", "http://[2606:4700:4700::1111]:8080/",
    "http://[2606:4700:4700::1111]80/", "http://[2606:4700:4700::1111]:/",
)  # fmt: skip

INSIDE_NAMES = (
    "http://localhost/", "https://localhost/", "http://LOCALHOST/", "http://LocalHost:80/",
    "http://localhost./", "http://localhost../", "http://.localhost/", "http://a.localhost/",
    "http://www.a.localhost/", "http://localhost.localdomain/", "http://localhost4/",
    "http://localhost6/", "http://localhost6.localdomain6/", "http://ip6-localhost/",
    "http://ip6-loopback/", "http://broadcasthost/", "http://loopback/", "http://printer.local/",
    "http://printer.LOCAL./", "http://x.local:443/", "http://local/", "http://internal/",
    "http://db.internal/", "http://db.corp.internal./", "http://metadata.google.internal/",
    "http://METADATA.google.INTERNAL/computeMetadata/v1/", "http://metadata.goog/",
    "http://metadata/", "http://instance-data/", "http://instance-data.ec2.internal/latest/",
    "http://ip-10-0-0-1.eu-west-1.compute.internal/", "http://host.docker.internal/",
    "http://gateway.docker.internal/", "http://host.containers.internal/", "http://x.docker/",
    "http://kubernetes/", "http://kubernetes.default/", "http://kubernetes.default.svc/",
    "http://kubernetes.default.svc.cluster.local/", "http://redis/", "http://postgres:80/",
    "http://db.consul/", "http://vault.service.consul/", "http://intranet/", "http://wiki.intranet/",
    "http://nas.home/", "http://nas.home.arpa/", "http://nas.lan/", "http://dc.corp/",
    "http://x.private/", "http://x.domain/", "http://x.workgroup/", "http://a.test/",
    "http://a.invalid/", "http://a.example/", "http://abc.onion/", "http://a.alt/",
    "http://1.0.0.127.in-addr.arpa/", "http://ipv4only.arpa/", "http://x.localdomain/",
    "http://l\u00adocalhost/", "http://\u24db\u24de\u24d2\u24d0\u24db\u24d7\u24de\u24e2\u24e3/",
    "http://\uff4c\uff4f\uff43\uff41\uff4c\uff48\uff4f\uff53\uff54/", "http://local\u017fhost/",
    "http://loca\u200blhost/", "http://db\u3002internal/", "http://db\uff0einternal/",
    "http://db\uff61internal/", "http://db.\u2139nternal/", "http://db.\uff29NTERNAL/",
    "http://db.interna\u2113/", "http://printer.\u2113ocal/", "http://x.loca\u216c/",
    "http://%6c%6f%63%61%6c%68%6f%73%74/", "http://localhos%74/", "http://localhost%00.example.com/",
    "http://localhost%2eexample.com/", "http://localhost%23.example.com/", "http://com/",
    "http://localhost%2f.example.com/", "http://example/", "http://a/", "http://intranet./",
)  # fmt: skip

MALFORMED_NAMES = (
    "http://./", "http://../", "http://.../", "http://.com/", "http://example..com/",
    "http://example.com../", "http://.example.com/", "http://-example.com/", "http://example-.com/",
    "http://exa$mple.com/", "http://exa*mple.com/", "http://*.example.com/", "http://exa,mple.com/",
    "http://exa;mple.com/", "http://exa'mple.com/", 'http://exa"mple.com/', "http://<a>.com/",
    "http://exa|mple.com/", "http://exa^mple.com/", "http://exa`mple.com/", "http://{a}.com/",
    "http://exa!mple.com/", "http://exa(mple).com/", "http://exa=mple.com/", "http://a+b.com/",
    "http://$(id).example.com/", "http://exa%6dple.com/", "http://example.com%2f@a/",
    "http://example.com%/", "http://%/", "http://%zz.com/", "http://exa~mple.com/",
    f"http://{'a' * 64}.com/", f"http://{'.'.join(['a' * 60] * 5)}.com/", "http://xn--/",
    "http://xn--a.com/", "http://xn--.com/", "http://xn--0.com/", "http://xn--\u00e9.com/",
    "http://xn--local-.com/", "http://xn--999999999.com/", "http://\u0301a.com/",
    "http://a\u2044b.com/", "http://a\uff0fb.com/", "http://\u2100.com/", "http://\u2105.com/",
    "http://a\uff1ab.com/", "http://a\uff03b.com/", "http://a\uff1fb.com/", "http://a\uff05b.com/",
    "http://\u2488com/", "http://\u202egro.elpmaxe/", "http://a\u0628.com/", "http://\u200d.com/",
    "http://exa\uff3cmple.com/", "http://example.com\ufe13/", "http://[example.com]/",
    "http://example.com]/", "http://[example.com/", "http://[]/", "http://[/", "http://]/",
    "http://[]:80/", "http://a[b].com/", "http://[1]/", "http://[1.1.1.1]/", "http://[::",
)  # fmt: skip

# Each in a form that inet_aton, a resolver or a browser takes for an address.
NUMBERS = (
    "http://0/", "http://00/", "http://1/", "http://127/", "http://2130706433/", "http://0x7f000001/",
    "http://0X7F000001/", "http://017700000001/", "http://0177.0.0.1/", "http://0x7f.0.0.1/",
    "http://0x7f.0x0.0x0.0x1/", "http://127.1/", "http://127.0.1/", "http://127.0.0.1./",
    "http://127.0.0.1../", "http://127..0.1/", "http://.127.0.0.1/", "http://127.0.0.01/",
    "http://127.0.0.001/", "http://127.000.000.1/", "http://00127.0.0.1/", "http://127.0.0.0x1/",
    "http://127.0.0.0x/", "http://0x/", "http://0x./", "http://a.0x/", "http://example.0/",
    "http://example.123/", "http://example.0x7f/", "http://1.2.3/", "http://1.2.3.4.5/",
    "http://1.1.1.1./", "http://1.1.1.01/", "http://256.0.0.1/", "http://383.0.0.1/",
    "http://4294967296/", "http://6425673729/", "http://127.0.0.257/", "http://127.256/",
    "http://127.65536/", "http://99999999999999999999/", "http://1.1.1.1.0x7f/", "http://1e9/",
    "http://16843009/", "http://0x01010101/", "http://1.1.257/", "http://1.65793/",
    "http://127.0.0.1%00/", "http://127.0.0.1%20/", "http://127.0.0.1%2e/", "http://%31%32%37.0.0.1/",
    "http://127%2e0%2e0%2e1/", "http://127.0.0.%31/", "http://-1/", "http://-127.0.0.1/",
    "http://+127.0.0.1/", "http://127.0.0.1,/", "http://127.0.0.1;/", "http://127.0.0.1_/",
    "http://\uff11\uff12\uff17.0.0.1/", "http://\u2460\u2461\u2466.\u24ea.\u24ea.\u2460/",
    "http://\u0661\u0662\u0667.0.0.1/", "http://127\u30020\u30020\u30021/", "http://\u2474.1.1.1/",
    "http://127\uff0e0\uff0e0\uff0e1/", "http://127\uff610\uff610\uff611/", "http://\u00b9.1.1.1/",
    "http://1.1.1.\uff11/", "http://1\u30021\u30021\u30021/", "http://1\u200b27.0.0.1/",
    "http://\U0001d7cf\U0001d7d0\U0001d7d5.0.0.1/", "http://\uff10x7f.0.0.1/", "http://1\u00ad.1/",
)  # fmt: skip

PRIVATE_IPV4 = (
    "0.0.0.0",  # noqa: S104 - refused here, not bound to
    "0.0.0.1", "0.1.2.3", "0.255.255.255", "10.0.0.0", "10.0.0.1", "10.255.255.255",
    "100.64.0.0", "100.64.0.1", "100.100.100.200", "100.127.255.255", "127.0.0.0", "127.0.0.1",
    "127.0.0.53", "127.1.1.1", "127.255.255.254", "127.255.255.255", "168.63.129.16", "169.254.0.0",
    "169.254.0.1", "169.254.169.123", "169.254.169.253", "169.254.169.254", "169.254.170.2",
    "169.254.170.23", "169.254.255.255", "172.16.0.0", "172.16.0.1", "172.17.0.1", "172.20.10.1",
    "172.31.255.255", "192.0.0.0", "192.0.0.1", "192.0.0.8", "192.0.0.9", "192.0.0.10",
    "192.0.0.170", "192.0.0.171", "192.0.0.192", "192.0.0.255", "192.0.2.0", "192.0.2.255",
    "192.31.196.1", "192.52.193.1",
    "192.88.99.0", "192.88.99.1", "192.88.99.255", "192.168.0.0", "192.168.0.1",
    "192.168.1.1", "192.168.255.255", "192.175.48.1", "198.18.0.0", "198.18.0.1", "198.19.255.255",
    "198.51.100.0", "198.51.100.255", "203.0.113.0", "203.0.113.255", "224.0.0.0", "224.0.0.1",
    "224.0.0.251", "232.1.2.3", "233.252.0.1", "239.255.255.250", "239.255.255.255", "240.0.0.0",
    "240.0.0.1", "247.1.2.3", "254.255.255.255", "255.0.0.1", "255.255.255.254", "255.255.255.255",
)  # fmt: skip

PRIVATE_IPV6 = (
    "::", "::1", "0:0:0:0:0:0:0:1", "0000:0000:0000:0000:0000:0000:0000:0001", "::0.0.0.1", "::2",
    "::127.0.0.1", "::7f00:1", "::1.1.1.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "::FFFF:7F00:1",
    "0:0:0:0:0:ffff:127.0.0.1", "::ffff:0.0.0.0", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe", "::ffff:192.168.0.1", "::ffff:1.1.1.1", "::ffff:0:127.0.0.1",
    "::ffff:0:7f00:1", "::ffff:0:1.1.1.1", "64:ff9b::", "64:ff9b::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b::1.1.1.1", "64:ff9b:1::", "64:ff9b:1::127.0.0.1",
    "64:ff9b:1:7f00:0:100::", "100::", "100::1", "100:0:0:1::1", "400::1", "1000::1", "1fff::1",
    "2001::", "2001::1", "2001:0:7f00:1::", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:1::1",
    "2001:1::2", "2001:1::3", "2001:2::", "2001:2::1", "2001:3::1", "2001:4:112::1", "2001:10::",
    "2001:1f:ffff::1", "2001:20::1", "2001:30::1", "2001:1ff:ffff::1", "2001:db8::", "2001:db8::1",
    "2001:0db8:85a3::8a2e:0370:7334", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2002::", "2002::1",
    "2002:7f00:1::", "2002:7f00:0001::1", "2002:0a00:0001::", "2002:a9fe:a9fe::", "2002:c0a8:1::",
    "2002:101:101::1", "2002:ffff:ffff::1", "2620:4f:8000::1", "3ffe::1", "3fff::", "3fff::1",
    "3fff:fff:ffff::1", "4000::1", "5f00::1", "6000::1", "8000::1", "a000::1", "c000::1", "e000::1",
    "f000::1", "f800::1", "fc00::", "fc00::1", "fd00::1", "fd00:ec2::254", "fd20:ce::254",
    "fdff:ffff::1", "fe00::1", "fe80::", "fe80::1", "FE80::A9FE:A9FE", "febf::1", "fec0::1",
    "fec0:0:0:ffff::1", "feff::1", "ff00::", "ff01::1", "ff02::1", "ff02::2", "ff02::fb",
    "ff05::1:3", "ff0e::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2606:4700::5efe:7f00:1",
    "2606:4700::5efe:10.0.0.1", "2606:4700::200:5efe:10.0.0.1",
)  # fmt: skip

IPV6_FORMS = (
    "http://::1/", "http://::1:80/", "http://fe80::1/", "http://[::1%eth0]/", "http://[::1%25eth0]/",
    "http://[fe80::1%25lo]/", "http://[fe80::1%251]/", "http://[2606:4700::1111%25eth0]/",
    "http://[2606:4700::1111%1]/", "http://[v1.fe80::1]/", "http://[v6.2606:4700::1111]/",
    "http://[:::1]/", "http://[::1::]/", "http://[1:2:3:4:5:6:7]/", "http://[1:2:3:4:5:6:7:8:9]/",
    "http://[12345::1]/", "http://[::g]/", "http://[::127.1]/", "http://[::0x7f.0.0.1]/",
    "http://[::127.0.0.01]/", "http://[::256.0.0.1]/", "http://[[::1]]/", "http://[::1]]/",
    "http://[::1].example.com/", "http://example.com[::1]/", "http://[::1]example.com/",
    "http://[::1", "http://::1]/", "http://[::1]:a/", "http://[ ::1]/", "http://[::1 ]/",
    "http://[\uff1a\uff1a1]/", "http://[::\uff11]/", "http://[::%31]/", "http://%5b::1%5d/",
    "http://%5B%3A%3A1%5D/", "http://[::1]./", "http://[2606:4700::1111]./", "http://--1.ipv6/x y",
)  # fmt: skip


def spellings(address: IPv4Address) -> Iterator[str]:
    """The host part of a URL, in every way in which somebody reads it as this address."""
    number, packed = int(address), address.packed
    a, b, c, d = packed
    dotted = str(address)
    high, low = number >> 16, number & 0xFFFF
    yield from (dotted, f"{dotted}.", f"0{dotted}", f"{dotted}%00", f"[{dotted}]")
    yield from (str(number), f"{number}.", f"0{number:o}", f"000{number:o}", str(number + 2**32))
    yield from (f"0x{number:x}", f"0X{number:08X}", f"0x{number:016x}", f"0x{number:x}.")
    yield from (f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{low}", f"{a}.0x{number & 0xFFFFFF:x}")
    yield from (".".join(f"0{octet:o}" for octet in packed), ".".join(f"{o:04o}" for o in packed))
    yield from (".".join(f"0x{octet:x}" for octet in packed), ".".join(f"{o:03}" for o in packed))
    yield from (f"0x{a:x}.{b}.0{c:o}.{d}", f"{a}.{b}.{c}.0x{d:x}", f"{a + 256}.{b}.{c}.{d}")
    yield from (dotted.replace(".", dot) for dot in ("\u3002", "\uff0e", "\uff61", "%2e", "\u2024"))
    yield from (dotted.translate(digits) for digits in _DIGITS)
    yield "".join(f"%{ord(character):02x}" for character in dotted)
    yield from (f"user@{dotted}", f"example.com@{dotted}", f"example.com\\@{dotted}")
    yield from (f"{dotted}\t", f" {dotted}", f"{dotted[0]}\u00ad{dotted[1:]}", f"\u200b{dotted}")
    mapped = (f"::ffff:{dotted}", f"::ffff:{high:x}:{low:x}", f"0:0:0:0:0:FFFF:{high:X}:{low:X}")
    compatible = (f"::{dotted}", f"::{high:x}:{low:x}", f"::ffff:0:{dotted}")
    nat64 = (f"64:ff9b::{dotted}", f"64:ff9b:1::{high:x}:{low:x}")
    tunnels = (
        f"2002:{high:x}:{low:x}::1",
        f"2001::{high ^ 0xFFFF:x}:{low ^ 0xFFFF:x}",
        f"2001:0:{high:x}:{low:x}::",
        f"2606:4700::5efe:{dotted}",
        f"2606:4700::200:5efe:{high:x}:{low:x}",
    )
    for text in (*mapped, *compatible, *nat64, *tunnels):
        yield from (f"[{text}]", f"[{IPv6Address(text).exploded}]", f"[{text}%25eth0]")


# Full-width, mathematical bold and Arabic-Indic digits.
_DIGITS = tuple(
    {ord("0") + digit: chr(zero + digit) for digit in range(10)}
    for zero in (0xFF10, 0x1D7CE, 0x0660)
)

HOSTILE_URLS = tuple(
    dict.fromkeys(
        (
            *MALFORMED,
            *SCHEMES,
            *CREDENTIALS,
            *PORTS,
            *INSIDE_NAMES,
            *MALFORMED_NAMES,
            *NUMBERS,
            *IPV6_FORMS,
            *(f"http://{address}/" for address in PRIVATE_IPV4),
            *(f"https://{address}:80/x?y" for address in PRIVATE_IPV4),
            *(f"http://[{address}]/" for address in PRIVATE_IPV6),
            *(f"http://{host}/" for host in spellings(IPv4Address("127.0.0.1"))),
            *(f"http://{host}/" for host in spellings(IPv4Address("169.254.169.254"))),
        )
    )
)

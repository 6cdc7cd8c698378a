"""The strict reading of a URL that a user chose, before anything is looked up or dialled. Pure.

What is read here is what is sent: no second parser sees the text, so no two can disagree on it.
"""

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final, Literal
from urllib.parse import quote, urljoin

import idna
import msgspec

from adapters.address_policy import IPAddress, is_public
from domain.errors import SsrfBlocked

MAX_URL_LENGTH: Final = 2048
MAX_NAME_LENGTH: Final = 253
DEFAULT_PORTS: Final = {"http": 80, "https": 443}
ALLOWED_PORTS: Final = frozenset(DEFAULT_PORTS.values())

# Parsers drop, trim or turn these into slashes, each in its own way.
_AMBIGUOUS = re.compile(r"[\x00-\x20\x7f-\x9f\s\\\ud800-\udfff]")
# ASCII, since without it IGNORECASE takes U+017F for an s.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<authority>[^/?#]+)(?P<path>/[^?#]*)?(?P<query>\?[^#]*)?(?:#.*)?",
    re.ASCII | re.IGNORECASE,
)
_AUTHORITY = re.compile(
    r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<name>[^:\[\]]+))(?::(?P<port>[1-9][0-9]{0,4}))?"
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_TOP_LABEL = re.compile(r"[a-z][a-z0-9-]+")
# What some resolver or inet_aton takes for a number: then only a.b.c.d in plain decimal will do.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_HAS_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PAIR = re.compile(r"(?:\[[0-9a-f:.]+\]|[a-z0-9_.-]+):[1-9][0-9]{0,4}")
_KEPT_IN_TARGET = "/?:@!$&'()*+,;=-._~%[]"

# Names that only mean something inside a network: RFC 6761, 6762, 7686, 8375, 9476, ICANN's
# reserved strings, and what routers, clouds and container platforms use.
_INSIDE_NAMES = frozenset(
    {
        *("localhost", "localhost4", "localhost6"),
        *("localdomain", "localdomain4", "localdomain6"),
        *("local", "internal", "intranet", "private", "corp", "home", "lan"),
        *("domain", "workgroup", "test", "invalid", "example", "onion", "alt", "arpa"),
        *("svc", "default", "consul", "docker", "kubernetes", "metadata.goog"),
    }
)


class GatedUrl(msgspec.Struct, frozen=True):
    """A URL that may be called as far as its text can tell."""

    scheme: Literal["http", "https"]
    host: str
    """A lower-case ASCII name without a final dot, or an address without brackets."""
    port: int
    target: str
    """Path and query as they are sent."""
    address: IPAddress | None
    """Set where the host is an address."""
    permitted: bool
    """Let through by the development setting, wherever it leads."""

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def check_permitted(pairs: frozenset[str]) -> frozenset[str]:
    """The pairs themselves, if each is a `host:port` as the gate writes it, else ValueError."""
    for pair in pairs:
        host = pair.rpartition(":")[0]
        canonical = _PAIR.fullmatch(pair) and not host.endswith(".")
        if not canonical or (host.startswith("[") and host != f"[{IPv6Address(host[1:-1])}]"):
            raise ValueError(f"{pair!r} is no host:port in lower case, as 127.0.0.1:9000.")
    return pairs


def gate(text: str, *, permitted: frozenset[str] = frozenset()) -> GatedUrl:
    """Read the URL, or raise SsrfBlocked. `permitted` holds `host:port` pairs that pass."""
    if len(text) > MAX_URL_LENGTH:
        raise SsrfBlocked(f"it is longer than {MAX_URL_LENGTH} characters")
    if _AMBIGUOUS.search(text):
        raise SsrfBlocked("it holds spaces, control characters or backslashes")
    url = _URL.fullmatch(text)
    if url is None:
        raise SsrfBlocked("it is no complete http or https URL")
    if "@" in url["authority"]:
        raise SsrfBlocked("it holds credentials")
    authority = _AUTHORITY.fullmatch(url["authority"])
    if authority is None or "%" in url["authority"]:
        raise SsrfBlocked("its host or port is malformed")
    scheme: Literal["http", "https"] = "https" if url["scheme"].lower() == "https" else "http"
    address: IPAddress | None
    if authority["ipv6"]:
        address = _ipv6(authority["ipv6"])
        host, pair_host = str(address), f"[{address}]"
    else:
        host = pair_host = _name(authority["name"])
        address = _ipv4(authority["name"], host)
    port = int(authority["port"] or DEFAULT_PORTS[scheme])
    is_permitted = f"{pair_host}:{port}" in permitted
    if not is_permitted:
        _refuse_inside(host, port, address)
    return GatedUrl(
        scheme=scheme,
        host=host,
        port=port,
        target=quote((url["path"] or "/") + (url["query"] or ""), safe=_KEPT_IN_TARGET),
        address=address,
        permitted=is_permitted,
    )


def gate_redirect(
    base: GatedUrl, location: str, *, permitted: frozenset[str] = frozenset()
) -> GatedUrl:
    """Read the Location of an answer to `base` through the same gate. Raises SsrfBlocked."""
    if _AMBIGUOUS.search(location):
        raise SsrfBlocked("it redirects to a URL with spaces, control characters or backslashes")
    if _HAS_SCHEME.match(location):
        return gate(location, permitted=permitted)
    if location.startswith("///"):
        raise SsrfBlocked("it redirects to a URL without a host")
    try:
        joined = urljoin(str(base), location)
    except ValueError as error:
        raise SsrfBlocked("it redirects to a malformed URL") from error
    return gate(joined, permitted=permitted)


def _refuse_inside(host: str, port: int, address: IPAddress | None) -> None:
    if port not in ALLOWED_PORTS:
        raise SsrfBlocked("only the ports 80 and 443 are called")
    if address is not None:
        if not is_public(address):
            raise SsrfBlocked("its address is not a public one")
        return
    labels = host.split(".")
    if len(labels) == 1 or _TOP_LABEL.fullmatch(labels[-1]) is None:
        raise SsrfBlocked("its host name has no domain")
    if any(".".join(labels[start:]) in _INSIDE_NAMES for start in range(len(labels))):
        raise SsrfBlocked("its host name belongs to an inside network")


def _ipv6(text: str) -> IPv6Address:
    try:
        return IPv6Address(text)
    except AddressValueError as error:
        raise SsrfBlocked("its IPv6 address is malformed") from error


def _ipv4(written: str, name: str) -> IPv4Address | None:
    if _NUMBER.fullmatch(name.rpartition(".")[2]) is None:
        return None
    try:
        # As written, not as mapped: full-width digits and final dots are no plain address.
        return IPv4Address(written)
    except AddressValueError as error:
        raise SsrfBlocked("its host is a number, but no plain IPv4 address") from error


def _name(written: str) -> str:
    name = written.lower()
    if not written.isascii():
        try:
            name = idna.encode(written, uts46=True, std3_rules=True).decode("ascii")
        except UnicodeError as error:
            raise SsrfBlocked("its host name is not valid IDNA") from error
    name = name.removesuffix(".")
    labels = name.split(".")
    if len(name) > MAX_NAME_LENGTH or not all(map(_LABEL.fullmatch, labels)):
        raise SsrfBlocked("its host name is malformed")
    for label in labels:
        if label.startswith("xn--"):
            try:
                idna.ulabel(label)
            except UnicodeError as error:
                raise SsrfBlocked("its host name is not valid IDNA") from error
    return name

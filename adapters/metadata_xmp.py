"""Takes places out of an XMP packet. Pure, in the decode child."""

import re
from typing import Any
from xml.etree import ElementTree as ET
from xml.parsers import expat

PLACES = frozenset({
    "City", "State", "Country", "CountryCode", "Location", "LocationCreated", "LocationShown",
    "Sublocation", "ProvinceState", "CountryName", "WorldRegion", "LocationName", "LocationId",
    "Latitude", "Longitude", "Altitude", "Coordinates", "location", "lat", "long", "alt",
    "GeotagsKML", "geotag", "LocationText", "Geography",
})  # fmt: skip
"""Local names in exif, photoshop, Iptc4xmpCore, Iptc4xmpExt, drone and geo vocabularies."""
GPS = re.compile("gps", re.IGNORECASE)
BEGIN, END = b"<?xpacket begin", b"<?xpacket end"
MOST_BYTES = 4 * 1024 * 1024
MOST_DEPTH = 64


class _TooMuch(Exception):
    """No XMP that a camera or program writes."""


def without_places(packet: bytes) -> bytes | None:
    """The packet without places; None: there were none. Empty when it cannot be read."""
    try:
        _check(packet)
        for prefix, name in _namespaces(packet):
            if prefix and re.fullmatch(r"ns\d+", prefix) is None:
                ET.register_namespace(prefix, name)
        root = ET.fromstring(_inner(packet))  # noqa: S314 - checked: no entities
    except (ET.ParseError, expat.ExpatError, ValueError, LookupError, _TooMuch):
        return b""
    if not _clean(root):
        return None
    inner: bytes = ET.tostring(root, encoding="utf-8")
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>' + inner
        + b'<?xpacket end="w"?>'
    )  # fmt: skip


def fitting(packet: bytes) -> bytes | None:
    """The same, for a place that cannot grow: filled up with blanks, or all blanks."""
    after = without_places(packet)
    if after is None:
        return None
    return (after if len(after) <= len(packet) else b"").ljust(len(packet), b" ")


def _inner(packet: bytes) -> bytes:
    """Without the marks around it, which are no part of the document."""
    return packet.strip(b"\0 \r\n\t")


def _check(packet: bytes) -> None:
    """Raise what makes the packet unusable: entities, a DOCTYPE, too deep, too large."""
    if len(packet) > MOST_BYTES:
        raise _TooMuch
    depth = 0

    def down(_name: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise _TooMuch

    def up(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse(*_: object) -> None:
        raise _TooMuch

    parser = expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = down, up
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
    parser.Parse(_inner(packet), True)  # noqa: FBT003 - expat takes no keyword here


def _namespaces(packet: bytes) -> list[tuple[str, str]]:
    parser: Any = ET.XMLPullParser(events=("start-ns",))
    parser.feed(_inner(packet))
    return [found for _, found in parser.read_events()]


def _clean(element: ET.Element) -> bool:
    """Remove places below the element; whether there were any."""
    found = False
    for name in list(element.attrib):
        if _is_place(name):
            del element.attrib[name]
            found = True
    for child in list(element):
        if _is_place(child.tag):
            element.remove(child)
            found = True
        elif _clean(child):
            found = True
    return found


def _is_place(name: object) -> bool:
    local = str(name).rpartition("}")[2]
    return local in PLACES or GPS.search(local) is not None

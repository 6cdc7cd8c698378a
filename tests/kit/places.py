"""Pictures and videos that say where they were taken, made as cameras make them."""

import io
import struct
from fractions import Fraction

import av
import pyvips  # type: ignore[import-untyped]

from tests.kit.samples import picture

CITY = b"Marburg"
MAKER = "A Camera Maker"
XMP = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
    b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
    b' xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    b' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"'
    b' exif:GPSLatitude="50,48.6N" photoshop:City="Marburg">'
    b"<dc:rights>All rights reserved</dc:rights>"
    b"<exif:GPSLongitude>8,46.2E</exif:GPSLongitude>"
    b'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
)
IPTC = (
    b"\x1c\x02\x74\x00\x03Ann" + b"\x1c\x02\x5a" + len(CITY).to_bytes(2) + CITY
    + b"\x1c\x02\x69\x00\x03sun"
)  # fmt: skip


def camera_picture(*, orientation: int = 6) -> pyvips.Image:
    """With EXIF of a camera, places in it, and XMP that has more of them."""
    made = picture().copy()
    for name, value in {
        "exif-ifd0-Make": MAKER,
        "exif-ifd0-Orientation": str(orientation),
        "exif-ifd2-DateTimeOriginal": "2026:04:29 10:00:00",
        "exif-ifd3-GPSLatitudeRef": "N",
        "exif-ifd3-GPSLatitude": "50/1 48/1 3600/100",
        "exif-ifd3-GPSLongitudeRef": "E",
        "exif-ifd3-GPSLongitude": "8/1 46/1 1200/100",
    }.items():
        made.set_type(pyvips.GValue.gstr_type, name, value)
    made.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    made.set_type(pyvips.GValue.blob_type, "xmp-data", XMP)
    return made


def photograph(suffix: str, **options: object) -> bytes:
    return bytes(camera_picture().write_to_buffer(suffix, **options))


def with_iptc(jpeg: bytes) -> bytes:
    block = b"8BIM\x04\x04\0\0" + len(IPTC).to_bytes(4) + IPTC + b"\0" * (len(IPTC) % 2)
    digest = b"8BIM\x04\x25\0\0\0\0\0\x10" + bytes(16)
    content = b"Photoshop 3.0\0" + block + digest
    return jpeg[:2] + b"\xff\xed" + (len(content) + 2).to_bytes(2) + content + jpeg[2:]


def film() -> bytes:
    """An MP4 whose movie box has the place of a telephone's camera."""
    target = io.BytesIO()
    options = {"movflags": "use_metadata_tags"}
    with av.open(target, "w", format="mp4", options=options) as output:
        output.metadata["com.apple.quicktime.location.ISO6709"] = "+50.8100+008.7700/"
        output.metadata["com.apple.quicktime.make"] = MAKER
        stream = output.add_stream("libx264", rate=Fraction(24))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(6):
            output.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        output.mux(stream.encode(None))
    return target.getvalue()


def film_with_atom() -> bytes:
    """An MP4 with Android's `\xa9xyz` atom in its movie box."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        output.metadata["location"] = "+50.8100+008.7700/"
        stream = output.add_stream("libx264", rate=Fraction(24))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for _ in range(6):
            output.mux(stream.encode(av.VideoFrame(64, 48, "yuv420p")))
        output.mux(stream.encode(None))
    return target.getvalue()


def exif_block(order: str = "<", *, gps: int = 26 + 12) -> bytes:
    """A block of two entries: how it is held, and where its places stand."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(f"{order}I", 8)
    entries = struct.pack(f"{order}H", 2)
    entries += struct.pack(f"{order}HHIHH", 0x0112, 3, 1, 6, 0)
    entries += struct.pack(f"{order}HHII", 0x8825, 4, 1, gps)
    places = struct.pack(f"{order}HHHI4sI", 1, 1, 2, 2, b"N\0\0\0", 0)
    return head + entries + bytes(4) + places

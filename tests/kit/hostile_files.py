"""Small good files of every accepted type, and hostile ones made from them."""

import functools
import io
import shutil
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import av
import pyvips  # type: ignore[import-untyped]  # ships no types
from fpdf import FPDF

SCRIPT = b"<script>alert(document.domain)</script>"
HTML = b"<!DOCTYPE html><html><body>" + SCRIPT + b"</body></html>\n"
SVG_OPEN = b'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
GOOD_SVG = (
    b'<?xml version="1.0" encoding="utf-8"?>\n'
    b'<svg xmlns="http://www.w3.org/2000/svg" height="10" width="10">\n'
    b'  <rect height="5" width="5"/>\n</svg>'
)


@functools.cache
def picture(width: int = 320, height: int = 240) -> pyvips.Image:
    noise = pyvips.Image.gaussnoise(width, height, mean=128, sigma=25, seed=7).cast("uchar")
    ramp = (pyvips.Image.xyz(width, height)[0] % 256).cast("uchar")
    return noise.bandjoin([ramp, noise]).copy(interpretation="srgb")


@functools.cache
def image(suffix: str, width: int = 320, height: int = 240, **options: int) -> bytes:
    return bytes(picture(width, height).write_to_buffer(suffix, **options))


@functools.cache
def flat_image(suffix: str, width: int, height: int) -> bytes:
    """A large picture of few bytes that takes its decoder some time."""
    ramp = (pyvips.Image.xyz(width, height)[0] % 256).cast("uchar")
    options = {".webp": {"effort": 0}, ".avif": {"effort": 0}}.get(suffix, {})
    return bytes(
        ramp.bandjoin([ramp, ramp]).copy(interpretation="srgb").write_to_buffer(suffix, **options)
    )


@functools.cache
def animation(suffix: str, frames: int = 6, side: int = 64) -> bytes:
    sheet = picture(side, side * frames).copy()
    sheet.set_type(pyvips.GValue.gint_type, "page-height", side)
    return bytes(sheet.write_to_buffer(suffix))


@functools.cache
def video(container: str, codec: str, *, frames: int = 24, **options: str) -> bytes:
    # A file with a name: "faststart" reads back what it has written.
    target = Path(tempfile.mkdtemp()) / f"video.{container}"
    with av.open(str(target), "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=24)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(frames):
            pixels = bytes((x + y + 3 * index) % 256 for y in range(120) for x in range(640))
            frame = av.VideoFrame.from_bytes(pixels, 160, 120, format="rgba")
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    body = target.read_bytes()
    shutil.rmtree(target.parent)
    return body


@functools.cache
def apng(frames: int = 4) -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format="apng") as output:
        stream = output.add_stream("apng", rate=10)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgba"
        for index in range(frames):
            pixels = bytes([40 * index, 90, 200, 255] * 64 * 64)
            output.mux(stream.encode(av.VideoFrame.from_bytes(pixels, 64, 64, format="rgba")))
        output.mux(stream.encode(None))
    return target.getvalue()


@functools.cache
def pdf(*, pages: int = 2, password: str = "", owner_password: str = "") -> bytes:
    document = FPDF()
    for page in range(pages):
        document.add_page()
        document.set_font("helvetica", size=24)
        document.cell(text=f"Page {page + 1}")
        document.image(io.BytesIO(image(".png", 40, 30)), w=50)
    if password or owner_password:
        document.set_encryption(
            owner_password=owner_password or password, user_password=password or None
        )
    return bytes(document.output())


GOOD_FILES: Mapping[str, Callable[[], bytes]] = {
    "image/jpeg": lambda: image(".jpg"),
    "image/png": lambda: image(".png"),
    "image/webp": lambda: image(".webp"),
    "image/gif": lambda: image(".gif"),
    "image/avif": lambda: image(".avif", effort=0),
    "image/svg+xml": lambda: GOOD_SVG,
    "video/mp4": lambda: video("mp4", "libx264"),
    "video/webm": lambda: video("webm", "libvpx"),
    "application/pdf": pdf,
}


def more_good_files() -> Iterator[tuple[str, str, bytes]]:
    """Variants of the nine types as cameras, browsers and drawing programs write them."""
    yield "progressive JPEG", "image/jpeg", image(".jpg", interlace=1)
    yield "JPEG with an Exif and an ICC part", "image/jpeg", image(".jpg", Q=95)
    yield "interlaced PNG", "image/png", image(".png", interlace=1)
    yield "PNG with a palette", "image/png", image(".png", palette=1)
    yield "animated PNG", "image/png", apng()
    yield "animated GIF", "image/gif", animation(".gif")
    yield "animated WebP", "image/webp", animation(".webp")
    yield "lossless WebP", "image/webp", image(".webp", lossless=1)
    yield "lossless AVIF", "image/avif", image(".avif", lossless=1, effort=0)
    yield "fast-start MP4", "video/mp4", video("mp4", "libx264", movflags="faststart")
    yield (
        "fragmented MP4", "video/mp4",
        video("mp4", "libx264", movflags="frag_keyframe+empty_moov"),
    )  # fmt: skip
    yield "VP9 WebM", "video/webm", video("webm", "libvpx-vp9")
    yield "WebM as a browser records it", "video/webm", video("webm", "libvpx", live="1")
    yield "PDF with an owner's password", "application/pdf", pdf(owner_password="owner")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png(width: int, height: int, content: bytes, *, extra: bytes = b"", depth: int = 8) -> bytes:
    """A grey PNG of this size, with whatever for its pixels."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + extra
        + png_chunk(b"IDAT", content) + png_chunk(b"IEND", b"")
    )  # fmt: skip


@functools.cache
def png_bomb(side: int = 30_000) -> bytes:
    """A true bomb: side by side black pixels, one bit each, a thousandth of that in the file."""
    packer = zlib.compressobj(1)
    row = bytes(1 + (side + 7) // 8)
    rows = b"".join(packer.compress(row) for _ in range(side))
    return png(side, side, rows + packer.flush(), depth=1)


def jpeg_of_size(width: int, height: int) -> bytes:
    body = image(".jpg")
    at = body.index(b"\xff\xc0") + 5
    return body[:at] + struct.pack(">HH", height, width) + body[at + 4 :]


def gif_of_size(width: int, height: int) -> bytes:
    body = image(".gif")
    return body[:6] + struct.pack("<HH", width, height) + body[10:]


def gif_of_frames(frames: int, side: int) -> bytes:
    """Frames of one colour: every one costs side² pixels and a few bytes."""
    head = b"GIF89a" + struct.pack("<HH", side, side) + b"\x80\0\0" + bytes(6)
    tile = b"\x2c\0\0\0\0\1\0\1\0\0" + b"\x02\x02\x44\x01\0"
    return head + tile * frames + b";"


def webp_of_size(side: int) -> bytes:
    body = animation(".webp")
    at = body.index(b"VP8X") + 12
    return body[:at] + (side - 1).to_bytes(3, "little") * 2 + body[at + 6 :]


def avif_of_size(side: int) -> bytes:
    body = image(".avif", effort=0)
    at = body.index(b"ispe") + 8
    return body[:at] + struct.pack(">II", side, side) + body[at + 8 :]


def apng_of_frames(frames: int) -> bytes:
    control = png_chunk(b"acTL", struct.pack(">II", frames, 0))
    return png(10, 10, zlib.compress(bytes(110)), extra=control)


def zip_archive() -> bytes:
    """A stored ZIP with one page of HTML."""
    checksum = zlib.crc32(HTML)
    size = len(HTML)
    name = b"index.html"
    local = struct.pack(
        "<IHHHHHIIIHH", 0x04034B50, 20, 0, 0, 0, 33, checksum, size, size, len(name), 0
    )
    entry = struct.pack(
        "<IHHHHHHIIIHHHHHII",
        0x02014B50, 20, 20, 0, 0, 0, 33, checksum, size, size, len(name), 0, 0, 0, 0, 0, 0,
    )  # fmt: skip
    directory = entry + name
    start = len(local) + len(name) + size
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 1, 1, len(directory), start, 0)
    return local + name + HTML + directory + end


def middle_replaced(body: bytes, by: bytes) -> bytes:
    """The file with the second half of its bytes, but its last 16, written over."""
    half, tail = len(body) // 2, body[-16:]
    space = len(body) - half - len(tail)
    return body[:half] + (by * (space // len(by) + 1))[:space] + tail


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def jpeg_with_zip_comment() -> bytes:
    """A valid JPEG whose last segment before the picture's end is an archive (GIFAR)."""
    archive = zip_archive()
    body = image(".jpg")
    comment = (
        b"\xff\xfe" + struct.pack(">H", 2 + len(archive)) + archive[:-2] + struct.pack("<H", 2)
    )
    return body[:-2] + comment + b"\xff\xd9"


def mp4_of_script() -> bytes:
    """An MP4 whose index is right and whose frames are a script."""
    body = video("mp4", "libx264")
    start = body.index(b"mdat") + 4
    end = start - 8 + int.from_bytes(body[start - 8 : start - 4], "big")
    script = (SCRIPT * (end // len(SCRIPT) + 1))[: end - start]
    return body[:start] + script + body[end:]


def svg(content: bytes, *, before: bytes = b"") -> bytes:
    return before + SVG_OPEN + content + b"</svg>"


BILLION_LAUGHS = (
    b'<!DOCTYPE svg [<!ENTITY a "ha">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + i, b"&%c;" % (97 + i) * 10) for i in range(9))
    + b"]>"
)


def pdf_of_pages(pages: int) -> bytes:
    """Every page is the same object, so that thousands take a few bytes each."""
    kids = b"3 0 R " * pages
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[" + kids + b"]/Count %d>>" % pages,
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>",
    ]
    body = b"%PDF-1.4\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n" % number + content + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    start = len(body)
    return (
        body + b"xref\n0 4\n0000000000 65535 f \n" + table
        + b"trailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % start
    )  # fmt: skip

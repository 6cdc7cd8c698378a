"""Small real files of the nine accepted types, made once a run by the libraries that write them."""

import functools
import io
from collections.abc import Callable, Mapping
from fractions import Fraction

import av
import fpdf
import pyvips  # type: ignore[import-untyped]

from adapters.scanner_check import TEST_FILE

SVG = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 48" width="64" height="48">'
    b'<defs><linearGradient id="sky"><stop offset="0" stop-color="#07f"/></linearGradient></defs>'
    b'<rect width="64" height="48" fill="url(#sky)"/><text x="4" y="24">hello</text></svg>\n'
)


def sample(mime_type: str) -> bytes:
    """A real file of the type, the same bytes at every call of a run."""
    return _make(mime_type)


@functools.cache
def _make(mime_type: str) -> bytes:
    return MAKERS[mime_type]()


def picture(width: int = 64, height: int = 48) -> pyvips.Image:
    """Three bands of gradients, so that no encoder shrinks it to nothing."""
    grid = pyvips.Image.xyz(width, height)
    red = grid[0] * (255 / width)
    green = grid[1] * (255 / height)
    bands = red.bandjoin([green, (red + green) / 2])
    return bands.cast("uchar").copy(interpretation="srgb")


def encoded(suffix: str, **options: object) -> bytes:
    """The picture as libvips writes it for a file name's suffix."""
    return bytes(picture().write_to_buffer(suffix, **options))


def _video(container: str, codec: str) -> bytes:
    """Half a second, 12 frames."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        stream = output.add_stream(codec, rate=Fraction(24))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        raw = bytes(picture().write_to_memory())
        for _ in range(12):
            frame = av.VideoFrame(64, 48, "rgb24")
            plane = frame.planes[0]
            padded = b"".join(
                raw[row * 192 : (row + 1) * 192].ljust(plane.line_size, b"\0") for row in range(48)
            )
            plane.update(padded)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


def infected_pdf() -> bytes:
    """A PDF like any other that carries the EICAR test file, which is harmless, uncompressed."""
    document = fpdf.FPDF()
    document.add_page()
    document.embed_file(bytes=TEST_FILE, basename="eicar.com", compress=False)
    return bytes(document.output())


def _pdf() -> bytes:
    document = fpdf.FPDF()
    document.add_page()
    document.set_font("Helvetica", size=24)
    document.cell(text="hello")
    return bytes(document.output())


MAKERS: Mapping[str, Callable[[], bytes]] = {
    "image/jpeg": lambda: encoded(".jpg", Q=85),
    "image/png": lambda: encoded(".png"),
    "image/webp": lambda: encoded(".webp"),
    "image/gif": lambda: encoded(".gif"),
    "image/svg+xml": lambda: SVG,
    "image/avif": lambda: encoded(".avif", effort=0),
    "video/mp4": lambda: _video("mp4", "libx264"),
    "video/webm": lambda: _video("webm", "libvpx-vp9"),
    "application/pdf": _pdf,
}
"""How each accepted type is made; `domain.media_type.MEDIA_TYPES` has the same keys (tested)."""

import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from subprocess import run

import pytest

from adapters.content_inspector import MagicContentInspector
from application.ports import HEAD_BYTES
from domain.media_type import MEDIA_TYPES
from tests.kit.samples import MAKERS, sample

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"


def file_type_box(major: bytes, *compatible: bytes) -> bytes:
    box = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", 4 + len(box)) + box


def matroska(doc_type: bytes) -> bytes:
    element = b"\x42\x82" + bytes([0x80 | len(doc_type)]) + doc_type
    return b"\x1a\x45\xdf\xa3" + bytes([0x80 | len(element)]) + element + bytes(64)


@pytest.fixture(scope="module")
def inspector() -> MagicContentInspector:
    return MagicContentInspector()


def test_there_is_a_sample_of_every_accepted_type() -> None:
    assert MAKERS.keys() == MEDIA_TYPES.keys()


@pytest.mark.parametrize("declared", MEDIA_TYPES)
def test_a_real_file_is_of_its_own_type_and_of_no_other(
    inspector: MagicContentInspector, declared: str
) -> None:
    head = sample(declared)[:HEAD_BYTES]

    assert [known for known in MEDIA_TYPES if inspector.is_of_type(head, known)] == [declared]


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        ("image/avif", file_type_box(b"mif1", b"avif", b"miaf")),
        ("image/avif", file_type_box(b"avis", b"avif", b"msf1")),
        ("video/mp4", file_type_box(b"M4V ", b"isom", b"mp42")),
        ("video/mp4", file_type_box(b"iso5", b"dash")),
        ("video/mp4", file_type_box(b"hvc1", b"isom")),
        ("video/mp4", file_type_box(b"3gp5", b"isom")),
        ("video/webm", matroska(b"webm")),
        ("image/jpeg", bytes.fromhex("ffd8ffdb0043")),
        ("image/svg+xml", b"\xef\xbb\xbf" + SVG.format("").encode()),
        ("image/svg+xml", b"\n <!-- drawn by hand -->\n" + SVG.format("").encode()),
        ("image/svg+xml", SVG.format("").encode("utf-16")),
        ("image/svg+xml", b"<?xml version='1.0'?><!--" + b"x" * HEAD_BYTES),
        (
            "image/svg+xml",
            b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "svg11.dtd">' + SVG.encode(),
        ),
    ],
)
def test_unusual_beginnings_of_the_type_are_accepted(
    inspector: MagicContentInspector, declared: str, head: bytes
) -> None:
    assert inspector.is_of_type(head[:HEAD_BYTES], declared)


@pytest.mark.parametrize(
    ("declared", "head"),
    [
        *((mime_type, HTML) for mime_type in MEDIA_TYPES),
        *((mime_type, b"") for mime_type in MEDIA_TYPES),
        *((mime_type, b"MZ\x90\0" + bytes(200)) for mime_type in MEDIA_TYPES),
        *((mime_type, b"PK\3\4" + bytes(200)) for mime_type in MEDIA_TYPES),
        ("image/avif", file_type_box(b"heic", b"mif1")),
        ("image/avif", file_type_box(b"mif1", b"heic")),
        ("image/avif", b"\0\0\0\4ftypavif"),
        ("video/mp4", file_type_box(b"qt  ", b"isom")),
        ("video/mp4", file_type_box(b"M4A ", b"mp42")),
        ("video/mp4", file_type_box(b"avif", b"isom", b"mif1")),
        ("video/webm", matroska(b"matroska")),
        ("application/pdf", b"garbage\n%PDF-1.7\n"),
        ("application/pdf", b"<script>alert(1)</script>\n%PDF-1.7\n"),
        ("image/svg+xml", b"<html xmlns='http://www.w3.org/1999/xhtml'><svg/></html>"),
        ("image/svg+xml", b"<svg><script>alert(1)</script></svg>"),
        ("image/svg+xml", b"just text"),
        ("image/svg+xml", b" \n "),
        ("image/gif", b"GIF88a" + bytes(20)),
        ("image/webp", b"RIFF\x24\0\0\0AVI LIST" + bytes(20)),
    ],
)
def test_other_bytes_are_refused(
    inspector: MagicContentInspector, declared: str, head: bytes
) -> None:
    assert not inspector.is_of_type(head, declared)


def test_threads_share_one_inspector(inspector: MagicContentInspector) -> None:
    heads = [(mime_type, sample(mime_type)[:HEAD_BYTES]) for mime_type in MEDIA_TYPES] * 40
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda one: inspector.is_of_type(one[1], one[0]), heads))


def test_the_library_of_the_wheel_is_used_and_none_of_the_machine_is_needed() -> None:
    code = (
        "from adapters.content_inspector import MagicContentInspector as Inspector\n"
        "assert Inspector().is_of_type(b'GIF89a' + bytes(20), 'image/gif')\n"
        "import pathlib, pylibmagic\n"
        "maps = pathlib.Path('/proc/self/maps')\n"
        "loaded = {l.split()[-1] for l in maps.read_text().splitlines() if 'libmagic' in l}\n"
        "wheel = str(pathlib.Path(str(pylibmagic.data)).resolve())\n"
        "assert loaded and all(wheel in name for name in loaded), loaded\n"
    )
    if not sys.platform.startswith("linux"):
        pytest.skip("reads /proc")
    # Without PATH neither ldconfig nor a compiler can find a library of the machine.
    finished = run(
        [sys.executable, "-c", code], env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr

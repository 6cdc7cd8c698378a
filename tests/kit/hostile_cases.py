"""The hostile files, each with the type it claims to be and the reasons it may be refused for."""

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from tests.kit import hostile_files as hostile
from tests.kit.hostile_files import GOOD_FILES, HTML, SCRIPT

Case = tuple[str, str, Callable[[], bytes], set[str]]

MARKS = {
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\0\1\1\0\0\1\0\1\0\0",
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/webp": b"RIFF\x00\x10\x00\x00WEBPVP8 ",
    "image/gif": b"GIF89a\x10\0\x10\0\0\0\0",
    "image/avif": hostile.box(b"ftyp", b"avif\0\0\0\0avifmif1"),
    "video/mp4": hostile.box(b"ftyp", b"isom\0\0\0\0isommp41"),
    "video/webm": b"\x1a\x45\xdf\xa3\x87\x42\x82\x84webm",
    "application/pdf": b"%PDF-1.7\n",
}
STRUCTURE = {"content", "damaged", "truncated"}


def _systematic() -> Iterator[Case]:
    for kind, mark in MARKS.items():
        good = GOOD_FILES[kind]
        other = "image/png" if kind != "image/png" else "image/jpeg"
        archive = hostile.zip_archive()
        yield f"{kind}: empty", kind, bytes, {"content", "truncated"}
        yield f"{kind}: HTML", kind, partial(bytes, HTML), {"content"}
        yield f"{kind}: mark, then script", kind, partial(bytes, mark + SCRIPT * 9), STRUCTURE
        yield f"{kind}: mark, then ZIP", kind, partial(bytes, mark + archive), STRUCTURE
        yield f"{kind}: garbage before", kind, partial(_good, good, before=b"\n"), {"content"}
        yield f"{kind}: half", kind, partial(_good, good, share=0.5), {"truncated"}
        yield f"{kind}: last bytes gone", kind, partial(_good, good, less=2), {"truncated"}
        yield f"{kind}: second half zeroed", kind, partial(_zeroed, good), STRUCTURE
        yield f"{kind}: is {other}", kind, GOOD_FILES[other], {"content"}


def _good(
    make: Callable[[], bytes], *, before: bytes = b"", share: float = 1, less: int = 0
) -> bytes:
    body = make()
    return before + body[: int(len(body) * share) - less]


def _zeroed(make: Callable[[], bytes]) -> bytes:
    return hostile.middle_replaced(make(), b"\0")


SPECIAL: list[Case] = [
    ("PNG bomb, 30,000 by 30,000", "image/png", hostile.png_bomb, {"limits"}),
    ("PNG of the largest size", "image/png", lambda: hostile.png(2**31 - 1, 2**31 - 1, b""),
     {"limits"}),
    ("PNG without pixels", "image/png", lambda: hostile.png(9, 9, b""), {"damaged"}),
    ("PNG with a script for pixels", "image/png", lambda: hostile.png(9, 9, SCRIPT), {"damaged"}),
    ("APNG of a million frames", "image/png", lambda: hostile.apng_of_frames(10**6), {"limits"}),
    ("APNG that lacks its frames", "image/png", lambda: hostile.apng_of_frames(5), {"damaged"}),
    ("JPEG bomb", "image/jpeg", lambda: hostile.jpeg_of_size(30_000, 30_000), {"limits"}),
    ("JPEG larger than its data", "image/jpeg", lambda: hostile.jpeg_of_size(5_000, 5_000),
     {"damaged"}),
    ("JPEG of no height", "image/jpeg", lambda: hostile.jpeg_of_size(320, 0), {"damaged"}),
    ("JPEG without a picture", "image/jpeg", lambda: b"\xff\xd8\xff\xfe\0\2\xff\xd9", {"damaged"}),
    ("JPEG that is an archive", "image/jpeg", hostile.jpeg_with_zip_comment, {"polyglot"}),
    ("GIF bomb", "image/gif", lambda: hostile.gif_of_size(30_000, 30_000), {"limits"}),
    ("GIF of many frames", "image/gif", lambda: hostile.gif_of_frames(5_000, 10), {"limits"}),
    ("GIF of many pixels", "image/gif", lambda: hostile.gif_of_frames(1_000, 4_000), {"limits"}),
    ("GIF without a picture", "image/gif", lambda: b"GIF89a\1\0\1\0\0\0\0;", {"damaged"}),
    ("GIF as a script", "image/gif", lambda: b"GIF89a/*" + b"A" * 99 + b"*/=1;alert(1)//;",
     STRUCTURE),
    ("WebP bomb", "image/webp", lambda: hostile.webp_of_size(16_384), {"limits"}),
    ("AVIF bomb", "image/avif", lambda: hostile.avif_of_size(30_000), {"limits", "damaged"}),
    ("AVIF declared as MP4", "video/mp4", GOOD_FILES["image/avif"], {"content"}),
    ("MP4 declared as AVIF", "image/avif", GOOD_FILES["video/mp4"], {"content"}),
    ("HEIC declared as AVIF", "image/avif", lambda: GOOD_FILES["image/avif"]().replace(
        b"avif", b"heic"), {"content"}),
    ("MP4 of sound and script", "video/mp4", lambda: MARKS["video/mp4"] + hostile.box(
        b"mdat", SCRIPT), {"damaged"}),
    ("MP4 with an empty index", "video/mp4", lambda: MARKS["video/mp4"] + hostile.box(
        b"moov", b"") + hostile.box(b"mdat", SCRIPT), {"damaged", "content"}),
    ("MP4 whose frames are a script", "video/mp4", hostile.mp4_of_script, {"damaged"}),
    ("MP4 with an open end", "video/mp4", lambda: GOOD_FILES["video/mp4"]()
     + struct.pack(">I", 0) + b"mdat" + SCRIPT, {"damaged"}),
    ("Matroska declared as WebM", "video/webm", lambda: hostile.video("matroska", "libx264"),
     {"content"}),
    ("PDF bomb of pages", "application/pdf", lambda: hostile.pdf_of_pages(5_000), {"limits"}),
    ("PDF with a password", "application/pdf", lambda: hostile.pdf(password="secret"),
     {"encrypted"}),
    ("PDF of HTML", "application/pdf", lambda: b"%PDF-1.7\n" + HTML + b"%%EOF", {"damaged"}),
    ("SVG: billion laughs", "image/svg+xml", lambda: hostile.svg(
        b"<text>&j;</text>", before=hostile.BILLION_LAUGHS), {"svg"}),
    ("SVG: file entity", "image/svg+xml", lambda: hostile.svg(
        b"<text>&x;</text>", before=b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
     {"svg"}),
    ("SVG: outside picture", "image/svg+xml", lambda: hostile.svg(
        b'<image xlink:href="https://evil.example/p.png"/>'), {"svg"}),
    ("SVG: outside use", "image/svg+xml", lambda: hostile.svg(
        b'<use href="//evil.example/a.svg#x"/>'), {"svg"}),
    ("SVG: outside style", "image/svg+xml", lambda: hostile.svg(
        b"<style>@import url(https://evil.example/a.css);</style>"), {"svg"}),
    ("SVG: outside fill", "image/svg+xml", lambda: hostile.svg(
        b'<rect fill="url(https://evil.example/a.svg#x)"/>'), {"svg"}),
    ("SVG: style sheet instruction", "image/svg+xml", lambda: hostile.svg(
        b"", before=b'<?xml-stylesheet href="https://evil.example/a.css"?>'), {"svg"}),
    ("SVG: too deep", "image/svg+xml", lambda: hostile.svg(b"<g>" * 5_000 + b"</g>" * 5_000),
     {"limits"}),
    ("SVG: HTML", "image/svg+xml", lambda: b"<html><body/></html>", {"content"}),
    ("SVG: half", "image/svg+xml", lambda: hostile.GOOD_SVG[:60], {"svg"}),
    ("SVG: script behind", "image/svg+xml", lambda: hostile.GOOD_SVG + SCRIPT, {"svg"}),
]  # fmt: skip
HOSTILE: Sequence[Case] = [*_systematic(), *SPECIAL]

"""What parent and child say to each other when pictures are made; no loader is imported here."""

import msgspec

from application.rendering import Order, PictureOrder
from domain.rendition import Facts, Format

__all__ = ["MAX_PICTURE_BYTES", "MadePicture", "Order", "PictureOrder", "Report", "begins_as"]

MAX_PICTURE_BYTES = 8 * 1024 * 1024
"""Of one result: a noisy PNG of 1280 by 1280 pixels with transparency takes 6.5 MB."""


class MadePicture(msgspec.Struct, frozen=True, kw_only=True):
    """One result; its bytes follow the report, in the order of the pictures."""

    name: str
    format: Format
    width: int
    height: int
    bytes: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The child's answer to an order."""

    facts: Facts | None = None
    pictures: tuple[MadePicture, ...] = ()
    at_ms: int = 0
    reason: str | None = None
    detail: str = ""


def begins_as(body: bytes, format_: Format) -> bool:
    """Whether the bytes begin as the format does: a child may have been taken over by its file."""
    match format_:
        case "webp":
            return body[:4] == b"RIFF" and body[8:12] == b"WEBP"
        case "jpeg":
            return body[:3] == b"\xff\xd8\xff"
        case "png":
            return body[:8] == b"\x89PNG\r\n\x1a\n"
        case "gif":
            return body[:6] in {b"GIF87a", b"GIF89a"}
        case "avif":
            return body[4:8] == b"ftyp" and b"avif" in body[8:40]

"""What parent and child of the decode sandbox say to each other: limits, question and verdict.

Imported on both sides, so it knows no loader.
"""

from pathlib import Path
from typing import Literal, get_args

import msgspec

from application.rendering import Order
from domain.metadata import MetadataPolicy

Reason = Literal[
    "content", "truncated", "damaged", "polyglot", "limits", "encrypted", "svg", "time", "memory",
    "crash",
]  # fmt: skip
"""Why a file is refused; part of the event log, so never renamed.

`content`: not of the declared type. `polyglot`: also a ZIP archive. `limits`: too many pixels,
frames or pages. `time`, `memory`, `crash`: what the decoder did with it.
"""
REASONS = frozenset(get_args(Reason))

MEBIBYTE = 1024 * 1024
SAMPLES = Path(__file__).parent / "decode_samples"
"""A tiny file of each kind, by its extension."""


class DecodeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one file may cost. Pixels, frames and pages are read before anything is decoded."""

    frame_pixels: int = 50_000_000
    """Width by height of one picture: 50-megapixel cameras pass, 8K video too."""
    frames: int = 2_000
    """Pictures of an animation."""
    animation_pixels: int = 250_000_000
    """Frames times canvas of an animation: 1,000 frames of 500 by 500."""
    video_pixels: int = 1_500_000_000
    """Decoded in full (725 frames of 1080p); as much again of the rest, key frames only."""
    pages: int = 2_000
    """Of a PDF."""
    memory_bytes: int = 1536 * MEBIBYTE
    """Heap of the child. A 50-megapixel AVIF in 4:4:4 takes 953 MiB, WebP 458, JPEG 374."""
    cpu_seconds: int = 20
    """Enforced by the kernel."""
    wall_seconds: float = 45.0
    """Enforced by the parent; more than twice the CPU, so that a busy machine refuses nothing."""


class Question(msgspec.Struct, frozen=True):
    """What a child is told of its file."""

    mime_type: str
    size: int
    limits: DecodeLimits
    metadata: MetadataPolicy = "keep"
    order: Order | None = None
    """What is to be made of a file that was proven before; None: prove it."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """The child's answer: a reason, or how much of the file is to be kept."""

    keep: int = 0
    """The real end of the format; bytes behind it are cut off."""
    drawing_bytes: int | None = None
    """Size of what is to be served in the file's place, which follows: a sanitised drawing, or the
    file without what is not to be told."""
    removed: tuple[str, ...] = ()
    """Where that stood."""
    reason: str | None = None
    detail: str = ""


class Greeting(msgspec.Struct, frozen=True):
    """What a fork server says once its loaders are there: why it cannot work, or nothing."""

    trouble: str | None = None


class Refusal(Exception):
    """The file is not to be served; caught at the top of the child."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


LIGHT, HEAVY = b"l", b"h"
"""Which of a fork server's two processes a file is for: the second has FFmpeg and PDFium loaded."""
FOR_HEAVY = frozenset({"video/mp4", "video/webm", "image/png", "image/avif", "application/pdf"})
"""What may hold frames that FFmpeg decodes, and documents."""


def asked_of(question: Question) -> bytes:
    """LIGHT or HEAVY. Pictures are made of a PNG's or an AVIF's first frame by libvips."""
    if question.order is not None:
        return LIGHT if question.order.mime_type.startswith("image/") else HEAVY
    return HEAVY if question.mime_type in FOR_HEAVY else LIGHT


FRAME_LENGTH_BYTES = 4
"""Every message is its length, big endian, and so many bytes of MessagePack."""
MAX_QUESTION_BYTES = 16_384
STATUS_BYTES = 4
"""How the child of one file ended: signed, big endian; negative is a signal."""


def frame(message: msgspec.Struct) -> bytes:
    """The message with its length in front."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(FRAME_LENGTH_BYTES, "big") + body


def drawing_limit(size: int) -> int:
    """How large the sanitised form of a drawing of this size may be, in bytes."""
    return 4 * size + 65_536

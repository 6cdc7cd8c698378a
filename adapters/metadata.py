"""What is removed of a file before it is served, by its type. Runs in the decode child."""

from collections.abc import Callable, Mapping
from typing import Protocol

from adapters import metadata_boxes, metadata_images
from adapters.decode_verdict import Refusal
from domain.metadata import MetadataPolicy


class Strip(Protocol):
    """Takes metadata out of one format."""

    def __call__(self, body: bytes, *, everything: bool) -> tuple[bytes, set[str]]:
        """The file, and where something stood."""
        ...


STRIPPERS: Mapping[str, Strip] = {
    "image/jpeg": metadata_images.jpeg,
    "image/png": metadata_images.png,
    "image/webp": metadata_images.webp,
    "image/avif": metadata_boxes.avif,
    "video/mp4": metadata_boxes.mp4,
}
"""GIF, SVG, WebM and PDF are served with what they tell (ADR 20)."""


def stripped(
    body: bytes, mime_type: str, policy: MetadataPolicy, check: Callable[[bytes], int]
) -> tuple[bytes, tuple[str, ...]]:
    """The file to be served, and where something was removed.

    `check` walks the result's structure; its end must be the end.
    """
    strip = STRIPPERS.get(mime_type)
    if strip is None or policy == "keep":
        return body, ()
    try:
        after, removed = strip(body, everything=policy == "strip-all")
    except (IndexError, ValueError):
        raise Refusal("damaged", "The file's metadata cannot be followed.") from None
    if not removed:
        return body, ()
    if check(after) != len(after):
        raise Refusal("damaged", "The file's metadata cannot be removed.")
    return after, tuple(sorted(removed))

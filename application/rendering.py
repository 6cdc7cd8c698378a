"""What the application needs of whoever decodes pictures: an order, and what came of it."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec

from application.ports import Refused
from domain.rendition import Facts, Format


class PictureOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One picture to be made of a file."""

    name: str
    """A preset's, or `poster`."""
    width: int
    height: int
    format: Format
    fit: str = "inside"
    quality: int = 80
    animated: bool = False
    background: str | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done with a file in one go."""

    mime_type: str
    facts: bool = False
    """Whether to look into it."""
    pictures: tuple[PictureOrder, ...] = ()


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """One picture that was made. Its format may be another where the file has transparency."""

    name: str
    format: Format
    width: int
    height: int
    body: bytes


class Rendered(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an order."""

    facts: Facts | None = None
    pictures: tuple[Picture, ...] = ()
    at_ms: int = 0
    """Of a video: where its picture was found."""


class Renderer(Protocol):
    """Decodes in a process of its own, with bounded memory and time."""

    async def render(self, parts: AsyncIterator[bytes], order: Order) -> Rendered | Refused:
        """What came of it. Raises SandboxUnavailable, and whatever the parts raise."""
        ...

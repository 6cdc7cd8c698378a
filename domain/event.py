"""The shape of every fact: an `Event` body, and the `Recorded` envelope it has in the log."""

from collections.abc import Mapping
from datetime import datetime
from typing import ClassVar

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A fact in business words. Subclasses name their stored type by hand, once, for ten years."""

    TYPE: ClassVar[str]
    """Stored type with its schema version, as in `media_file.upload_completed.v1`."""


class Recorded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An event with its envelope, as it stands in the log."""

    stream: str
    version: int
    """1 for the first event of a stream; gapless."""
    position: int
    """Place in the one order of the whole log; sparse. 0 before the event is appended."""
    at: datetime
    owner: str
    """`t:<tenant>` or `u:<user>`; never empty (spec 6.5)."""
    actor: str
    """`user:<id>`, `service:<name>` or `system:<process>`."""
    access: str
    """The ground the actor acted on: a value of `domain.access.Access`."""
    command_id: str
    correlation_id: str
    """The request id (`x-request-id`) that caused the event."""
    event: Event


class UnknownEvent(Event, frozen=True, kw_only=True):
    """A fact this version has no name for, written by a newer one: followers pass over it."""

    TYPE: ClassVar[str] = "unknown"
    stored_type: str
    data: Mapping[str, object]

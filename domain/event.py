"""The shape of every fact: an `Event` body, and the `Recorded` envelope it has in the log."""

from collections.abc import Mapping, Sequence
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
    """A fact this version has no name for, written by a newer one: followers stop before it."""

    TYPE: ClassVar[str] = "unknown"
    stored_type: str
    data: Mapping[str, object]


def before_unknown(events: Sequence[Recorded]) -> tuple[Sequence[Recorded], str | None]:
    """The events before the first unknown one, and its stored type; None when all are known.

    To pass over it would lose what it means for ever: whoever knows it must be the one to go on.
    """
    for number, recorded in enumerate(events):
        if isinstance(recorded.event, UnknownEvent):
            return events[:number], recorded.event.stored_type
    return events, None

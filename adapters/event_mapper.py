"""Between facts and their stored JSON: the registry of types, upcasting, rows of the log.

Used by the event store, by followers, and as the `eventsourcing` package's mapper.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import (
    Cipher,
    Compressor,
    JSONTranscoder,
    Mapper,
    Notification,
    StoredEvent,
    Transcoder,
)

from domain.event import Event, Recorded, UnknownEvent
from domain.event_catalogue import EVENTS

NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
"""An escaped NUL, which jsonb refuses; an escaped backslash before `u0000` is none."""


class UnknownEventType(Exception):
    """The stream holds a type this version does not know: it must not decide upon it."""


class Upcaster(msgspec.Struct, frozen=True):
    """One step from a stored type to its next version. Never edited once shipped."""

    to: str
    step: Callable[[dict[str, Any]], dict[str, Any]]
    """Pure: the old JSON object in, the new one out."""


UPCASTERS: Mapping[str, Upcaster] = {
    "media_file.file_deleted.v1": Upcaster(
        # Before there was a bin, every deletion was for good.
        "media_file.file_deleted.v2",
        lambda data: data | {"bin_until": None},
    ),
}
"""By the type that was stored: v1 leads to v2, v2 to v3, until a type the domain has."""


class EventTypes:
    """The stored types this version can read and write."""

    def __init__(
        self, events: Iterable[type[Event]], upcasters: Mapping[str, Upcaster] = UPCASTERS
    ) -> None:
        self._encoder = msgspec.json.Encoder()
        self._decoders: dict[str, msgspec.json.Decoder[Event]] = {}
        for event in events:
            if event.TYPE in self._decoders:
                raise ValueError(f"two events are stored as {event.TYPE}")
            self._decoders[event.TYPE] = msgspec.json.Decoder(event)
        self._events = {event.TYPE: event for event in events}
        self._upcasters = upcasters

    def stored_as(self, types: Collection[type[Event]]) -> list[str]:
        """The stored types, of every version, that these events are read from."""
        return [name for name in (*self._events, *self._upcasters) if self._now(name) in types]

    def names(self) -> list[str]:
        """Every stored type, of every version, that this version knows."""
        return [*self._events, *self._upcasters]

    def _now(self, stored_type: str) -> type[Event] | None:
        while (upcaster := self._upcasters.get(stored_type)) is not None:
            stored_type = upcaster.to
        return self._events.get(stored_type)

    def encode(self, event: Event) -> str:
        """The event's data as JSON. Raises UnknownEventType, or ValueError for a NUL character."""
        if self._events.get(event.TYPE) is not type(event):
            raise UnknownEventType(f"{type(event).__name__} is not among the stored events")
        data = self._encoder.encode(event)
        if b"\\u0000" in data and NUL.search(data):
            raise ValueError(f"{event.TYPE} holds a NUL character")
        return data.decode()

    def decode(self, stored_type: str, data: str | bytes) -> Event:
        """The event, brought up to the present version. Raises UnknownEventType."""
        decoder = self._decoders.get(stored_type)
        if decoder is not None:
            return decoder.decode(data)
        if stored_type not in self._upcasters:
            raise UnknownEventType(stored_type)
        values: dict[str, Any] = msgspec.json.decode(data)
        while (upcaster := self._upcasters.get(stored_type)) is not None:
            stored_type, values = upcaster.to, upcaster.step(values)
        if stored_type not in self._events:
            raise UnknownEventType(stored_type)
        # As from JSON, where times are strings.
        return msgspec.convert(values, self._events[stored_type])

    def decode_any(self, stored_type: str, data: str | bytes) -> Event:
        """The same for followers, which stop before what they do not know."""
        try:
            return self.decode(stored_type, data)
        except UnknownEventType:
            return UnknownEvent(stored_type=stored_type, data=msgspec.json.decode(data))


EVENT_TYPES = EventTypes(EVENTS)

COLUMNS = (
    "stream, version, position, at, owner, actor, access, command_id, correlation_id, type, "
    "data::text"
)
"""What a row of the log is read as. As text, data reaches the decoder without a detour."""


def recorded_from_row(
    row: tuple[Any, ...], decode: Callable[[str, str], Event] = EVENT_TYPES.decode_any
) -> Recorded:
    """A row of COLUMNS as an event with its envelope."""
    return Recorded(
        stream=row[0],
        version=row[1],
        position=row[2],
        at=row[3],
        owner=row[4],
        actor=row[5],
        access=row[6],
        command_id=row[7],
        correlation_id=row[8],
        event=decode(row[9], row[10]),
    )


class StoredState(msgspec.Struct, frozen=True, kw_only=True):
    """What the package carries as an event's opaque state: our envelope around the data."""

    at: datetime
    owner: str
    actor: str
    access: str
    command_id: str
    correlation_id: str
    data: msgspec.Raw


STATE_ENCODER = msgspec.json.Encoder()
STATE_DECODER = msgspec.json.Decoder(StoredState)


class LogEvent(msgspec.Struct, frozen=True):
    """A `Recorded` with the two names the package asks of an event."""

    recorded: Recorded

    @property
    def originator_id(self) -> str:
        """The stream."""
        return self.recorded.stream

    @property
    def originator_version(self) -> int:
        """The version in the stream."""
        return self.recorded.version


class EventMapper(Mapper[str]):
    """Lets the package's applications and projections speak in facts of ours."""

    def __init__(
        self,
        transcoder: Transcoder | None = None,
        compressor: Compressor | None = None,
        cipher: Cipher | None = None,
    ) -> None:
        if compressor is not None or cipher is not None:
            raise ValueError("The log is readable JSON: no compressor and no cipher.")
        # The encoding is ours; the package hands its own to every mapper.
        super().__init__(transcoder or JSONTranscoder())

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        """The event as the package stores it. Takes a LogEvent."""
        if not isinstance(domain_event, LogEvent):
            raise TypeError(f"the log takes LogEvent, not {type(domain_event).__name__}")
        recorded = domain_event.recorded
        state = StoredState(
            at=recorded.at,
            owner=recorded.owner,
            actor=recorded.actor,
            access=recorded.access,
            command_id=recorded.command_id,
            correlation_id=recorded.correlation_id,
            data=msgspec.Raw(EVENT_TYPES.encode(recorded.event).encode()),
        )
        return StoredEvent(
            originator_id=recorded.stream,
            originator_version=recorded.version,
            topic=recorded.event.TYPE,
            state=STATE_ENCODER.encode(state),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> LogEvent:
        """The event as it stands in the log; only a notification knows its position."""
        state = STATE_DECODER.decode(stored_event.state)
        recorded = Recorded(
            stream=str(stored_event.originator_id),
            version=stored_event.originator_version,
            position=stored_event.id if isinstance(stored_event, Notification) else 0,
            at=state.at,
            owner=state.owner,
            actor=state.actor,
            access=state.access,
            command_id=state.command_id,
            correlation_id=state.correlation_id,
            event=EVENT_TYPES.decode_any(stored_event.topic, bytes(state.data)),
        )
        return LogEvent(recorded)

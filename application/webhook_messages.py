"""What a webhook is sent for a fact of the log: an integration event, or a ping."""

import msgspec

from application.integration_events import SOURCE, encode, integration_event, sequence
from application.webhook_delivery import Message
from domain.event import Recorded
from domain.integration_types import PING_TYPE
from domain.webhook_events import WebhookPinged


class Ping(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent that says nothing but that messages arrive."""

    specversion: str = "1.0"
    id: str
    source: str = SOURCE
    type: str = PING_TYPE
    subject: str
    """The webhook."""
    time: str
    sequence: str


def message_of(recorded: Recorded) -> Message | None:
    """The message, or None for a fact that is told nobody."""
    if isinstance(recorded.event, WebhookPinged):
        ping = Ping(
            id=f"{recorded.stream}.{recorded.version}",
            subject=recorded.stream,
            time=recorded.at.isoformat(),
            sequence=sequence(recorded.position),
        )
        return Message(ping.id, encode(ping))
    event = integration_event(recorded)
    return None if event is None else Message(event.id, encode(event))

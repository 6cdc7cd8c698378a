"""What a webhook is sent for a fact of the log: an integration event, or a ping."""

import msgspec

from application.webhook_delivery import Message
from domain.event import Recorded
from domain.integration_types import INTEGRATION_TYPES
from domain.webhook_events import WebhookPinged


def message_of(recorded: Recorded) -> Message | None:
    """The message, or None for a fact that is told nobody."""
    if isinstance(recorded.event, WebhookPinged):
        name = "media.ping"
    else:
        found = INTEGRATION_TYPES.get(type(recorded.event))
        if found is None:
            return None
        name = found
    event_id = f"{recorded.stream}.{recorded.version}"
    body = {"specversion": "1.0", "id": event_id, "type": name, "subject": recorded.stream}
    return Message(event_id, msgspec.json.encode(body))

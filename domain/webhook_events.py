"""The facts of a webhook's life, as they are stored. Never edited: a change is a new version.

Neither the address beyond its origin nor a secret is among them: they stand under `target_id`
outside the log, where they can be erased.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from domain.event import Event


class WebhookRegistered(Event, frozen=True, kw_only=True):
    """The workspace wants to be told of these events at an address."""

    TYPE: ClassVar[str] = "webhook.registered.v1"
    origin: str
    """Scheme, host and port of the address."""
    target_id: str
    event_types: Sequence[str]
    description: str
    created_by: str


class WebhookChanged(Event, frozen=True, kw_only=True):
    """The webhook has another address, other event types or another description."""

    TYPE: ClassVar[str] = "webhook.changed.v1"
    origin: str
    target_id: str
    event_types: Sequence[str]
    description: str


class WebhookSecretRotated(Event, frozen=True, kw_only=True):
    """Messages are signed with a new secret, and for a while with the old one too."""

    TYPE: ClassVar[str] = "webhook.secret_rotated.v1"
    target_id: str
    previous_target_id: str
    previous_until: datetime


class WebhookPaused(Event, frozen=True, kw_only=True):
    """No messages are sent for now; they wait."""

    TYPE: ClassVar[str] = "webhook.paused.v1"
    reason: str
    """`user`, `failing` (three days in vain) or `gone` (the receiver answered 410)."""


class WebhookResumed(Event, frozen=True, kw_only=True):
    """Messages are sent again, those that waited first."""

    TYPE: ClassVar[str] = "webhook.resumed.v1"


class WebhookReplayRequested(Event, frozen=True, kw_only=True):
    """Everything the webhook is to be told of in a span of the log is sent again."""

    TYPE: ClassVar[str] = "webhook.replay_requested.v1"
    after: str
    """Position before the first event of the span."""
    until: str | None
    """Position of the last; None for all up to this very event."""


class WebhookPinged(Event, frozen=True, kw_only=True):
    """Someone wanted to see whether messages arrive."""

    TYPE: ClassVar[str] = "webhook.pinged.v1"


class WebhookRemoved(Event, frozen=True, kw_only=True):
    """The workspace wants to be told no more; address and secrets are erased."""

    TYPE: ClassVar[str] = "webhook.removed.v1"


WEBHOOK_EVENTS: tuple[type[Event], ...] = (
    WebhookRegistered,
    WebhookChanged,
    WebhookSecretRotated,
    WebhookPaused,
    WebhookResumed,
    WebhookReplayRequested,
    WebhookPinged,
    WebhookRemoved,
)

"""Webhook: an address a workspace wants to be told at, from its registration to its removal.

WebhookRegistered → (WebhookChanged | WebhookSecretRotated | WebhookPaused → WebhookResumed)*
→ WebhookRemoved
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

import msgspec

from domain.errors import InvalidField, WebhookNotFound
from domain.event import Event, Recorded
from domain.integration_types import INTEGRATION_TYPES
from domain.webhook_events import (
    WebhookChanged,
    WebhookPaused,
    WebhookPinged,
    WebhookRegistered,
    WebhookRemoved,
    WebhookReplayRequested,
    WebhookResumed,
    WebhookSecretRotated,
)

WEBHOOK_ID_PREFIX = "wh_"
WEBHOOK_ID = re.compile(r"wh_[A-Za-z0-9]{16}")
ROTATION_OVERLAP = timedelta(hours=24)
"""How long messages carry the signature of the old secret beside that of the new one."""
MAX_DESCRIPTION_LENGTH = 200
SUBSCRIBABLE = tuple(INTEGRATION_TYPES.values())
"""What a webhook can be told of."""


class WebhookStatus(StrEnum):
    """Whether messages are sent."""

    ACTIVE = "active"
    PAUSED = "paused"
    REMOVED = "removed"


class PauseReason(StrEnum):
    """Why no messages are sent for now."""

    USER = "user"
    FAILING = "failing"
    """A message was tried for three days in vain."""
    GONE = "gone"
    """The receiver answered 410."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One webhook as its events tell it. Decisions return events and change nothing."""

    id: str
    owner: str
    origin: str
    target_id: str
    previous_target_id: str | None = None
    previous_until: datetime | None = None
    event_types: tuple[str, ...]
    description: str
    status: WebhookStatus
    pause_reason: PauseReason | None = None
    created_by: str
    created_at: datetime
    updated_at: datetime
    version: int
    position: int

    @classmethod
    def from_history(cls, history: Iterable[Recorded]) -> Self | None:
        """Fold a stream; None when it is empty."""
        webhook: Self | None = None
        for recorded in history:
            webhook = cls.evolve(webhook, recorded)
        return webhook

    @classmethod
    def evolve(cls, webhook: Self | None, recorded: Recorded) -> Self:
        """The state after one more event."""
        event = recorded.event
        if isinstance(event, WebhookRegistered):
            return cls(
                id=recorded.stream,
                owner=recorded.owner,
                origin=event.origin,
                target_id=event.target_id,
                event_types=tuple(event.event_types),
                description=event.description,
                status=WebhookStatus.ACTIVE,
                created_by=event.created_by,
                created_at=recorded.at,
                updated_at=recorded.at,
                version=recorded.version,
                position=recorded.position,
            )
        if webhook is None:
            raise ValueError(f"{recorded.stream} does not begin with WebhookRegistered")
        changes: dict[str, object] = {}
        match event:
            case WebhookChanged():
                changes = {
                    "origin": event.origin,
                    "target_id": event.target_id,
                    "event_types": tuple(event.event_types),
                    "description": event.description,
                }
            case WebhookSecretRotated():
                changes = {
                    "target_id": event.target_id,
                    "previous_target_id": event.previous_target_id,
                    "previous_until": event.previous_until,
                }
            case WebhookPaused():
                changes = {
                    "status": WebhookStatus.PAUSED,
                    "pause_reason": PauseReason(event.reason),
                }
            case WebhookResumed():
                changes = {"status": WebhookStatus.ACTIVE, "pause_reason": None}
            case WebhookRemoved():
                changes = {"status": WebhookStatus.REMOVED}
        return msgspec.structs.replace(
            webhook,
            version=recorded.version,
            position=recorded.position,
            updated_at=recorded.at,
            **changes,
        )

    def check_present(self) -> None:
        """Raise WebhookNotFound when it was removed."""
        if self.status is WebhookStatus.REMOVED:
            raise WebhookNotFound(self.id)

    def change(
        self,
        *,
        origin: str,
        target_id: str,
        event_types: Sequence[str],
        description: str,
    ) -> list[Event]:
        """Decide on another address, other event types or another description."""
        self.check_present()
        changed = WebhookChanged(
            origin=origin,
            target_id=target_id,
            event_types=list(event_types),
            description=description,
        )
        now = (self.target_id, self.event_types, self.description)
        return [] if now == (target_id, tuple(event_types), description) else [changed]

    def rotate_secret(self, *, target_id: str, at: datetime) -> list[Event]:
        """Decide on a new secret; the old one signs as well for ROTATION_OVERLAP."""
        self.check_present()
        return [
            WebhookSecretRotated(
                target_id=target_id,
                previous_target_id=self.target_id,
                previous_until=at + ROTATION_OVERLAP,
            )
        ]

    def pause(self, reason: PauseReason) -> list[Event]:
        """Decide to send nothing for now; [] when it is paused already."""
        self.check_present()
        return [] if self.status is WebhookStatus.PAUSED else [WebhookPaused(reason=reason)]

    def resume(self) -> list[Event]:
        """Decide to go on, with what has been waiting first; [] when it goes on already."""
        self.check_present()
        return [WebhookResumed()] if self.status is WebhookStatus.PAUSED else []

    def replay(self, *, after: int, until: int | None = None) -> list[Event]:
        """Decide to send again what happened after a position, up to another or up to now."""
        self.check_present()
        last = None if until is None else str(until)
        return [WebhookReplayRequested(after=str(after), until=last)]

    def ping(self) -> list[Event]:
        """Decide to send a message that says nothing, to see whether it arrives."""
        self.check_present()
        return [WebhookPinged()]

    def remove(self) -> list[Event]:
        """Decide to send nothing any more. Raises WebhookNotFound when it is removed already."""
        self.check_present()
        return [WebhookRemoved()]


def is_webhook_id(text: str) -> bool:
    """Whether a webhook could have this id."""
    return WEBHOOK_ID.fullmatch(text) is not None


def checked_event_types(event_types: Sequence[str]) -> list[str]:
    """The types in their own order, each once. Raises InvalidField."""
    if not event_types or any(name not in SUBSCRIBABLE for name in event_types):
        raise InvalidField("eventTypes", f"one or more of {', '.join(SUBSCRIBABLE)}")
    return [name for name in SUBSCRIBABLE if name in event_types]


def checked_description(description: str) -> str:
    """The description. Raises InvalidField for control characters or one that is too long."""
    if len(description) > MAX_DESCRIPTION_LENGTH or not description.isprintable():
        raise InvalidField("description", f"at most {MAX_DESCRIPTION_LENGTH} printable characters")
    return description

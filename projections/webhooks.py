"""Read model `webhooks_v1`: the webhooks of a workspace. Read by `GET /webhooks` and the sender."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from domain.event import Event, Recorded
from domain.tenant import TenantRemoved
from domain.webhook import Webhook, WebhookStatus
from domain.webhook_events import (
    WebhookChanged,
    WebhookPaused,
    WebhookRegistered,
    WebhookRemoved,
    WebhookResumed,
    WebhookSecretRotated,
)
from projections.projection import Statement
from projections.reading import Answer, Pool, fetch_owned, owned, rfc3339

_REGISTER = """
INSERT INTO webhooks_v1 (owner, webhook_id, target_id, origin, event_types, description, status,
                         created_by, created_at, updated_at)
SELECT new.* FROM (VALUES (
  %b::text, %b::text, %b::text, %b::text, %b::text[], %b::text, 'active', %b::text,
  %b::timestamptz, %b::timestamptz)) AS new (owner)
WHERE NOT EXISTS (SELECT FROM removed_tenants AS removed WHERE removed.owner = new.owner)
ON CONFLICT (owner, webhook_id) DO NOTHING
"""
_CHANGE = """
UPDATE webhooks_v1 SET origin = %b, target_id = %b, event_types = %b::text[], description = %b,
                       updated_at = %b
WHERE owner = %b AND webhook_id = %b
"""
_ROTATE = """
UPDATE webhooks_v1 SET target_id = %b, previous_target_id = %b, previous_until = %b,
                       updated_at = %b
WHERE owner = %b AND webhook_id = %b
"""
_STATUS = """
UPDATE webhooks_v1 SET status = %b, pause_reason = %b, updated_at = %b
WHERE owner = %b AND webhook_id = %b
"""
_REMOVE = "DELETE FROM webhooks_v1 WHERE owner = %b AND webhook_id = %b"
_REMOVE_OWNER = "DELETE FROM webhooks_v1 WHERE owner = %b"


class WebhooksProjection:
    """One row a webhook, one statement an event: people change these by hand."""

    name: ClassVar[str] = "webhooks_v1"
    event_types: ClassVar[tuple[type[Event], ...] | None] = (
        WebhookRegistered,
        WebhookChanged,
        WebhookSecretRotated,
        WebhookPaused,
        WebhookResumed,
        WebhookRemoved,
        TenantRemoved,
    )

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """In the order of the events."""
        return [statement for recorded in batch if (statement := _statement(recorded)) is not None]


def _statement(recorded: Recorded) -> Statement | None:
    at, key = recorded.at, (recorded.owner, recorded.stream)
    match recorded.event:
        case WebhookRegistered() as event:
            given = (event.target_id, event.origin, list(event.event_types), event.description)
            return Statement(_REGISTER, (*key, *given, event.created_by, at, at))
        case WebhookChanged() as event:
            given = (event.origin, event.target_id, list(event.event_types), event.description)
            return Statement(_CHANGE, (*given, at, *key))
        case WebhookSecretRotated() as event:
            targets = (event.target_id, event.previous_target_id, event.previous_until)
            return Statement(_ROTATE, (*targets, at, *key))
        case WebhookPaused() as event:
            return Statement(_STATUS, (WebhookStatus.PAUSED.value, event.reason, at, *key))
        case WebhookResumed():
            return Statement(_STATUS, (WebhookStatus.ACTIVE.value, None, at, *key))
        case WebhookRemoved():
            return Statement(_REMOVE, key)
        case TenantRemoved():
            return Statement(_REMOVE_OWNER, (recorded.owner,))
    return None


class WebhookResource(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A webhook as the API shows it; its secret is shown once, when it is made."""

    id: str
    url: str
    """In full: whoever may read this may change it."""
    event_types: Sequence[str]
    description: str
    status: str
    pause_reason: str | None
    created_by: str
    created_at: str
    updated_at: str

    @classmethod
    def of(cls, webhook: Webhook, url: str) -> "WebhookResource":
        """The webhook as its events tell it."""
        return cls(
            id=webhook.id,
            url=url,
            event_types=webhook.event_types,
            description=webhook.description,
            status=webhook.status,
            pause_reason=webhook.pause_reason,
            created_by=webhook.created_by,
            created_at=rfc3339(webhook.created_at),
            updated_at=rfc3339(webhook.updated_at),
        )


_SELECT = """
SELECT webhook.webhook_id, target.url, webhook.event_types, webhook.description, webhook.status,
       webhook.pause_reason, webhook.created_by, webhook.created_at, webhook.updated_at
FROM webhooks_v1 AS webhook JOIN webhook_targets AS target
  ON target.owner = webhook.owner AND target.webhook_id = webhook.webhook_id
  AND target.target_id = webhook.target_id
WHERE webhook.owner = c.owner AND target.owner = c.owner
"""
_ALL = owned(WebhooksProjection.name, f"{_SELECT} ORDER BY created_at, webhook_id LIMIT 100")
_BY_ID = owned(WebhooksProjection.name, f"{_SELECT} AND webhook.webhook_id = %(id)s")


async def all_of(pool: Pool, owner: str) -> Answer[list[WebhookResource]]:
    """The owner's webhooks, oldest first."""
    answer = await fetch_owned(pool, _ALL, {"owner": owner})
    return Answer([_resource(row) for row in answer.found], answer.position)


async def by_id(pool: Pool, owner: str, webhook_id: str) -> Answer[WebhookResource | None]:
    """The owner's webhook of this id, or None."""
    answer = await fetch_owned(pool, _BY_ID, {"owner": owner, "id": webhook_id})
    return Answer(_resource(answer.found[0]) if answer.found else None, answer.position)


def _resource(row: tuple[Any, ...]) -> WebhookResource:
    id_, url, event_types, description, status, pause_reason, created_by, created, updated = row
    times: tuple[datetime, datetime] = created, updated
    return WebhookResource(
        id=id_,
        url=url,
        event_types=event_types,
        description=description,
        status=status,
        pause_reason=pause_reason,
        created_by=created_by,
        created_at=rfc3339(times[0]),
        updated_at=rfc3339(times[1]),
    )

"""The fan-out: each event that a webhook is to be told of becomes a delivery, exactly once.

A follower like a read model, and none: what was sent cannot be had from the log, so it is never
rebuilt. Its deliveries are sent by `workers/webhooks.py` and read by `GET /webhooks/…/deliveries`.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from domain.event import Event, Recorded
from domain.integration_types import INTEGRATION_TYPES, PING_TYPE
from domain.tenant import TenantRemoved
from domain.webhook_events import (
    WEBHOOK_EVENTS,
    WebhookChanged,
    WebhookPaused,
    WebhookPinged,
    WebhookRegistered,
    WebhookRemoved,
    WebhookReplayRequested,
    WebhookResumed,
)
from projections.columns import columns
from projections.projection import Statement
from projections.reading import Answer, Pool, fetch_owned, owned, rfc3339

_DELIVER = """
INSERT INTO webhook_deliveries (owner, webhook_id, position, stream, type, status, due_at)
SELECT route.owner, route.webhook_id, new.position, new.stream, new.type, 'waiting', now()
FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::text[]) AS new (owner, position, stream, type)
JOIN webhook_routes AS route
  ON route.owner = new.owner AND new.type = ANY (route.event_types)
ON CONFLICT (webhook_id, position) DO NOTHING
"""
_PING = f"""
INSERT INTO webhook_deliveries (owner, webhook_id, position, stream, type, status, due_at)
VALUES (%b, %b, %b, %b, '{PING_TYPE}', 'waiting', now())
ON CONFLICT (webhook_id, position) DO NOTHING
"""  # noqa: S608 - text of ours
_ADD_ROUTE = """
INSERT INTO webhook_routes (webhook_id, owner, event_types, active)
VALUES (%b, %b, %b::text[], true) ON CONFLICT (webhook_id) DO NOTHING
"""
_CHANGE_ROUTE = "UPDATE webhook_routes SET event_types = %b::text[] WHERE webhook_id = %b"
_PAUSE_ROUTE = "UPDATE webhook_routes SET active = false WHERE webhook_id = %b"
_RESUME_ROUTE = """
UPDATE webhook_routes SET active = true, failures = 0, resting_until = '-infinity'
WHERE webhook_id = %b
"""
# Whoever resumes has mended the receiver: nothing is to wait for the rest of its back-off.
_HURRY = """
UPDATE webhook_deliveries SET due_at = now(), attempts = 0
WHERE webhook_id = %b AND status = 'waiting'
"""
_REPLAY = """
INSERT INTO webhook_replays (webhook_id, position, owner, reached, until)
SELECT webhook_id, %b, owner, %b, %b FROM webhook_routes WHERE webhook_id = %b
ON CONFLICT DO NOTHING
"""
_REMOVE_DELIVERIES = "DELETE FROM webhook_deliveries WHERE webhook_id = %b"
_REMOVE_ROUTE = "DELETE FROM webhook_routes WHERE webhook_id = %b"
_REMOVE_OWNER = (
    "DELETE FROM webhook_deliveries WHERE owner = %b",
    "DELETE FROM webhook_routes WHERE owner = %b",
    "DELETE FROM webhook_targets WHERE owner = %b",
)


class WebhookFanOut:
    """Files in one statement a run, between the events that change who is told."""

    name: ClassVar[str] = "webhook_fan_out"
    event_types: ClassVar[tuple[type[Event], ...] | None] = (
        *INTEGRATION_TYPES,
        *WEBHOOK_EVENTS,
        TenantRemoved,
    )

    def fold(self, batch: Sequence[Recorded]) -> Sequence[Statement]:
        """In the order of the events, since a webhook hears only of what came after it."""
        statements: list[Statement] = []
        told: list[tuple[object, ...]] = []
        for recorded in batch:
            name = INTEGRATION_TYPES.get(type(recorded.event))
            if name is not None:
                told.append((recorded.owner, recorded.position, recorded.stream, name))
                continue
            changes = _changes(recorded)
            if changes and told:
                statements.append(Statement(_DELIVER, columns(told)))
                told = []
            statements.extend(changes)
        if told:
            statements.append(Statement(_DELIVER, columns(told)))
        return statements


def _changes(recorded: Recorded) -> list[Statement]:
    stream, owner = recorded.stream, recorded.owner
    match recorded.event:
        case WebhookRegistered() as event:
            return [Statement(_ADD_ROUTE, (stream, owner, list(event.event_types)))]
        case WebhookChanged() as event:
            return [Statement(_CHANGE_ROUTE, (list(event.event_types), stream))]
        case WebhookPaused():
            return [Statement(_PAUSE_ROUTE, (stream,))]
        case WebhookResumed():
            return [Statement(_RESUME_ROUTE, (stream,)), Statement(_HURRY, (stream,))]
        case WebhookPinged():
            return [Statement(_PING, (owner, stream, recorded.position, stream))]
        case WebhookReplayRequested() as event:
            until = recorded.position if event.until is None else int(event.until)
            span = int(event.after), until
            return [Statement(_REPLAY, (recorded.position, *span, stream))]
        case WebhookRemoved():
            return [Statement(_REMOVE_DELIVERIES, (stream,)), Statement(_REMOVE_ROUTE, (stream,))]
        case TenantRemoved():
            return [Statement(sql, (owner,)) for sql in _REMOVE_OWNER]
    return []


class DeliveryAttempt(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One try to deliver a message."""

    at: str
    duration_ms: int
    response_status: int | None
    error: str | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One message to a webhook, with every try."""

    position: str
    type: str
    subject: str
    """The file, or the webhook itself for a ping."""
    status: str
    """`held`: an earlier one of its file was given up."""
    due_at: str
    """When it is tried next, while it waits."""
    attempts: Sequence[DeliveryAttempt]


_PAGE = owned(
    WebhookFanOut.name,
    """
    SELECT d.position, d.type, d.stream, d.status, d.due_at,
      ARRAY(SELECT jsonb_build_array(a.at, a.duration_ms, a.response_status, a.error)::text
            FROM webhook_attempts AS a
            WHERE a.owner = c.owner AND a.webhook_id = d.webhook_id AND a.position = d.position
            ORDER BY a.at DESC LIMIT 50)
    FROM webhook_deliveries AS d
    WHERE d.owner = c.owner AND d.webhook_id = %(id)s AND d.position < %(before)s
      AND (%(status)s::text IS NULL OR d.status = %(status)s)
    ORDER BY d.position DESC LIMIT %(limit)s
    """,
)


async def deliveries(
    pool: Pool, owner: str, webhook_id: str, *, before: int, limit: int, status: str | None
) -> Answer[list[Delivery]]:
    """Messages to the owner's webhook, newest first, from below a position."""
    parameters = {
        "owner": owner,
        "id": webhook_id,
        "before": before,
        "limit": limit,
        "status": status,
    }
    answer = await fetch_owned(pool, _PAGE, parameters)
    return Answer([_delivery(row) for row in answer.found], answer.position)


def _delivery(row: tuple[Any, ...]) -> Delivery:
    position, type_, stream, status, due_at, attempts = row
    tried = (
        msgspec.json.decode(text, type=tuple[datetime, int, int | None, str | None])
        for text in attempts
    )
    return Delivery(
        position=str(position),
        type=type_,
        subject=stream,
        status=status,
        due_at=rfc3339(due_at),
        attempts=[
            DeliveryAttempt(
                at=rfc3339(at), duration_ms=duration_ms, response_status=answered, error=error
            )
            for at, duration_ms, answered, error in tried
        ],
    )

"""Sending: what waits for a webhook is tried in the order of each file until it arrives.

One job at a time works for a webhook; it is killed or lost without harm, since what waits is a row.
"""

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from application.context import SystemContext
from application.ports import Clock, Identities
from application.webhooks import Target, Webhooks, WebhookTargets
from domain.errors import MediaError, SourceUnavailable
from domain.webhook import PauseReason, WebhookStatus

AT_ONCE = 8
"""Messages of different files under way to one receiver."""
RUN_SECONDS = 20.0
"""How long one job goes on before it lets another webhook have its place."""
LEASE_SECONDS = 45
"""Longer than a batch can take; then another job may work for the webhook."""
GONE = 410
JITTER = 0.2
FAILING_RUN_SECONDS = 1.0
"""The same for a receiver of whose last messages none arrived: it may be slow to fail."""
REST_SECONDS = 1.0
"""How long a receiver is left alone after AT_ONCE attempts in a row that failed; doubled with every
AT_ONCE more. A message that fails alone rests alone, and its file with it."""
LONGEST_REST_SECONDS = 60.0
MAX_ERROR_LENGTH = 200


class Due(msgspec.Struct, frozen=True):
    """A message whose turn has come."""

    position: int
    attempts: int
    """So far."""


class Lease(msgspec.Struct, frozen=True):
    """The place at a webhook that one job has at a time."""

    any_given_up: bool
    """Whether messages may wait behind one that was given up."""


class Message(msgspec.Struct, frozen=True):
    """What is sent."""

    id: str
    """The same at every attempt: receivers de-duplicate by it."""
    body: bytes


class Answer(msgspec.Struct, frozen=True):
    """What came of an attempt."""

    at: datetime
    duration_ms: int
    status: int | None
    error: str | None
    """None when the receiver took the message."""


class Outcome(msgspec.Struct, frozen=True):
    """An attempt and where the message stands after it."""

    position: int
    answer: Answer
    due_at: datetime | None
    """When it is tried next; None when it has arrived or is given up."""
    attempts: int
    """Before this one."""


class Standing(msgspec.Struct, frozen=True):
    """Where a receiver stands after a batch."""

    failures: int
    """Attempts in a row that failed, over all messages."""
    given_up: int
    """Messages that are tried no more since this batch."""


class Deliveries(Protocol):
    """What waits and what was tried."""

    async def take_lease(self, webhook_id: str, lease: str, seconds: int) -> Lease | None:
        """The job's place at the webhook, taken or extended; None while another one has it."""
        ...

    async def let_go(self, webhook_id: str, lease: str) -> None:
        """Let others work for the webhook."""
        ...

    async def hold_back(self, webhook_id: str) -> None:
        """Mark what waits behind a message of its file that was given up."""
        ...

    async def due(self, webhook_id: str, limit: int) -> Sequence[Due]:
        """Messages that are due and whose file has no earlier one to be taken, oldest first."""
        ...

    async def record(self, webhook_id: str, outcomes: Sequence[Outcome]) -> Standing:
        """Note what came of the attempts, and where the receiver stands after them."""
        ...

    async def rest(self, webhook_id: str, until: datetime) -> None:
        """Leave the receiver alone until then."""
        ...


class Messages(Protocol):
    """What the log says at a position, as a message."""

    async def messages(self, positions: Sequence[int]) -> Mapping[int, Message]:
        """The messages by position; nothing where there is nothing to tell."""
        ...


class Sender(Protocol):
    """POSTs a message."""

    async def send(self, target: Target, message: Message, *, previous: Target | None) -> int:
        """The status of a 2xx answer. Raises SourceUnavailable or SsrfBlocked.

        `previous`: its secret signs as well.
        """
        ...


class WebhookDelivery:
    """The job behind DeliverWebhook and RetryWebhook."""

    def __init__(
        self,
        webhooks: Webhooks,
        deliveries: Deliveries,
        *,
        targets: WebhookTargets,
        messages: Messages,
        sender: Sender,
        identities: Identities,
        clock: Clock,
        retry_seconds: Sequence[float],
    ) -> None:
        """`retry_seconds`: how long to wait after each failed attempt; after the last, no more."""
        self._webhooks = webhooks
        self._deliveries = deliveries
        self._targets = targets
        self._messages = messages
        self._sender = sender
        self._identities = identities
        self._clock = clock
        self._retry_seconds = retry_seconds

    async def deliver(self, webhook_id: str, context: SystemContext) -> int:
        """Send what is due, for RUN_SECONDS at most; how many messages arrived."""
        lease = self._identities.nanoid()
        time = asyncio.get_running_loop().time
        began = time()
        seconds = RUN_SECONDS
        arrived = 0
        try:
            while time() < began + seconds:
                taken = await self._deliveries.take_lease(webhook_id, lease, LEASE_SECONDS)
                if taken is None:
                    break
                if taken.any_given_up:
                    await self._deliveries.hold_back(webhook_id)
                outcomes = await self._send_batch(webhook_id)
                if not outcomes:
                    break
                accepted = sum(outcome.answer.error is None for outcome in outcomes)
                arrived += accepted
                seconds = RUN_SECONDS if accepted else FAILING_RUN_SECONDS
                if await self._settle(webhook_id, outcomes, context):
                    break
                # It was all there was: what came meanwhile is met by the dispatcher's next look.
                if len(outcomes) < AT_ONCE:
                    break
        finally:
            await self._deliveries.let_go(webhook_id, lease)
        return arrived

    async def _send_batch(self, webhook_id: str) -> list[Outcome]:
        webhook = await self._webhooks.load(webhook_id)
        if webhook is None or webhook.status is not WebhookStatus.ACTIVE:
            return []
        due = await self._deliveries.due(webhook_id, AT_ONCE)
        target = await self._targets.target(webhook.owner, webhook.id, webhook.target_id)
        if not due or target is None:
            return []
        previous = None
        if (
            webhook.previous_target_id is not None
            and webhook.previous_until is not None
            and self._clock() < webhook.previous_until
        ):
            previous = await self._targets.target(
                webhook.owner, webhook.id, webhook.previous_target_id
            )
        messages = await self._messages.messages([one.position for one in due])
        return await asyncio.gather(
            *(self._attempt(one, messages.get(one.position), target, previous) for one in due)
        )

    async def _attempt(
        self, due: Due, message: Message | None, target: Target, previous: Target | None
    ) -> Outcome:
        at = self._clock()
        began = asyncio.get_running_loop().time()
        status, error = None, None
        if message is None:
            error = "There is nothing at this position any more."
        else:
            try:
                status = await self._sender.send(target, message, previous=previous)
            except SourceUnavailable as failure:
                status = _status_of(failure)
                error = failure.message
            except MediaError as failure:
                error = failure.message
        duration_ms = round((asyncio.get_running_loop().time() - began) * 1000)
        answer = Answer(at, duration_ms, status, error and error[:MAX_ERROR_LENGTH])
        due_at = None
        if error is not None and message is not None and due.attempts < len(self._retry_seconds):
            seconds = self._retry_seconds[due.attempts]
            factor = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - jitter
            due_at = self._clock() + timedelta(seconds=seconds * factor)
        return Outcome(due.position, answer, due_at, due.attempts)

    async def _settle(
        self, webhook_id: str, outcomes: Sequence[Outcome], context: SystemContext
    ) -> bool:
        """Record the batch; whether the receiver is to be left alone now."""
        standing = await self._deliveries.record(webhook_id, outcomes)
        if any(outcome.answer.status == GONE for outcome in outcomes):
            await self._webhooks.pause(webhook_id, PauseReason.GONE, context)
            return True
        if standing.given_up:
            await self._webhooks.pause(webhook_id, PauseReason.FAILING, context)
            return True
        if standing.failures < AT_ONCE:
            return False
        doubled = min(standing.failures // AT_ONCE - 1, 10)
        seconds = min(REST_SECONDS * 2**doubled, LONGEST_REST_SECONDS)
        await self._deliveries.rest(webhook_id, self._clock() + timedelta(seconds=seconds))
        return True


def _status_of(failure: SourceUnavailable) -> int | None:
    status = failure.details.get("sourceStatus")
    return status if isinstance(status, int) else None

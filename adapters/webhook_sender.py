"""Messages to webhooks: signed as Standard Webhooks wants it, POSTed through the SSRF guard."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from adapters.event_mapper import COLUMNS, recorded_from_row
from adapters.guarded_http import GuardedFetcher
from adapters.postgres import Pool, connection
from adapters.url_gate import gate
from application.ports import Clock
from application.webhook_delivery import Message
from application.webhooks import Target
from domain.errors import SsrfBlocked
from domain.event import Recorded

SECRET_PREFIX = "whsec_"  # noqa: S105 - of the scheme, not a secret
SECRET_BYTES = 32
MAX_ANSWER_BYTES = 64 * 1024
"""What a receiver may answer; nobody reads it."""

_MESSAGES = f"SELECT {COLUMNS} FROM events WHERE position = ANY (%s)"  # noqa: S608 - text of ours


def new_secret() -> str:
    """A secret in the form of Standard Webhooks."""
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def origin_of(url: str, *, permitted: frozenset[str]) -> str:
    """The origin of an address that may be called. Raises SsrfBlocked.

    Messages name files of a workspace, so they go over TLS, but for a permitted address.
    """
    gated = gate(url, permitted=permitted)
    if gated.scheme != "https" and not gated.permitted:
        raise SsrfBlocked("a webhook needs https")
    return f"{gated.scheme}://{gated.authority}"


def signature(secret: str, message_id: str, at: datetime, body: bytes) -> str:
    """The `v1` signature of a message (Standard Webhooks, "Signature scheme")."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join([message_id.encode(), str(int(at.timestamp())).encode(), body])
    return "v1," + base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()


class WebhookSender:
    """`application.webhook_delivery.Sender`."""

    def __init__(self, fetcher: GuardedFetcher, clock: Clock) -> None:
        self._fetcher = fetcher
        self._clock = clock

    async def send(self, target: Target, message: Message, *, previous: Target | None) -> int:
        """The status of a 2xx answer. Raises SourceUnavailable or SsrfBlocked."""
        at = self._clock()
        keys = [target.secret] if previous is None else [target.secret, previous.secret]
        headers = {
            "content-type": "application/cloudevents+json; charset=utf-8",
            "webhook-id": message.id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": " ".join(
                signature(key, message.id, at, message.body) for key in keys
            ),
        }
        async with self._fetcher.request(
            "POST", target.url, max_bytes=MAX_ANSWER_BYTES, headers=headers, body=message.body
        ) as answer:
            return answer.status


class PostgresMessages:
    """`application.webhook_delivery.Messages`, for a pool of the role media_worker."""

    def __init__(self, pool: Pool, message_of: Callable[[Recorded], Message | None]) -> None:
        self._pool = pool
        self._message_of = message_of

    async def messages(self, positions: Sequence[int]) -> Mapping[int, Message]:
        """The messages by position; nothing where there is nothing to tell."""
        async with connection(self._pool) as one:
            cursor = one.cursor(binary=True)
            await cursor.execute(_MESSAGES, (list(positions),))
            events = [recorded_from_row(row) for row in await cursor.fetchall()]
        told = {recorded.position: self._message_of(recorded) for recorded in events}
        return {position: message for position, message in told.items() if message is not None}

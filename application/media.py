"""Media: load, decide, append, after a conflict decide again. The way of every command."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

import msgspec

from application.context import Context, SystemContext
from application.ports import EventStore, IngestSource, KeptOutcome, KeyClaim, StreamChanged
from domain.access import Access
from domain.errors import Contention, IdempotencyConflict
from domain.event import Event, Recorded
from domain.media_file import MediaFile
from domain.tenant import Tenant, stream_of

T = TypeVar("T")

ATTEMPTS = 4
"""One try and three repeats after a conflict (docs/architecture.md)."""


class Decided(msgspec.Struct, frozen=True):
    """New events of one stream, with the ground they were allowed on."""

    stream: str
    owner: str
    version: int
    """Of the last event the decision knew."""
    access: Access
    events: Sequence[Event]


class Histories(msgspec.Struct, frozen=True):
    """Loaded streams."""

    streams: Mapping[str, Sequence[Recorded]]

    def file(self, media_id: str) -> MediaFile | None:
        """The file as its events tell it, or None when there are none."""
        return MediaFile.from_history(self.streams.get(media_id, ()))

    def tenant(self, tenant_id: str) -> Tenant:
        """The workspace as its events tell it."""
        return Tenant.from_history(self.streams.get(stream_of(tenant_id), ()))


class Media:
    """The write side."""

    def __init__(
        self, store: EventStore, *, announce: Callable[[int], None] = lambda _: None
    ) -> None:
        """`announce` is told each position after its commit: a hint for followers, nothing more."""
        self._store = store
        self._announce = announce

    async def load(self, *streams: str) -> Histories:
        """The histories of the streams."""
        return Histories(await self._store.load(streams))

    async def command_streams(self, command_id: str) -> Sequence[str]:
        """The streams that the command appended to, across tenants: admission comes after."""
        return await self._store.command_streams(command_id)

    async def append(
        self,
        decided: Sequence[Decided],
        context: Context | SystemContext,
        *,
        claim: KeyClaim | None = None,
        source: IngestSource | None = None,
    ) -> list[Recorded]:
        """Append what was decided in one transaction; the events as they now stand in the log.

        Raises StreamChanged, KeyTaken or TenantRemoved, when nothing was written, or
        DatabaseUnavailable, whose text says so where a lost connection leaves it unknown.
        """
        events = [recorded for one in decided for recorded in envelop(one, context)]
        last = await self._store.append(events, claim=claim, source=source)
        self._announce(last)
        first = last - len(events) + 1
        return [
            msgspec.structs.replace(recorded, position=position)
            for position, recorded in enumerate(events, first)
        ]

    async def append_removal(self, decided: Decided, context: SystemContext) -> int:
        """Append TenantRemoved, closing the tenant to further commands."""
        (recorded,) = envelop(decided, context)
        position = await self._store.append_removal(recorded)
        self._announce(position)
        return position

    async def repeatedly(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Run load-decide-append until no one else was faster, at most ATTEMPTS times.

        Raises Contention.
        """
        for number in range(ATTEMPTS):
            if number:
                await asyncio.sleep(random.uniform(0, 0.01 * 2**number))  # noqa: S311 - jitter
            try:
                return await attempt()
            except StreamChanged:
                continue
        raise Contention("The file is being changed by others; try again.")

    async def kept_outcome(self, context: Context) -> KeptOutcome | None:
        """What the caller's Idempotency-Key led to before. Raises IdempotencyConflict."""
        if context.idempotency is None:
            return None
        kept = await self._store.kept_outcome(
            owner=str(context.owner),
            user_id=context.caller.user_id,
            idempotency=context.idempotency,
            at=context.at,
        )
        return kept and same_request(kept, context)


def same_request(kept: KeptOutcome, context: Context) -> KeptOutcome:
    """The kept outcome, if the body is the same. Raises IdempotencyConflict."""
    if context.idempotency is None or kept.fingerprint != context.idempotency.fingerprint:
        raise IdempotencyConflict("This Idempotency-Key was used with another body.")
    if kept.command_id is not None:
        context.idempotency.repeats(kept.command_id)
    return kept


def claim_for(context: Context, outcome: object) -> KeyClaim | None:
    """The claim of the caller's Idempotency-Key, or None when there is none."""
    if context.idempotency is None:
        return None
    return KeyClaim(
        owner=str(context.owner),
        user_id=context.caller.user_id,
        idempotency=context.idempotency,
        outcome=msgspec.json.encode(outcome),
        at=context.at,
        command_id=context.command_id,
    )


def envelop(decided: Decided, context: Context | SystemContext) -> list[Recorded]:
    """The events with their envelopes, not yet in the log."""
    actor = f"user:{context.caller.user_id}" if isinstance(context, Context) else context.actor
    return [
        Recorded(
            stream=decided.stream,
            version=version,
            position=0,
            at=context.at,
            owner=decided.owner,
            actor=actor,
            access=decided.access,
            command_id=context.command_id,
            correlation_id=context.correlation_id,
            event=event,
        )
        for version, event in enumerate(decided.events, decided.version + 1)
    ]

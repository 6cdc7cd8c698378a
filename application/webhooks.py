"""Webhooks: what a workspace says of the addresses it wants to be told at. Called by the API."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from application.context import Context, SystemContext
from application.media import Decided, Media, claim_for, same_request
from application.ports import Identities, KeyTaken, StreamChanged
from domain.access import Access
from domain.errors import TenantRemoved, WebhookNotFound
from domain.event import Event
from domain.owner import parse
from domain.tenant import stream_of
from domain.webhook import (
    WEBHOOK_ID_PREFIX,
    PauseReason,
    Webhook,
    checked_description,
    checked_event_types,
    is_webhook_id,
)
from domain.webhook_events import WebhookRegistered


class RegisterWebhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Ask to be told of events at an address."""

    url: str
    event_types: list[str]
    description: str = ""


class ChangeWebhook(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Change what is given, keep the rest."""

    url: str | None = None
    event_types: list[str] | None = None
    description: str | None = None
    status: Literal["active", "paused"] | None = None


class ReplayWebhook(msgspec.Struct, frozen=True, kw_only=True):
    """Send everything after a position again; from the beginning of the log with `0`."""

    position: str


class Target(msgspec.Struct, frozen=True):
    """Where messages go and what signs them."""

    url: str
    secret: str
    """`whsec_` and the key in base64 (Standard Webhooks)."""


class WebhookTargets(Protocol):
    """Addresses and secrets, outside of the log."""

    async def keep(self, owner: str, webhook_id: str, target_id: str, target: Target) -> None:
        """Keep a target before the event that names it is appended."""
        ...

    async def target(self, owner: str, webhook_id: str, target_id: str) -> Target | None:
        """The target, or None when it was erased."""
        ...


class Registered(msgspec.Struct, frozen=True):
    """A webhook with the secret that only this answer shows."""

    webhook: Webhook
    target: Target


class Webhooks:
    """The webhook commands."""

    def __init__(
        self,
        media: Media,
        targets: WebhookTargets,
        identities: Identities,
        *,
        origin_of: Callable[[str], str],
        new_secret: Callable[[], str],
    ) -> None:
        """`origin_of` is the origin of an address that may be called, or raises SsrfBlocked."""
        self._media = media
        self._targets = targets
        self._identities = identities
        self._origin_of = origin_of
        self._new_secret = new_secret

    async def register(self, command: RegisterWebhook, context: Context) -> Registered:
        """Begin to tell of what happens from now on."""
        event_types = checked_event_types(command.event_types)
        description = checked_description(command.description)
        webhook_id = WEBHOOK_ID_PREFIX + self._identities.nanoid()
        target_id = self._identities.nanoid()
        registered = WebhookRegistered(
            origin=self._origin_of(command.url),
            target_id=target_id,
            event_types=event_types,
            description=description,
            created_by=context.caller.user_id,
        )
        owner = str(context.owner)
        target = Target(command.url, self._new_secret())
        claim = claim_for(context, {"webhookId": webhook_id})
        await self._targets.keep(owner, webhook_id, target_id, target)
        decided = Decided(webhook_id, owner, 0, _access(owner), [registered])
        try:
            recorded = await self._media.append([decided], context, claim=claim)
        except KeyTaken as taken:
            outcome = msgspec.json.decode(same_request(taken.kept, context).outcome)
            return await self._registered_before(outcome["webhookId"], context)
        return Registered(Webhook.evolve(None, recorded[-1]), target)

    async def _registered_before(self, webhook_id: str, context: Context) -> Registered:
        webhook = await self._own(webhook_id, context)
        return Registered(webhook, await self._target_of(webhook))

    async def change(self, webhook_id: str, command: ChangeWebhook, context: Context) -> Registered:
        """Change what the command gives."""
        now = await self._own(webhook_id, context)
        target, target_id = await self._target_of(now), now.target_id
        if command.url is not None and command.url != target.url:
            self._origin_of(command.url)
            target, target_id = Target(command.url, target.secret), self._identities.nanoid()
            await self._targets.keep(now.owner, webhook_id, target_id, target)

        def decide(webhook: Webhook) -> list[Event]:
            if webhook.target_id != now.target_id:
                raise StreamChanged
            given = command.event_types
            events = webhook.change(
                origin=self._origin_of(target.url),
                target_id=target_id,
                event_types=webhook.event_types if given is None else checked_event_types(given),
                description=checked_description(
                    webhook.description if command.description is None else command.description
                ),
            )
            match command.status:
                case "paused":
                    events += webhook.pause(PauseReason.USER)
                case "active":
                    events += webhook.resume()
            return events

        return Registered(await self._command(webhook_id, context, decide), target)

    async def rotate_secret(self, webhook_id: str, context: Context) -> Registered:
        """Sign with a new secret, and for ROTATION_OVERLAP with the old one as well."""
        now = await self._own(webhook_id, context)
        target = Target((await self._target_of(now)).url, self._new_secret())
        target_id = self._identities.nanoid()
        await self._targets.keep(now.owner, webhook_id, target_id, target)

        def decide(webhook: Webhook) -> list[Event]:
            if webhook.target_id != now.target_id:
                raise StreamChanged
            return webhook.rotate_secret(target_id=target_id, at=context.at)

        return Registered(await self._command(webhook_id, context, decide), target)

    async def ping(self, webhook_id: str, context: Context) -> Webhook:
        """Send a message that says nothing."""
        return await self._command(webhook_id, context, lambda webhook: webhook.ping())

    async def replay(
        self, webhook_id: str, context: Context, *, after: int, until: int | None = None
    ) -> Webhook:
        """Send again what happened after a position, up to another or up to now."""
        return await self._command(
            webhook_id, context, lambda webhook: webhook.replay(after=after, until=until)
        )

    async def remove(self, webhook_id: str, context: Context) -> Webhook:
        """Tell of nothing any more."""
        return await self._command(webhook_id, context, lambda webhook: webhook.remove())

    async def pause(self, webhook_id: str, reason: PauseReason, context: SystemContext) -> None:
        """Stop sending to a receiver that is gone or has failed for too long."""

        async def attempt() -> None:
            webhook = await self.load(webhook_id)
            if webhook is not None and (events := webhook.pause(reason)):
                await self._append(webhook, Access.SYSTEM, events, context)

        await self._media.repeatedly(attempt)

    async def _command(
        self, webhook_id: str, context: Context, decide: Callable[[Webhook], Sequence[Event]]
    ) -> Webhook:
        kept = await self._media.kept_outcome(context)
        if kept is not None:
            return await self._own(webhook_id, context)

        async def attempt() -> Webhook:
            webhook = await self._own(webhook_id, context)
            events = decide(webhook)
            access = _access(webhook.owner)
            try:
                return await self._append(webhook, access, events, context)
            except KeyTaken as taken:
                same_request(taken.kept, context)
                return await self._own(webhook_id, context)

        return await self._media.repeatedly(attempt)

    async def _append(
        self,
        webhook: Webhook,
        access: Access,
        events: Sequence[Event],
        context: Context | SystemContext,
    ) -> Webhook:
        claim = None
        if isinstance(context, Context):
            claim = claim_for(context, {"webhookId": webhook.id})
        if not events and claim is None:
            return webhook
        decided = Decided(webhook.id, webhook.owner, webhook.version, access, events)
        for recorded in await self._media.append([decided], context, claim=claim):
            webhook = Webhook.evolve(webhook, recorded)
        return webhook

    async def _own(self, webhook_id: str, context: Context) -> Webhook:
        """The caller's webhook. Raises TenantRemoved or WebhookNotFound."""
        if not is_webhook_id(webhook_id):
            raise WebhookNotFound(webhook_id[:64])
        tenant_id = context.caller.tenant_id
        streams = [webhook_id] if tenant_id is None else [webhook_id, stream_of(tenant_id)]
        histories = await self._media.load(*streams)
        if tenant_id is not None and histories.tenant(tenant_id).removed_at is not None:
            raise TenantRemoved("This workspace was removed.")
        webhook = Webhook.from_history(histories.streams.get(webhook_id, ()))
        if webhook is None or webhook.owner != str(context.owner):
            raise WebhookNotFound(webhook_id)
        webhook.check_present()
        return webhook

    async def load(self, webhook_id: str) -> Webhook | None:
        """The webhook as it stands in the log, whosever it is."""
        history = (await self._media.load(webhook_id)).streams.get(webhook_id, ())
        return Webhook.from_history(history)

    async def _target_of(self, webhook: Webhook) -> Target:
        target = await self._targets.target(webhook.owner, webhook.id, webhook.target_id)
        if target is None:
            raise WebhookNotFound(webhook.id)
        return target


def _access(owner: str) -> Access:
    return Access.WORKSPACE if parse(owner).tenant_id else Access.UPLOADER

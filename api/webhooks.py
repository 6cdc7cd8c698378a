"""The webhook routes: register, list, change, rotate, ping, remove, deliveries, replay."""

from collections.abc import Sequence
from typing import Literal, get_args

import msgspec
from litestar import delete, get, patch, post
from litestar.response.base import ASGIResponse

from api.bodies import Body, path_context
from api.parameters import MAX_POSITION, query_parameters, whole_number
from api.positions import read_at, wanted_position
from api.routes import MediaRequest, answer, note, runtime_of
from api.security import caller_of
from application.webhooks import ChangeWebhook, Registered, RegisterWebhook, ReplayWebhook
from domain.access import Caller, Permission
from domain.errors import InvalidField, TooManyWebhooks, WebhookNotFound
from domain.owner import tenant, user
from domain.webhook import is_webhook_id
from projections import webhook_fan_out, webhooks
from projections.webhook_fan_out import Delivery, WebhookFanOut
from projections.webhooks import WebhookResource, WebhooksProjection

REGISTER = Body(RegisterWebhook)
CHANGE = Body(ChangeWebhook)
REPLAY = Body(ReplayWebhook)
MAX_WEBHOOKS = 20
MAX_LIMIT = 100
DeliveryStatus = Literal["waiting", "delivered", "failed", "held"]
PAGE = frozenset({"limit", "cursor", "status"})


class WebhookList(msgspec.Struct, frozen=True):
    """The webhooks of a workspace, oldest first."""

    items: list[WebhookResource]


class WebhookWithSecret(WebhookResource, frozen=True, kw_only=True, rename="camel"):
    """A webhook and the secret its messages are signed with, shown this once."""

    secret: str


class Removed(msgspec.Struct, frozen=True):
    """The answer to a removal."""

    id: str
    removed: bool = True


class Queued(msgspec.Struct, frozen=True):
    """What was asked for shows in the deliveries soon."""

    id: str
    queued: bool = True


class DeliveryList(msgspec.Struct, frozen=True, rename="camel"):
    """Messages to a webhook, newest first."""

    items: Sequence[Delivery]
    next_cursor: str | None


def _owner(caller: Caller) -> str:
    return str(user(caller.user_id) if caller.tenant_id is None else tenant(caller.tenant_id))


def _known(request: MediaRequest) -> str:
    webhook_id: str = request.path_params["webhook_id"]
    if not is_webhook_id(webhook_id):
        raise WebhookNotFound(webhook_id[:64])
    note(request, webhookId=webhook_id)
    return webhook_id


def _position(field: str, text: str) -> int:
    return whole_number(field, text, least=0, most=MAX_POSITION)


def _resource(registered: Registered) -> WebhookResource:
    return WebhookResource.of(registered.webhook, registered.target.url)


def _with_secret(registered: Registered) -> WebhookWithSecret:
    shown = msgspec.structs.asdict(_resource(registered))
    return WebhookWithSecret(**shown, secret=registered.target.secret)


@post("/webhooks", status_code=201, access=Permission.WEBHOOKS_WRITE, event="media.webhooks.add")
async def register(request: MediaRequest) -> ASGIResponse:
    """Be told of what happens from now on; the answer alone shows the secret."""
    command, context = await REGISTER.command(request)
    runtime = runtime_of(request)
    if len((await webhooks.all_of(runtime.pool, str(context.owner))).found) >= MAX_WEBHOOKS:
        raise TooManyWebhooks(MAX_WEBHOOKS)
    registered = await runtime.webhooks.register(command, context)
    note(request, webhookId=registered.webhook.id)
    return answer(_with_secret(registered), position=registered.webhook.position, status=201)


@get("/webhooks", access=Permission.WEBHOOKS_WRITE, event="media.webhooks.list")
async def list_webhooks(request: MediaRequest) -> ASGIResponse:
    """The webhooks of the workspace."""
    owner = _owner(caller_of(request))
    pool = runtime_of(request).pool
    found = await read_at(
        request,
        wanted_position(request),
        WebhooksProjection.name,
        lambda: webhooks.all_of(pool, owner),
    )
    return answer(WebhookList(found.found), position=found.position)


@get("/webhooks/{webhook_id:str}", access=Permission.WEBHOOKS_WRITE, event="media.webhooks.get")
async def detail(request: MediaRequest) -> ASGIResponse:
    """One webhook."""
    webhook_id = _known(request)
    owner = _owner(caller_of(request))
    pool = runtime_of(request).pool
    found = await read_at(
        request,
        wanted_position(request),
        WebhooksProjection.name,
        lambda: webhooks.by_id(pool, owner, webhook_id),
    )
    if found.found is None:
        raise WebhookNotFound(webhook_id)
    return answer(found.found, position=found.position)


@patch("/webhooks/{webhook_id:str}", access=Permission.WEBHOOKS_WRITE, event="media.webhooks.edit")
async def change(request: MediaRequest) -> ASGIResponse:
    """Change the address, the event types or the description; pause or resume."""
    webhook_id = _known(request)
    command, context = await CHANGE.command(request)
    changed = await runtime_of(request).webhooks.change(webhook_id, command, context)
    return answer(_resource(changed), position=changed.webhook.position)


@post(
    "/webhooks/{webhook_id:str}/rotate-secret",
    status_code=200,
    access=Permission.WEBHOOKS_WRITE,
    event="media.webhooks.rotate_secret",
)
async def rotate_secret(request: MediaRequest) -> ASGIResponse:
    """Sign with a new secret; for 24 h messages carry the signature of the old one too."""
    webhook_id = _known(request)
    rotated = await runtime_of(request).webhooks.rotate_secret(webhook_id, path_context(request))
    return answer(_with_secret(rotated), position=rotated.webhook.position)


@post(
    "/webhooks/{webhook_id:str}/ping",
    status_code=202,
    access=Permission.WEBHOOKS_WRITE,
    event="media.webhooks.ping",
)
async def ping(request: MediaRequest) -> ASGIResponse:
    """Send a `media.ping`; the deliveries show what came of it."""
    webhook_id = _known(request)
    webhook = await runtime_of(request).webhooks.ping(webhook_id, path_context(request))
    return answer(Queued(webhook_id), position=webhook.position, status=202)


@delete(
    "/webhooks/{webhook_id:str}",
    status_code=200,
    access=Permission.WEBHOOKS_WRITE,
    event="media.webhooks.remove",
)
async def remove(request: MediaRequest) -> ASGIResponse:
    """Be told of nothing any more; what still waits is not sent."""
    webhook_id = _known(request)
    webhook = await runtime_of(request).webhooks.remove(webhook_id, path_context(request))
    return answer(Removed(webhook_id), position=webhook.position)


@post(
    "/webhooks/{webhook_id:str}/replay",
    status_code=202,
    access=Permission.WEBHOOKS_WRITE,
    event="media.webhooks.replay",
)
async def replay(request: MediaRequest) -> ASGIResponse:
    """Send everything after a position again, in order and under the same ids."""
    webhook_id = _known(request)
    command, context = await REPLAY.command(request)
    after = _position("position", command.position)
    webhook = await runtime_of(request).webhooks.replay(webhook_id, context, after=after)
    return answer(Queued(webhook_id), position=webhook.position, status=202)


@get(
    "/webhooks/{webhook_id:str}/deliveries",
    access=Permission.WEBHOOKS_WRITE,
    event="media.webhooks.deliveries",
)
async def deliveries(request: MediaRequest) -> ASGIResponse:
    """What was sent, what waits, and every attempt; what arrived is kept for 30 days."""
    webhook_id = _known(request)
    parameters = query_parameters(request.scope["query_string"], PAGE)
    limit = whole_number("limit", parameters.get("limit", "50"), least=1, most=MAX_LIMIT)
    before = _position("cursor", parameters.get("cursor", str(MAX_POSITION)))
    status = parameters.get("status")
    if status is not None and status not in get_args(DeliveryStatus):
        raise InvalidField("status", f"one of {', '.join(get_args(DeliveryStatus))}")
    owner = _owner(caller_of(request))
    pool = runtime_of(request).pool
    wanted = wanted_position(request)
    known = await read_at(
        request, wanted, WebhooksProjection.name, lambda: webhooks.by_id(pool, owner, webhook_id)
    )
    if known.found is None:
        raise WebhookNotFound(webhook_id)
    found = await read_at(
        request,
        wanted,
        WebhookFanOut.name,
        lambda: webhook_fan_out.deliveries(
            pool, owner, webhook_id, before=before, limit=limit, status=status
        ),
    )
    items = found.found
    next_cursor = items[-1].position if len(items) == limit else None
    return answer(DeliveryList(items, next_cursor), position=found.position)


@post(
    "/webhooks/{webhook_id:str}/deliveries/{position:str}/redeliver",
    status_code=202,
    access=Permission.WEBHOOKS_WRITE,
    event="media.webhooks.redeliver",
)
async def redeliver(request: MediaRequest) -> ASGIResponse:
    """Send one message again, under the same id."""
    webhook_id = _known(request)
    position = _position("position", request.path_params["position"])
    webhook = await runtime_of(request).webhooks.replay(
        webhook_id, path_context(request), after=max(position - 1, 0), until=position
    )
    return answer(Queued(webhook_id), position=webhook.position, status=202)


ROUTES = [
    register,
    list_webhooks,
    detail,
    change,
    rotate_secret,
    ping,
    remove,
    replay,
    deliveries,
    redeliver,
]

"""Who asks: the gateway's key, the identity it vouches for, the permission of the route.

Run before every handler, in the order of api.md. A route that declares no `access` answers nobody.
"""

import hmac
import re
from collections.abc import Sequence

from litestar import Response

from api.errors import MalformedJson
from api.limits import check_limit
from api.parameters import Headers, header
from api.routes import OPEN, MediaRequest, allowed_methods, note, runtime_of
from application.context import Context, Idempotency
from domain.access import Caller, Permission
from domain.errors import InvalidField, Unauthorized
from domain.owner import valid_tenant_id, valid_user_id

__all__ = ["caller_of", "check_caller", "command_context", "read_context"]

MAX_KEY_LENGTH = 255
_SEPARATORS = re.compile(r"[,\s]+")


async def check_caller(request: MediaRequest) -> Response[None] | None:
    """Let the request through or raise Unauthorized, Forbidden, RateLimited or InvalidField.

    OPTIONS is answered here: the framework's own answer knows only the path's first handler.
    """
    if request.scope["method"] == "OPTIONS":
        return Response(None, status_code=204, headers={"allow": allowed_methods(request)})
    permission: str = request.scope["route_handler"].opt["access"]
    if permission == OPEN:
        return None
    headers: Headers = request.scope["headers"]
    _check_gateway_key(headers, runtime_of(request).settings.gateway_keys)
    user_id = _user_id(headers)
    note(request, userId=user_id)
    caller = Caller(user_id, None, _permissions(headers))
    caller.require(Permission(permission))
    await check_limit(request, user_id)
    tenant_id = header(headers, b"x-tenant-id")
    if tenant_id is not None:
        if not valid_tenant_id(tenant_id):
            raise InvalidField("x-tenant-id", "1 to 64 letters, digits, _ and -; not `users`")
        note(request, tenantId=tenant_id)
        caller = Caller(user_id, tenant_id, caller.permissions)
    request.scope["state"]["caller"] = caller
    return None


def _check_gateway_key(headers: Headers, accepted: Sequence[str]) -> None:
    given = [value for name, value in headers if name == b"x-gateway-key"]
    # Bytes, since compare_digest refuses other text than ASCII; every key, so that time tells
    # nothing about which.
    matches = [hmac.compare_digest(given[-1], key.encode()) for key in accepted if given]
    if len(given) != 1 or not any(matches):
        raise Unauthorized("The gateway key is missing or wrong.")


def _user_id(headers: Headers) -> str:
    given = [value.decode("latin-1") for name, value in headers if name == b"x-user-id"]
    if len(given) != 1 or not valid_user_id(given[0]):
        raise Unauthorized("The gateway vouches for no user.")
    return given[0]


def _permissions(headers: Headers) -> frozenset[str]:
    # Twice is refused, not added up: one of the two may be the caller's own.
    return frozenset(_SEPARATORS.split(header(headers, b"x-user-permissions") or ""))


def caller_of(request: MediaRequest) -> Caller:
    """The person behind a request that `check_caller` let through."""
    caller: Caller = request.scope["state"]["caller"]
    return caller


def read_context(request: MediaRequest) -> Context:
    """The context of a query that asks the write side."""
    return _context(request, None)


def command_context(request: MediaRequest, fingerprint: str | None) -> Context:
    """The context of a command whose body (or path) has this fingerprint, None if unreadable.

    Raises InvalidField for an Idempotency-Key that is none.
    """
    key = header(request.scope["headers"], b"idempotency-key")
    if key is None:
        return _told(request, _context(request, None))
    if not 1 <= len(key) <= MAX_KEY_LENGTH or any(c < " " or c == "\x7f" for c in key):
        raise InvalidField("Idempotency-Key", f"1 to {MAX_KEY_LENGTH} characters")
    if fingerprint is None:
        raise MalformedJson
    route: str = request.scope["route_handler"].opt["event"]
    state = request.scope["state"]

    def repeats(command_id: str) -> None:
        state["command_id"] = command_id

    return _told(request, _context(request, Idempotency(key, route, fingerprint, repeats)))


def _told(request: MediaRequest, context: Context) -> Context:
    """The answer names the command, whatever it will be."""
    request.scope["state"]["command_id"] = context.command_id
    return context


def _context(request: MediaRequest, idempotency: Idempotency | None) -> Context:
    runtime = runtime_of(request)
    return Context(
        caller=caller_of(request),
        at=runtime.clock(),
        command_id=runtime.identities.command_id(),
        correlation_id=request.scope["state"]["line"]["requestId"],
        idempotency=idempotency,
    )

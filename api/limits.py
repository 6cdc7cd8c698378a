"""How often a route may be asked (spec 6.7). A route is limited by naming one: `limit=PRESIGN`."""

from typing import Literal

import msgspec

from adapters.redis_limits import Taken
from api.errors import RateLimited
from api.metrics import Metrics
from api.parameters import Headers
from api.routes import MediaRequest, add_headers, runtime_of
from domain import owner
from domain.owner import valid_tenant_id


class Limit(msgspec.Struct, frozen=True):
    """So many requests a minute, as the setting `limit_<name>` says, for each tenant or user."""

    name: str
    per: Literal["tenant", "user"]


PRESIGN = Limit("presign", "tenant")
INGEST = Limit("ingest", "tenant")
LIST = Limit("list", "user")
BULK_DELETE = Limit("bulk_delete", "tenant")
PURGE_CACHE = Limit("purge_cache", "tenant")
AUDIT_EXPORT = Limit("audit_export", "tenant")


async def check_limit(request: MediaRequest, user_id: str) -> None:
    """Count the request where its route is limited. Raises RateLimited."""
    limit: Limit | None = request.scope["route_handler"].opt.get("limit")
    if limit is None:
        return
    runtime = runtime_of(request)
    allowed: int = getattr(runtime.settings, f"limit_{limit.name}")
    if allowed == 0:
        return
    subject = _subject(limit, request.scope["headers"], user_id)
    taken = await runtime.limits.take(f"{limit.name}:{subject}", allowed)
    metrics: Metrics = request.app.state["metrics"]
    if taken is None:
        metrics.limit_not_counted(limit.name)
        return
    add_headers(request, _headers(taken, allowed))
    if not taken.admitted:
        metrics.limit_reached(limit.name)
        raise RateLimited(allowed, retry_after_seconds=taken.reset_seconds)


def _subject(limit: Limit, headers: Headers, user_id: str) -> str:
    """Who is counted: without a tenant that could be one, the user."""
    tenants = [value.decode("latin-1") for name, value in headers if name == b"x-tenant-id"]
    if limit.per == "tenant" and len(tenants) == 1 and valid_tenant_id(tenants[0]):
        return str(owner.tenant(tenants[0]))
    return str(owner.user(user_id))


def _headers(taken: Taken, allowed: int) -> dict[str, str]:
    headers = {
        "ratelimit-limit": str(allowed),
        "ratelimit-remaining": str(taken.remaining),
        "ratelimit-reset": str(taken.reset_seconds),
    }
    return headers if taken.admitted else headers | {"retry-after": str(taken.reset_seconds)}

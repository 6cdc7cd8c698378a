"""`GET /audit`: the events of a workspace, newest first, by file, actor, type and time."""

import re
from collections.abc import Mapping
from datetime import datetime

import msgspec
from litestar import get
from litestar.response.base import ASGIResponse

from adapters.event_mapper import EVENT_TYPES
from api import limits
from api.cursors import Cursors
from api.files import scoped_owner
from api.moments import moment
from api.parameters import query_parameters, whole_number
from api.positions import read_at, wanted_position
from api.routes import MediaRequest, answer, note, runtime_of
from api.security import caller_of
from domain.access import Permission
from domain.errors import InvalidField
from domain.object_key import is_media_id
from projections import audit_pages
from projections.audit_pages import AuditEntry, AuditQuery
from projections.audit_trail import AuditTrailProjection

MAX_LIMIT = 100
FILTERS = frozenset({"file", "actor", "type", "from", "to", "scope"})
PARAMETERS = FILTERS | {"limit", "cursor"}
ACTOR = re.compile(r"(user|service|system):[A-Za-z0-9_.-]{1,64}")
_KNOWN = EVENT_TYPES.names()
TYPE_NAMES: Mapping[str, list[str]] = {
    name: [known for known in _KNOWN if name in (known, known.rpartition(".v")[0])]
    for stored in _KNOWN
    for name in (stored, stored.rpartition(".v")[0])
}
"""What a `type` may name: a stored type, or without its version all versions of it."""


class AuditList(msgspec.Struct, frozen=True, rename="camel"):
    """One page of the audit trail."""

    items: list[AuditEntry]
    next_cursor: str | None


def audit_query(parameters: Mapping[str, str]) -> AuditQuery:
    """The filters of a request. Raises InvalidField."""
    values: dict[str, object] = {}
    for name, text in parameters.items():
        match name:
            case "limit":
                values["limit"] = whole_number(name, text, least=1, most=MAX_LIMIT)
            case "file":
                if not is_media_id(text):
                    raise InvalidField(name, "the id of a file")
                values["stream"] = text
            case "actor":
                if ACTOR.fullmatch(text) is None:
                    raise InvalidField(name, "`user:<id>`, `service:<name>` or `system:<process>`")
                values["actor"] = text
            case "type":
                values["types"] = _types(text)
            case "from":
                values |= _bound(moment(name, text), "since", "first")
            case "to":
                values |= _bound(moment(name, text), "until", "below")
    return AuditQuery(**values)  # type: ignore[arg-type]


def _types(text: str) -> tuple[str, ...]:
    names = text.split(",")
    if any(name not in TYPE_NAMES for name in names):
        raise InvalidField("type", "event types (docs/events.md), several by comma")
    return tuple(known for name in names for known in TYPE_NAMES[name])


def _bound(at: int | datetime, by_time: str, by_position: str) -> dict[str, object]:
    return {by_time: at} if isinstance(at, datetime) else {by_position: at}


@get("/audit", access=Permission.AUDIT_READ, event="media.audit.list", limit=limits.LIST)
async def list_audit(request: MediaRequest) -> ASGIResponse:
    """Who did what in the workspace, newest first, a page at a time."""
    parameters = query_parameters(request.scope["query_string"], PARAMETERS)
    owner = scoped_owner(parameters, caller_of(request))
    query = audit_query(parameters)
    filters = (owner, msgspec.structs.replace(query, limit=0))
    cursors: Cursors = request.app.state["cursors"]
    if (cursor := parameters.get("cursor")) is not None:
        below = cursors.unsign(cursor, ("audit", filters), int)
        query = msgspec.structs.replace(query, below=below)
    wanted = wanted_position(request)
    pool = runtime_of(request).pool
    found = await read_at(
        request,
        wanted,
        AuditTrailProjection.name,
        lambda: audit_pages.page(pool, owner, query),
    )
    page = found.found
    note(request, count=len(page.items))
    next_below = page.next_below
    next_cursor = None if next_below is None else cursors.sign(next_below, ("audit", filters))
    return answer(AuditList(page.items, next_cursor), position=found.position)


ROUTES = [list_audit]

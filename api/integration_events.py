"""`GET /internal/events`: integration events out of the log, further back than the streams go."""

import asyncio
from collections.abc import Mapping

import msgspec
from litestar import get
from litestar.response.base import ASGIResponse

from adapters.log_pages import LogPage, LogWatch, log_page
from api.parameters import MAX_POSITION, query_parameters, several, whole_number
from api.routes import OPEN, MediaRequest, answer, note, runtime_of
from application.integration_events import TYPES, IntegrationEvent, facts_of, integration_event
from domain.errors import InvalidField
from domain.owner import tenant, valid_tenant_id

PARAMETERS = frozenset({"after", "limit", "types", "tenant", "wait"})
MAX_LIMIT = 1_000
DEFAULT_LIMIT = "100"
MAX_WAIT_SECONDS = 30


class EventPage(msgspec.Struct, frozen=True):
    """Integration events, oldest first."""

    items: list[IntegrationEvent]
    next: str
    """The next `after`, also when nothing was found."""
    more: bool
    """Whether to ask again at once."""


@get("/internal/events", access=OPEN, event="media.internal.events")
async def events(request: MediaRequest) -> ASGIResponse:
    """What was told to other services, from a position on; waits for more if asked to."""
    given = query_parameters(request.scope["query_string"], PARAMETERS)
    after = whole_number("after", given.get("after", "0"), least=0, most=MAX_POSITION)
    limit = whole_number("limit", given.get("limit", DEFAULT_LIMIT), least=1, most=MAX_LIMIT)
    wait = whole_number("wait", given.get("wait", "0"), least=0, most=MAX_WAIT_SECONDS)
    types = facts_of(several("types", given["types"], TYPES) if "types" in given else TYPES)
    owner = _owner(given)
    watch: LogWatch = request.app.state["log_watch"]
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait
    while True:
        pool = runtime_of(request).pool
        page = await log_page(pool, after=after, limit=limit, types=types, owner=owner)
        after = page.reached
        left = deadline - loop.time()
        if page.events or page.more or left <= 0 or not await watch.beyond(after, seconds=left):
            break
    note(request, count=len(page.events))
    return answer(_shown(page))


def _owner(given: Mapping[str, str]) -> str | None:
    if "tenant" not in given:
        return None
    if not valid_tenant_id(given["tenant"]):
        raise InvalidField("tenant", "no tenant has such an id")
    return str(tenant(given["tenant"]))


def _shown(page: LogPage) -> EventPage:
    items = [told for one in page.events if (told := integration_event(one)) is not None]
    return EventPage(items, str(page.reached), page.more)


ROUTES = [events]

"""Pages of `audit_trail_v2`, newest first. Read by `GET /audit` and its export."""

from datetime import datetime, timedelta
from functools import cache

import msgspec

from projections.audit_trail import AuditTrailProjection
from projections.reading import Answer, Pool, fetch_owned, owned, rfc3339

SCANNED = 2_000
"""Entries a page looks at where a filter has no index of its own."""
DISORDER = timedelta(days=1)
"""How far times may stray from the order of the log: the clocks of our machines, and the minutes
between the beginning of a command, which gives an event its time, and its append."""


class AuditQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What to list. Empty filters let everything through."""

    stream: str | None = None
    actor: str | None = None
    types: tuple[str, ...] = ()
    """Stored types."""
    since: datetime | None = None
    """The first time that counts."""
    until: datetime | None = None
    """The first time that counts no more."""
    first: int = 0
    """The lowest position that counts."""
    below: int | None = None
    """The lowest position that counts no more; of a later page the last one shown."""
    limit: int = 50


class AuditEntry(msgspec.Struct, frozen=True, rename="camel"):
    """One event: who did what to what, on which ground, in which request."""

    position: str
    at: str
    type: str
    subject: str
    """A file's id, a webhook's, or `tenant_<id>`."""
    version: int
    actor: str
    access: str
    command_id: str
    request_id: str
    data: msgspec.Raw


class AuditPage(msgspec.Struct, frozen=True):
    """Entries, newest first. May be short, even empty, and still have a next page."""

    items: list[AuditEntry]
    next_below: int | None
    """Where the next page begins; None at the end."""


_HIGHEST = 2**63 - 1
_COLUMNS = (
    "e.position, e.at, e.type, e.stream, e.version, e.actor, e.access, e.command_id,"
    " e.correlation_id, e.data::text"
)
# A time has no place in the order of the log: what surely lies outside is left out by position,
# the rest is looked at.
_RANGE = """
  e.position >= greatest(%(first)s::bigint, coalesce((
    SELECT b.position FROM audit_trail_v2 AS b
    WHERE b.owner = c.owner AND b.at < %(since)s::timestamptz - %(disorder)s::interval
    ORDER BY b.at DESC, b.position DESC LIMIT 1), 0))
  AND e.position < least(%(below)s::bigint, coalesce((
    SELECT b.position FROM audit_trail_v2 AS b
    WHERE b.owner = c.owner AND b.at >= %(until)s::timestamptz + %(disorder)s::interval
    ORDER BY b.at, b.position LIMIT 1), %(below)s::bigint))
"""
_TIMES = """
  AND (%(since)s::timestamptz IS NULL OR e.at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR e.at < %(until)s)
"""


async def page(pool: Pool, owner: str, query: AuditQuery) -> Answer[AuditPage]:
    """One page of the owner's trail. Raises DatabaseUnavailable."""
    parameters = {
        "owner": owner,
        "stream": query.stream,
        "actor": query.actor,
        "types": list(dict.fromkeys(query.types)),
        "since": query.since,
        "until": query.until,
        "disorder": DISORDER,
        "first": query.first,
        "below": _HIGHEST if query.below is None else query.below,
    }
    driver = (
        "stream" if query.stream else "actor" if query.actor else "type" if query.types else "all"
    )
    residual = bool(
        query.since
        or query.until
        or (query.types and driver != "type")
        or (query.actor and driver != "actor")
    )
    answer = await fetch_owned(pool, _sql(driver, query.limit, residual), parameters)
    scanned, lowest = answer.found[0][:2]
    rows = [row[2:] for row in answer.found if row[2] is not None]
    items = [_entry(row) for row in rows[: query.limit]]
    if len(rows) > query.limit:
        return Answer(AuditPage(items, rows[query.limit - 1][0]), answer.position)
    more = residual and scanned == SCANNED
    return Answer(AuditPage(items, lowest if more else None), answer.position)


def _entry(row: tuple[object, ...]) -> AuditEntry:
    position, at, type_, stream, version, actor, access, command_id, request_id, data = row
    return AuditEntry(
        position=str(position),
        at=rfc3339(at),  # type: ignore[arg-type]
        type=type_,  # type: ignore[arg-type]
        subject=stream,  # type: ignore[arg-type]
        version=version,  # type: ignore[arg-type]
        actor=actor,  # type: ignore[arg-type]
        access=access,  # type: ignore[arg-type]
        command_id=command_id,  # type: ignore[arg-type]
        request_id=request_id,  # type: ignore[arg-type]
        data=msgspec.Raw(str(data).encode()),
    )


@cache
def _sql(driver: str, limit: int, residual: bool) -> str:  # noqa: FBT001 - a key of the cache
    """The newest entries by one index, then of those what the other filters let through.

    Without other filters as many are looked at as shown.
    """
    seen = SCANNED if residual else limit + 1
    newest = f"ORDER BY e.position DESC LIMIT {seen}"
    look = f"SELECT e.position FROM audit_trail_v2 AS e WHERE e.owner = c.owner AND {_RANGE}"  # noqa: S608 - text of ours
    if driver == "type":
        # Of each type by itself: together they would be found among all entries.
        candidates = (
            f"SELECT e.position FROM unnest(%(types)s::text[]) AS one (type) CROSS JOIN LATERAL"  # noqa: S608 - text of ours
            f" ({look} AND e.type = one.type {newest}) AS e {newest}"
        )
    elif driver == "all":
        candidates = f"{look} {newest}"
    else:
        candidates = f"{look} AND e.{driver} = %({driver})s {newest}"
    test = "true"
    if residual:
        test = f"true {_TIMES}"
        if driver != "type":
            test += " AND (cardinality(%(types)s::text[]) = 0 OR e.type = ANY (%(types)s))"
        if driver == "stream":
            test += " AND (%(actor)s::text IS NULL OR e.actor = %(actor)s)"
    return owned(
        AuditTrailProjection.name,
        f"""
        WITH seen AS MATERIALIZED ({candidates})
        SELECT s.scanned, s.lowest, hit.* FROM
          (SELECT count(*) AS scanned, min(position) AS lowest FROM seen) AS s
          LEFT JOIN LATERAL (
            SELECT {_COLUMNS} FROM seen JOIN audit_trail_v2 AS e
              ON e.owner = c.owner AND e.position = seen.position
            WHERE {test} ORDER BY e.position DESC LIMIT {limit + 1}
          ) AS hit ON true
        ORDER BY hit.position DESC
        """,  # noqa: S608 - text of ours
    )

"""The write side of the log: whole streams in, and appends in one autocommit statement each."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg
from psycopg import errors
from psycopg_pool import PoolTimeout

from adapters.event_mapper import COLUMNS, EVENT_TYPES, recorded_from_row
from adapters.postgres import Pool, connection, database_errors, owned, unavailable
from application.context import Idempotency
from application.ports import IngestSource, KeptOutcome, KeyClaim, KeyTaken, StreamChanged
from domain.errors import DatabaseUnavailable, TenantRemoved
from domain.event import Recorded

KEY_LIFETIME = timedelta(hours=24)
"""How long an Idempotency-Key keeps its outcome (spec/api.md)."""
KEY_ATTEMPTS = 3
"""Tries to replace an outworn key; one is enough unless others replace it too."""
MAX_EVENTS = 65_536
"""Ordinals of one transaction; the next position belongs to the next transaction."""
TENANT_REMOVED = "MS001"
REMOVAL_ATTEMPTS = 5
CONNECTION_LOST = "08"
"""Class of the SQLSTATEs of a connection that broke; psycopg gives none when it saw it itself."""
SERVER_ENDED = frozenset({"57P01", "57P02"})
"""A shutdown, or another session's crash: perhaps between the commit and its answer."""

# Known at the append, unique, ordered by transaction id; readers stop at log_horizon().
POSITION = "(pg_current_xact_id()::text::bigint << 16) + log_epoch()"

# The owner is set row by row, in the very expression that fills the column the policy checks:
# so one statement keeps row-level security and may append for several owners.
_INSERT = f"""
INSERT INTO events (position, version, at, stream, type, owner, actor, access, command_id,
                    correlation_id, data)
SELECT {POSITION} + e.ordinal, e.version, e.at, e.stream, e.type,
       set_config('app.owner', e.owner, true), e.actor, e.access, e.command_id,
       e.correlation_id, e.data::jsonb
FROM """  # noqa: S608 - text of ours
_RETURNING = " RETURNING position"

_ONE = """(VALUES (0, %(version)s::integer, %(at)s::timestamptz, %(stream)s::text, %(type)s::text,
  %(owner)s::text, %(actor)s::text, %(access)s::text, %(command_id)s::text,
  %(correlation_id)s::text, %(data)s::text))
AS e (ordinal, version, at, stream, type, owner, actor, access, command_id, correlation_id, data)"""

_MANY = """unnest(%(ordinal)s::integer[], %(version)s::integer[], %(at)s::timestamptz[],
  %(stream)s::text[], %(type)s::text[], %(owner)s::text[], %(actor)s::text[], %(access)s::text[],
  %(command_id)s::text[], %(correlation_id)s::text[], %(data)s::text[])
AS e (ordinal, version, at, stream, type, owner, actor, access, command_id, correlation_id, data)"""

_KEY_INSERT = """
INSERT INTO idempotency_keys (owner, user_id, route, key, fingerprint, outcome, position, at,
                              command_id)
SELECT set_config('app.owner', %(key_owner)s, true), %(key_user)s, %(key_route)s, %(key_key)s,
       %(key_fingerprint)s, %(key_outcome)s::json, {position}, %(key_at)s, %(key_command_id)s
"""
_KEY = _KEY_INSERT.format(position=f"{POSITION} + %(key_ordinal)s")
# The events are selected from the claim, so that a repeat hits the key before the stream.
_CLAIM = f"WITH claim AS ({_KEY} RETURNING position) "

# What an ingest's URL hides never enters the log, yet neither may be there without the other. The
# constant is returned since the API's role may not read what it has written here.
_SOURCE = """source AS (
  INSERT INTO ingest_sources (owner, media_id, url, at)
  SELECT set_config('app.owner', %(source_owner)s, true), %(source_media_id)s, %(source_url)s,
         %(source_at)s
  {after_claim} RETURNING true)
"""

APPEND_ONE = _INSERT + _ONE + _RETURNING
APPEND_MANY = _INSERT + _MANY + _RETURNING
APPEND_ONE_WITH_KEY = _CLAIM + _INSERT + "claim CROSS JOIN " + _ONE + " RETURNING events.position"
APPEND_MANY_WITH_KEY = _CLAIM + _INSERT + "claim CROSS JOIN " + _MANY + " RETURNING events.position"
APPEND_INGEST = (
    f"WITH {_SOURCE.format(after_claim='')} {_INSERT} source CROSS JOIN {_ONE}{_RETURNING}"
)
APPEND_INGEST_WITH_KEY = (
    f"WITH claim AS ({_KEY} RETURNING position), {_SOURCE.format(after_claim='FROM claim')}"
    f"{_INSERT} source CROSS JOIN {_ONE}{_RETURNING}"
)
# Nothing was appended, so there is no position anyone could wait for.
CLAIM_ONLY = _KEY_INSERT.format(position="0") + " RETURNING position"

LOAD = f"SELECT {COLUMNS} FROM load_streams(%(streams)s)"  # noqa: S608
COMMAND_STREAMS = "SELECT command_streams(%(command)s)"
KEPT = owned(
    "SELECT k.fingerprint, k.outcome::text, k.position, k.command_id FROM idempotency_keys AS k "
    "WHERE k.owner = c.owner AND k.user_id = %(user)s AND k.route = %(route)s "
    "AND k.key = %(key)s AND k.at > %(since)s"
)
FORGET = (
    "DELETE FROM idempotency_keys WHERE owner = %(owner)s AND user_id = %(user)s "
    "AND route = %(route)s AND key = %(key)s AND at <= %(since)s"
)


class PostgresEventStore:
    """`application.ports.EventStore` on PostgreSQL, for a pool of either role."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def load(self, streams: Sequence[str]) -> Mapping[str, Sequence[Recorded]]:
        """The whole history of each stream. Raises UnknownEventType for a newer version's."""
        histories: dict[str, list[Recorded]] = {stream: [] for stream in streams}
        # No stream can be named with a NUL, and text cannot carry one.
        names = [stream for stream in histories if "\0" not in stream]
        with database_errors():
            rows = await self._pool.fetch(LOAD, {"streams": names})
        for row in rows:
            histories[row[0]].append(recorded_from_row(row, EVENT_TYPES.decode))
        return histories

    async def command_streams(self, command_id: str) -> Sequence[str]:
        """The streams that the command appended to."""
        with database_errors():
            rows = await self._pool.fetch(COMMAND_STREAMS, {"command": command_id})
        return [stream for (stream,) in rows]

    async def append(
        self,
        events: Sequence[Recorded],
        *,
        claim: KeyClaim | None = None,
        source: IngestSource | None = None,
    ) -> int:
        """Append in one statement; the position of the last event, 0 for a claim alone.

        Raises StreamChanged, KeyTaken or TenantRemoved, when nothing was written, or
        DatabaseUnavailable, whose text says so where a lost connection leaves it unknown.
        """
        statement, parameters = append_statement(events, claim, source)
        for _ in range(KEY_ATTEMPTS):
            try:
                return await self._execute(statement, parameters)
            except errors.UniqueViolation as error:
                if claim is None or error.diag.constraint_name != "idempotency_keys_once":
                    raise _refusal(error) from error
            except psycopg.Error as error:
                raise _refusal(error) from error
            kept = await self.kept_outcome(
                owner=claim.owner, user_id=claim.user_id, idempotency=claim.idempotency, at=claim.at
            )
            if kept is not None:
                raise KeyTaken(kept)
            # Outworn. Who else replaces it at this moment is met again at the next attempt.
            await self._forget(claim)
        raise StreamChanged

    async def append_removal(self, event: Recorded) -> int:
        """Append TenantRemoved and close the tenant, as media_worker.

        Waits for the appends that are under way, so none of the tenant's lands after it.
        """
        statement, parameters = append_statement([event], None)
        for attempt in range(REMOVAL_ATTEMPTS):
            try:
                async with self._pool.connection() as one, one.transaction():
                    # Appends queue up behind a lock that waits: not for longer than this.
                    await one.execute("SET LOCAL lock_timeout = '500ms'")
                    await one.execute("SELECT close_tenant(%s, %s)", (event.owner, event.at))
                    return await _position(await one.execute(statement, parameters))
            except errors.LockNotAvailable as error:
                if attempt == REMOVAL_ATTEMPTS - 1:
                    raise unavailable(error) from error
                await asyncio.sleep(0.2 * 2**attempt)
            except psycopg.Error as error:
                raise _refusal(error) from error
        raise AssertionError("unreachable")

    async def kept_outcome(
        self, *, owner: str, user_id: str, idempotency: Idempotency, at: datetime
    ) -> KeptOutcome | None:
        """What this key led to before, if it was used in the 24 h before `at`."""
        parameters = _key_parameters(owner, user_id, idempotency) | {"since": at - KEY_LIFETIME}
        with database_errors():
            rows = await self._pool.fetch(KEPT, parameters)
        if not rows:
            return None
        fingerprint, outcome, position, command_id = rows[0]
        return KeptOutcome(fingerprint, outcome.encode(), position, command_id)

    async def _execute(self, statement: str, parameters: Mapping[str, Any]) -> int:
        rows = await self._pool.fetch(statement, parameters)
        return int(max(position for (position,) in rows))

    async def _forget(self, claim: KeyClaim) -> None:
        parameters = _key_parameters(claim.owner, claim.user_id, claim.idempotency)
        async with connection(self._pool) as one, one.transaction():
            # A DELETE reads the policy before anything it could set: hence a transaction.
            await one.execute("SELECT set_config('app.owner', %(owner)s, true)", parameters)
            await one.execute(FORGET, parameters | {"since": claim.at - KEY_LIFETIME})


def append_statement(
    events: Sequence[Recorded], claim: KeyClaim | None, source: IngestSource | None = None
) -> tuple[str, dict[str, Any]]:
    """The one statement that appends the events and the claim, with its parameters."""
    if len(events) > MAX_EVENTS:
        raise ValueError(f"{len(events)} events are too many for one transaction")
    parameters: dict[str, Any] = {}
    if claim is not None:
        parameters = {
            "key_owner": claim.owner,
            "key_user": claim.user_id,
            "key_route": claim.idempotency.route,
            "key_key": claim.idempotency.key,
            "key_fingerprint": claim.idempotency.fingerprint,
            "key_outcome": claim.outcome.decode(),
            "key_ordinal": len(events) - 1,
            "key_at": claim.at,
            "key_command_id": claim.command_id,
        }
    if not events:
        if claim is None:
            raise ValueError("nothing to append")
        return CLAIM_ONLY, parameters
    if len(events) == 1:
        (recorded,) = events
        event = recorded.event
        parameters |= {
            "version": recorded.version,
            "at": recorded.at,
            "stream": recorded.stream,
            "type": event.TYPE,
            "owner": recorded.owner,
            "actor": recorded.actor,
            "access": str(recorded.access),
            "command_id": recorded.command_id,
            "correlation_id": recorded.correlation_id,
            "data": EVENT_TYPES.encode(event),
        }
        if source is not None:
            fields = msgspec.structs.asdict(source)
            parameters |= {f"source_{name}": value for name, value in fields.items()}
            return (APPEND_INGEST if claim is None else APPEND_INGEST_WITH_KEY), parameters
        return (APPEND_ONE if claim is None else APPEND_ONE_WITH_KEY), parameters
    if source is not None:
        raise ValueError("a source comes with the one event that begins its ingest")
    parameters |= {
        "ordinal": list(range(len(events))),
        "version": [recorded.version for recorded in events],
        "at": [recorded.at for recorded in events],
        "stream": [recorded.stream for recorded in events],
        "type": [recorded.event.TYPE for recorded in events],
        "owner": [recorded.owner for recorded in events],
        "actor": [recorded.actor for recorded in events],
        "access": [str(recorded.access) for recorded in events],
        "command_id": [recorded.command_id for recorded in events],
        "correlation_id": [recorded.correlation_id for recorded in events],
        "data": [EVENT_TYPES.encode(recorded.event) for recorded in events],
    }
    return (APPEND_MANY if claim is None else APPEND_MANY_WITH_KEY), parameters


def _key_parameters(owner: str, user_id: str, idempotency: Idempotency) -> dict[str, Any]:
    return {
        "owner": owner,
        "user": user_id,
        "route": idempotency.route,
        "key": idempotency.key,
    }


async def _position(cursor: psycopg.AsyncCursor[Any]) -> int:
    return int(max(position for (position,) in await cursor.fetchall()))


def _refusal(error: psycopg.Error) -> Exception:
    """What an append that wrote nothing, or may have, tells its caller."""
    constraint = error.diag.constraint_name
    if error.sqlstate == TENANT_REMOVED:
        return TenantRemoved("This workspace was removed.")
    if isinstance(error, errors.UniqueViolation) and constraint in {
        "events_stream_version",
        "idempotency_keys_once",
    }:
        return StreamChanged()
    # Two appends to the same streams, in opposite order: the other one went through. Or a server
    # whose transactions are serializable: nothing was written, and it asks to be asked again.
    if isinstance(error, errors.DeadlockDetected | errors.SerializationFailure):
        return StreamChanged()
    if isinstance(error, psycopg.OperationalError) and not isinstance(error, PoolTimeout):
        code = error.sqlstate or CONNECTION_LOST
        if code.startswith(CONNECTION_LOST) or code in SERVER_ENDED:
            return DatabaseUnavailable(
                "The connection to the database broke: whether this was carried out is unknown."
                " Repeat it with the same Idempotency-Key to learn that.",
                reason=error.sqlstate or type(error).__name__,
            )
    return unavailable(error)

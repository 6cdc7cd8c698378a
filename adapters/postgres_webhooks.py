"""Where webhooks point and where their messages stand; ports of `application/webhook*.py`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from adapters.postgres import Pool, connection, owned
from application.ports import Clock
from application.webhook_delivery import Due, Lease, Outcome, Standing
from application.webhooks import Target
from domain.integration_types import INTEGRATION_TYPES, PING_TYPE

KEPT_FOR = timedelta(days=30)
"""How long it can be seen what was sent."""
UNNAMED_FOR = timedelta(days=1)
"""A target no webhook names any more is erased after this."""
REPLAY_AT_ONCE = 500

_KEEP = """
INSERT INTO webhook_targets (owner, webhook_id, target_id, url, secret, at)
SELECT set_config('app.owner', %(owner)s, true), %(webhook)s, %(target)s, %(url)s, %(secret)s, now()
"""
_TARGET = owned(
    "SELECT t.url, t.secret FROM webhook_targets AS t "
    "WHERE t.owner = c.owner AND t.webhook_id = %(webhook)s AND t.target_id = %(target)s"
)


class PostgresWebhookTargets:
    """`application.webhooks.WebhookTargets`, for a pool of either role."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def keep(self, owner: str, webhook_id: str, target_id: str, target: Target) -> None:
        """Keep a target before the event that names it is appended."""
        parameters = {
            "owner": owner,
            "webhook": webhook_id,
            "target": target_id,
            "url": target.url,
            "secret": target.secret,
        }
        async with connection(self._pool) as one:
            await one.execute(_KEEP, parameters)

    async def target(self, owner: str, webhook_id: str, target_id: str) -> Target | None:
        """The target, or None when it was erased."""
        parameters = {"owner": owner, "webhook": webhook_id, "target": target_id}
        async with connection(self._pool) as one:
            row = await (await one.execute(_TARGET, parameters)).fetchone()
        return None if row is None else Target(*row)


_LEASE = """
UPDATE webhook_routes SET lease = %(lease)s, leased_until = now() + make_interval(secs => %(secs)s)
WHERE webhook_id = %(webhook)s AND active AND resting_until <= now()
  AND (lease = %(lease)s OR leased_until < now())
RETURNING EXISTS (SELECT FROM webhook_deliveries AS d
                  WHERE d.webhook_id = %(webhook)s AND d.status = 'failed')
"""
# Whose it was stays: the dispatcher sees by it that a job has come to an end.
_LET_GO = """
UPDATE webhook_routes SET leased_until = '-infinity' WHERE webhook_id = %s AND lease = %s
"""
# Whoever holds back and whoever sends again decide upon the same rows: one after the other.
_IN_TURN = "SELECT FROM webhook_routes WHERE webhook_id = %(webhook)s FOR UPDATE"
# The pings of a webhook do not build upon each other.
_HOLD_BACK = f"""
UPDATE webhook_deliveries AS d SET status = 'held'
FROM (SELECT stream, min(position) AS position FROM webhook_deliveries
      WHERE webhook_id = %(webhook)s AND status = 'failed' AND type <> '{PING_TYPE}'
      GROUP BY stream) AS given_up
WHERE d.webhook_id = %(webhook)s AND d.stream = given_up.stream
  AND d.position > given_up.position AND d.status = 'waiting'
"""  # noqa: S608 - text of ours
# While a replay is being queued, nothing is sent from beyond it: it would overtake.
_NOT_BEYOND_A_REPLAY = """
NOT EXISTS (SELECT FROM webhook_replays AS again
            WHERE again.webhook_id = d.webhook_id AND again.reached < d.position)
"""
_IS_DUE = f"d.status = 'waiting' AND d.due_at <= now() AND {_NOT_BEYOND_A_REPLAY}"
_EARLIER = """
SELECT FROM webhook_deliveries AS earlier
WHERE earlier.webhook_id = d.webhook_id AND earlier.stream = d.stream
  AND earlier.position < d.position
"""
_DUE = f"""
SELECT d.position, d.attempts FROM webhook_deliveries AS d
WHERE d.webhook_id = %(webhook)s AND {_IS_DUE}
  AND NOT EXISTS ({_EARLIER} AND earlier.status <> 'delivered'
                  AND (earlier.status <> 'failed' OR earlier.type <> '{PING_TYPE}'))
ORDER BY d.position LIMIT %(limit)s
"""  # noqa: S608 - text of ours
# A delivery that a removal took meanwhile takes no attempt; one that was asked for again since this
# attempt began is not given up.
_RECORD = """
WITH tried AS (
  SELECT * FROM unnest(%(position)s::bigint[], %(at)s::timestamptz[], %(ms)s::integer[],
                       %(status)s::integer[], %(error)s::text[], %(due)s::timestamptz[],
                       %(attempts)s::integer[])
    AS t (position, at, duration_ms, response_status, error, due_at, attempts)
), changed AS (
  UPDATE webhook_deliveries AS d SET
    attempts = d.attempts + 1,
    due_at = coalesce(t.due_at, d.due_at),
    status = CASE WHEN t.error IS NULL THEN 'delivered'
                  WHEN t.due_at IS NULL AND d.attempts >= t.attempts THEN 'failed'
                  ELSE 'waiting' END,
    settled_at = CASE WHEN t.error IS NULL OR t.due_at IS NULL AND d.attempts >= t.attempts
                      THEN now() END
  FROM tried AS t WHERE d.webhook_id = %(webhook)s AND d.position = t.position
  RETURNING d.owner, d.status, t.position, t.at, t.duration_ms, t.response_status, t.error
), noted AS (
  INSERT INTO webhook_attempts
    (owner, webhook_id, position, at, duration_ms, response_status, error)
  SELECT owner, %(webhook)s, position, at, duration_ms, response_status, error FROM changed
), standing AS (
  UPDATE webhook_routes
  SET failures = CASE WHEN %(succeeded)s THEN 0 ELSE failures + %(tried)s END
  WHERE webhook_id = %(webhook)s RETURNING failures
)
SELECT coalesce((SELECT failures FROM standing), 0),
       (SELECT count(*) FROM changed WHERE status = 'failed')
"""
_REST = "UPDATE webhook_routes SET resting_until = %s WHERE webhook_id = %s"

# Also where all that is due stands behind what was given up: the job holds it back.
_TO_BE_SERVED = f"""
SELECT r.webhook_id, r.failures > 0, r.lease FROM webhook_routes AS r
WHERE r.active AND r.resting_until <= now() AND r.leased_until < now()
  AND EXISTS (SELECT FROM webhook_deliveries AS d WHERE d.webhook_id = r.webhook_id AND {_IS_DUE}
              AND NOT EXISTS ({_EARLIER} AND earlier.status = 'waiting'))
"""  # noqa: S608 - text of ours

_REPLAYS = "SELECT webhook_id, position, owner, reached, until FROM webhook_replays LIMIT 100"
_SPAN = """
SELECT coalesce(max(position), %(until)s), count(*) FROM (
  SELECT position FROM events
  WHERE owner = %(owner)s AND type = ANY (%(types)s)
    AND position > %(reached)s AND position <= %(until)s
  ORDER BY position LIMIT %(limit)s
) AS next
"""
_AGAIN = """
INSERT INTO webhook_deliveries AS d (owner, webhook_id, position, stream, type, status, due_at)
SELECT e.owner, r.webhook_id, e.position, e.stream, n.name, 'waiting', now()
FROM events AS e
JOIN unnest(%(types)s::text[], %(names)s::text[]) AS n (type, name) ON n.type = e.type
JOIN webhook_routes AS r ON r.webhook_id = %(webhook)s AND n.name = ANY (r.event_types)
WHERE e.owner = %(owner)s AND e.position > %(reached)s AND e.position <= %(last)s
ON CONFLICT (webhook_id, position) DO UPDATE SET
  status = 'waiting', attempts = 0, due_at = excluded.due_at, settled_at = NULL
"""
# Of the files in the span also what was given up before it, which would be overtaken, and what was
# held back behind it.
_WITH_THEIR_FILES = """
UPDATE webhook_deliveries AS d SET
  status = 'waiting', attempts = 0, due_at = now(), settled_at = NULL
WHERE d.webhook_id = %(webhook)s
  AND (d.status = 'held' OR d.status = 'failed' AND d.position <= %(last)s)
  AND d.stream IN (
    SELECT stream FROM events
    WHERE owner = %(owner)s AND type = ANY (%(types)s)
      AND position > %(reached)s AND position <= %(last)s)
"""
_ADVANCE = """
UPDATE webhook_replays SET reached = %(last)s
WHERE webhook_id = %(webhook)s AND position = %(position)s AND reached = %(reached)s
"""
_FINISH = """
DELETE FROM webhook_replays WHERE webhook_id = %(webhook)s AND position = %(position)s
"""

# What was given up stays: without it the later messages of its file would be sent.
_FORGET_DELIVERIES = f"""
DELETE FROM webhook_deliveries WHERE (webhook_id, position) IN (
  SELECT webhook_id, position FROM webhook_deliveries
  WHERE settled_at < %s AND (status = 'delivered' OR type = '{PING_TYPE}') LIMIT 5000)
"""  # noqa: S608 - text of ours
_FORGET_TARGETS = """
DELETE FROM webhook_targets AS t WHERE t.at < %s AND NOT EXISTS (
  SELECT FROM webhooks_v1 AS w WHERE w.owner = t.owner AND w.webhook_id = t.webhook_id
  AND (w.target_id = t.target_id OR w.previous_target_id = t.target_id))
"""

_NAMES = {event.TYPE: name for event, name in INTEGRATION_TYPES.items()}


class ToServe(msgspec.Struct, frozen=True):
    """A webhook with messages that are due."""

    webhook_id: str
    failing: bool
    last_lease: str | None
    """Of the job that worked for it last."""


class PostgresDeliveries:
    """`application.webhook_delivery.Deliveries`, for a pool of the role media_worker."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def take_lease(self, webhook_id: str, lease: str, seconds: int) -> Lease | None:
        """The job's place at the webhook, taken or extended; None while another one has it."""
        parameters = {"webhook": webhook_id, "lease": lease, "secs": seconds}
        async with connection(self._pool) as one:
            row = await (await one.execute(_LEASE, parameters)).fetchone()
        return None if row is None else Lease(any_given_up=row[0])

    async def let_go(self, webhook_id: str, lease: str) -> None:
        """Let others work for the webhook."""
        async with connection(self._pool) as one:
            await one.execute(_LET_GO, (webhook_id, lease))

    async def hold_back(self, webhook_id: str) -> None:
        """Mark what waits behind a message of its file that was given up."""
        parameters = {"webhook": webhook_id}
        async with connection(self._pool) as one, one.transaction():
            await one.execute(_IN_TURN, parameters)
            await one.execute(_HOLD_BACK, parameters)

    async def due(self, webhook_id: str, limit: int) -> Sequence[Due]:
        """Messages that are due and whose file has no earlier one to be taken, oldest first."""
        async with connection(self._pool) as one:
            cursor = await one.execute(_DUE, {"webhook": webhook_id, "limit": limit})
            return [Due(*row) for row in await cursor.fetchall()]

    async def record(self, webhook_id: str, outcomes: Sequence[Outcome]) -> Standing:
        """Note what came of the attempts, and where the receiver stands after them."""
        answers = [outcome.answer for outcome in outcomes]
        parameters = {
            "webhook": webhook_id,
            "position": [outcome.position for outcome in outcomes],
            "at": [answer.at for answer in answers],
            "ms": [answer.duration_ms for answer in answers],
            "status": [answer.status for answer in answers],
            "error": [answer.error for answer in answers],
            "due": [outcome.due_at for outcome in outcomes],
            "attempts": [outcome.attempts for outcome in outcomes],
            "succeeded": any(answer.error is None for answer in answers),
            "tried": len(outcomes),
        }
        async with connection(self._pool) as one:
            row = await (await one.execute(_RECORD, parameters)).fetchone()
        failures, given_up = row or (0, 0)
        return Standing(failures=failures, given_up=given_up)

    async def rest(self, webhook_id: str, until: datetime) -> None:
        """Leave the receiver alone until then."""
        async with connection(self._pool) as one:
            await one.execute(_REST, (until, webhook_id))

    async def to_be_served(self) -> list[ToServe]:
        """Webhooks with messages that are due and nobody at work."""
        async with connection(self._pool) as one:
            cursor = await one.execute(_TO_BE_SERVED)
            return [ToServe(*row) for row in await cursor.fetchall()]

    async def go_on_with_replays(self) -> int:
        """Take every replay one step further; how many deliveries now wait again."""
        again = 0
        async with connection(self._pool) as one:
            replays = await (await one.execute(_REPLAYS)).fetchall()
            for webhook_id, position, owner, reached, until in replays:
                parameters = {
                    "webhook": webhook_id,
                    "position": position,
                    "owner": owner,
                    "reached": reached,
                    "until": until,
                    "types": list(_NAMES),
                    "names": list(_NAMES.values()),
                    "limit": REPLAY_AT_ONCE,
                }
                # Read apart: a long writing transaction would hold every follower back.
                row = await (await one.execute(_SPAN, parameters)).fetchone()
                last, found = row if row is not None else (until, 0)
                async with one.transaction():
                    if found:
                        await one.execute(_IN_TURN, parameters)
                        cursor = await one.execute(_AGAIN, parameters | {"last": last})
                        again += cursor.rowcount
                        await one.execute(_WITH_THEIR_FILES, parameters | {"last": last})
                    step = _ADVANCE if found == REPLAY_AT_ONCE else _FINISH
                    await one.execute(step, parameters | {"last": last})
        return again

    async def forget(self, clock: Clock) -> None:
        """Delete what nobody asks for any more: old deliveries, targets no webhook names."""
        now = clock()
        async with connection(self._pool) as one:
            while (await one.execute(_FORGET_DELIVERIES, (now - KEPT_FOR,))).rowcount:
                pass
            await one.execute(_FORGET_TARGETS, (now - UNNAMED_FOR,))

"""Integration events on Redis streams: one with all of them in order, and one for each type.

An entry's id is `<position>-0`, so Redis itself refuses what it has already. The hash `…:range`
says how much the streams hold: every event from position `from` up to `until`. Who has read less
than up to `from` reads the log instead (`GET /internal/events`).
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import redis.asyncio
from redis.exceptions import RedisError

from application.integration_events import TYPES, sequence

TIMEOUT_SECONDS = 5

# Redis that knows less than was sent lost something: a flush, or a replica that was behind. What
# is left is no longer whole, and says so. An entry that cannot be added ends the script, so that
# the streams never hold a later one; that it is there already counts as added.
_PUBLISH = """
local known = redis.call('HGET', KEYS[1], 'until')
if not known or known < ARGV[1] then
  redis.call('HSET', KEYS[1], 'from', ARGV[2])
end
for i = 4, #ARGV, 3 do
  for _, stream in ipairs({KEYS[2], KEYS[tonumber(ARGV[i + 1])]}) do
    local added = redis.pcall('XADD', stream, ARGV[i] .. '-0', 'event', ARGV[i + 2])
    if type(added) == 'table' and added.err
        and not string.find(added.err, 'equal or smaller', 1, true) then
      return added
    end
  end
end
if not known or known < ARGV[3] then
  redis.call('HSET', KEYS[1], 'until', ARGV[3])
end
return redis.status_reply('OK')
"""

_TRIM = """
local from = redis.call('HGET', KEYS[1], 'from')
if not from then return 0 end
if from < ARGV[1] then from = ARGV[1] end
redis.call('XTRIM', KEYS[2], 'MAXLEN', ARGV[2])
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
if first and redis.call('XLEN', KEYS[2]) >= tonumber(ARGV[2]) then
  local position = string.match(first[1], '^%d+')
  position = string.rep('0', #from - #position) .. position
  if from < position then from = position end
end
redis.call('HSET', KEYS[1], 'from', from)
local id = string.match(from, '^0*(%d+)$')
for i = 2, #KEYS do redis.call('XTRIM', KEYS[i], 'MINID', id .. '-0') end
return redis.call('XLEN', KEYS[2])
"""


class StreamsUnavailable(Exception):
    """Redis does not answer, or does not take the events."""


class Entry(msgspec.Struct, frozen=True):
    """One integration event, encoded."""

    position: int
    type: str
    event: bytes


class EventStreams:
    """The streams of one installation, as their one writer sees them."""

    def __init__(self, redis_url: str, *, namespace: str) -> None:
        # Untyped: redis-py's own annotations make every call a union of sync and async.
        self._client: Any = redis.asyncio.Redis.from_url(
            redis_url, socket_timeout=TIMEOUT_SECONDS, socket_connect_timeout=2, retry=None
        )
        self._keys = [f"{namespace}:events:range", f"{namespace}:events"]
        self._keys += [f"{namespace}:events:{type_}" for type_ in TYPES]
        self._publish = self._client.register_script(_PUBLISH)
        self._trim = self._client.register_script(_TRIM)

    async def publish(self, entries: Sequence[Entry], *, after: int, reached: int) -> None:
        """Add all there is between the two positions, in the order of the log.

        Whatever is there already stays as it is. Raises StreamsUnavailable, after which all of it
        is to be published again.
        """
        arguments: list[object] = [sequence(after), sequence(after + 1), sequence(reached)]
        for entry in entries:
            # Lua counts from 1; the range and the stream of all come first.
            arguments += [entry.position, TYPES.index(entry.type) + 3, entry.event]
        await self._run(self._publish, arguments)

    async def trim(self, *, before: int, longest: int) -> int:
        """Drop what stands below the position, and all but the newest `longest`; how many stay."""
        return int(await self._run(self._trim, [sequence(before), longest]) or 0)

    async def _run(self, script: Any, arguments: Sequence[object]) -> Any:
        try:
            return await script(keys=self._keys, args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise StreamsUnavailable(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Let the connection go."""
        await self._client.aclose()

"""How much waits in the job queue, for metrics: what Dramatiq keeps in Redis, read from outside."""

import time

import msgspec
import redis.asyncio

from application.jobs import JOBS

TIMEOUT_SECONDS = 2.0
QUEUES = tuple(sorted({job.QUEUE for job in JOBS}))
LOOKED_AT = 100
"""Jobs at the head of the queue: one that was put back may stand before an older one."""


class QueueDepth(msgspec.Struct, frozen=True, kw_only=True):
    """The queue at this moment; jobs that a worker has taken are no part of it."""

    ready: int
    delayed: int
    dead: int
    oldest_seconds: float
    """How long the oldest ready job could have run already."""


async def queue_depth(redis_url: str, *, namespace: str) -> QueueDepth:
    """Look at all queues once, and add them up.

    Raises redis.RedisError, OSError or TimeoutError when Redis does not answer.
    """
    client = redis.asyncio.Redis.from_url(
        redis_url,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=None,
    )
    async with client:
        depths = [await _depth_of(client, f"{namespace}:jobs:{name}") for name in QUEUES]
    return QueueDepth(
        ready=sum(depth.ready for depth in depths),
        delayed=sum(depth.delayed for depth in depths),
        dead=sum(depth.dead for depth in depths),
        oldest_seconds=max(depth.oldest_seconds for depth in depths),
    )


async def _depth_of(client: redis.asyncio.Redis, queue: str) -> QueueDepth:
    async with client.pipeline(transaction=False) as together:
        together.llen(queue)
        together.llen(f"{queue}.DQ")
        together.zcard(f"{queue}.XQ")
        together.lrange(queue, 0, LOOKED_AT - 1)
        ready, delayed, dead, ids = await together.execute()
    messages = await client.hmget(f"{queue}.msgs", ids) if ids else []
    due = [_due_at(message) for message in messages if message is not None]
    oldest = max(time.time() - min(due), 0.0) if due else 0.0
    return QueueDepth(ready=ready, delayed=delayed, dead=dead, oldest_seconds=oldest)


def _due_at(message: bytes | str) -> float:
    """When the job could have run at the earliest."""
    fields = msgspec.json.decode(message)
    eta = fields["options"].get("eta", 0)
    return float(max(fields["message_timestamp"], eta)) / 1000

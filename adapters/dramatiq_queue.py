"""The job queue on Dramatiq and Redis. The reactor and the scheduler send; `workers/jobs.py` runs.

Redis may lose all of it: what is unfinished is known from the log and sent again.
"""

import hashlib
import secrets
from typing import Any

import dramatiq
import msgspec
import redis
from dramatiq.broker import Consumer
from dramatiq.brokers.redis import RedisBroker
from dramatiq.common import dq_name
from dramatiq.middleware import CurrentMessage, Retries
from redis.backoff import NoBackoff
from redis.retry import Retry

from application.jobs import Cause, Job

CRASH_MARK_SECONDS = 3600
IDLE_POLL_MILLISECONDS = 200
"""The longest an idle queue waits between two looks at Redis; Dramatiq's default is a second."""
DELAYED_POLL_MILLISECONDS = 500
"""The same for jobs that are to wait: how late they may be."""
RESTED = "rested"
"""The option of a message that says after how many crashes of its job it has waited."""
_ALWAYS = 1_000_000
"""Of a million commands, how many look for jobs of dead workers; Dramatiq's own default leaves
them lying for 10 minutes on an idle queue."""


class Crashes(msgspec.Struct, frozen=True):
    """How often a job began without coming to any end."""

    every: int = 0
    alone: int = 0
    """Those of them when no other job ran in the process."""
    given_up: bool = False
    """Whether it was given up lately, and nobody has asked for it anew."""


class QueueUnavailable(Exception):
    """Redis did not take the job."""


class _Client(redis.Redis):
    """Tells Dramatiq of every trouble as a lost connection, which is what its threads survive."""

    def execute_command(self, *args: Any, **options: Any) -> Any:
        try:
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except (redis.exceptions.NoScriptError, redis.ConnectionError):
            raise
        except redis.RedisError as error:
            raise redis.ConnectionError(str(error)) from error


class _Broker(RedisBroker):
    """Takes another name whenever a consumer begins again, since its connection broke.

    Dramatiq forgets what the consumer held, delayed jobs above all, and Redis keeps it for a worker
    of this name for as long as that one lives: under another name it is soon dead, and its jobs
    are taken up again. Those that it just does are done twice.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self._consumed: set[str] = set()

    def consume(
        self,
        queue_name: str,
        prefetch: int = 1,
        timeout: int = 5000,  # noqa: ARG002 - meant for threads, which need not look as often
    ) -> Consumer:
        """Begin to take messages of a queue."""
        if queue_name in self._consumed:
            self.broker_id = secrets.token_hex(16)
        self._consumed.add(queue_name)
        delayed = queue_name == dq_name(queue_name)
        longest = DELAYED_POLL_MILLISECONDS if delayed else IDLE_POLL_MILLISECONDS
        return super().consume(queue_name, prefetch, longest)


class DramatiqQueue:
    """The JobQueue port. Blocking: async callers use a thread."""

    def __init__(
        self, redis_url: str, *, namespace: str = "media", heartbeat_seconds: float = 20
    ) -> None:
        """`heartbeat_seconds`: a worker silent for so long is dead and others take its jobs."""
        self._namespace = f"{namespace}:jobs"
        self._redis = _Client.from_url(
            redis_url,
            socket_timeout=5,
            socket_connect_timeout=5,
            health_check_interval=10,
            retry=Retry(NoBackoff(), 1),
        )
        self._heartbeat_seconds = heartbeat_seconds
        self._brokers: dict[str, RedisBroker] = {}
        self.broker = self.broker_of(Job.QUEUE)

    def broker_of(self, queue_name: str) -> RedisBroker:
        """The broker of one queue: Dramatiq wants one for each set of worker threads."""
        if queue_name not in self._brokers:
            self._brokers[queue_name] = _Broker(
                client=self._redis,
                namespace=self._namespace,
                maintenance_chance=_ALWAYS,
                heartbeat_timeout=int(self._heartbeat_seconds * 1000),
                middleware=[CurrentMessage(), Retries()],
            )
        return self._brokers[queue_name]

    def send(self, job: Job, *, delay_seconds: float = 0, cause: Cause | None = None) -> None:
        """Hand the job over, to be run not before the delay is over. Raises QueueUnavailable."""
        message = dramatiq.Message[None](
            queue_name=job.QUEUE,
            actor_name=job.NAME,
            args=(),
            kwargs={"job": msgspec.to_builtins(job)},
            # Not of the job: the same job for another cause is still the same work.
            options={} if cause is None else {"cause": msgspec.to_builtins(cause)},
        )
        delay = int(delay_seconds * 1000) if delay_seconds > 0 else None
        try:
            self.broker_of(job.QUEUE).enqueue(message, delay=delay)
            # After the message, so that a Redis that lost the message has no mark either.
            self._redis.set(
                self._key("sent", job), 1, ex=int(job.CHAIN_SECONDS + max(delay_seconds, 0))
            )
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error

    def send_again(self, job: Job) -> bool:
        """Send a job that may have been lost; False when it stands in Redis or was just tried.

        Raises QueueUnavailable.
        """
        try:
            if self._redis.exists(self._key("sent", job)):
                return False
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error
        self.send(job)
        return True

    def crashes(self, job: Job, message_id: str, cause: Cause | None = None) -> Crashes:
        """How often the job's worker died, before this message begins.

        A job that kills its worker is taken up again for ever otherwise: Dramatiq counts raised
        exceptions only. No deaths where Redis cannot say.
        """
        try:
            with self._redis.pipeline() as together:
                for mark in ("begun", "begun-alone"):
                    together.hgetall(self._key(mark, job))
                together.get(self._key("given-up", job))
                every, alone, given_up = together.execute()
        except redis.RedisError:
            return Crashes()
        return Crashes(
            _without_an_end(every, message_id),
            _without_an_end(alone, message_id),
            given_up is not None and _position_of(cause) <= int(given_up),
        )

    def rest(self, message: dramatiq.Message[None], crashes: int, *, seconds: float) -> None:
        """Put a message back that is to wait, after so many crashes of its job."""
        rested = message.copy(options={RESTED: crashes})
        self.broker_of(message.queue_name).enqueue(rested, delay=int(seconds * 1000))

    def put_back(self, message: dramatiq.Message[None]) -> None:
        """Leave a message to the next worker, as it is. Raises QueueUnavailable."""
        try:
            self.broker_of(message.queue_name).enqueue(message)
        except redis.RedisError as error:
            raise QueueUnavailable(str(error)) from error

    def begin(self, job: Job, message_id: str, *, alone: bool = False) -> None:
        """Note that the job begins, and whether no other runs in this process."""
        try:
            with self._redis.pipeline() as together:
                for mark in ("begun", "begun-alone") if alone else ("begun",):
                    key = self._key(mark, job)
                    together.hincrby(key, message_id)
                    together.expire(key, CRASH_MARK_SECONDS)
                together.execute()
        except redis.RedisError:
            return

    def accompanied(self, job: Job, message_id: str) -> None:
        """Note that the job, which began alone, runs beside others: it does not kill at once."""
        try:
            self._redis.hdel(self._key("begun-alone", job), message_id)
        except redis.RedisError:
            return

    def give_up(self, job: Job, cause: Cause | None) -> None:
        """Note that nobody is to try the job for a while, unless it is asked for anew.

        What was counted is forgotten: whoever tries it then begins from the beginning.
        """
        try:
            with self._redis.pipeline() as together:
                given_up, lasting = self._key("given-up", job), CRASH_MARK_SECONDS
                together.set(given_up, _position_of(cause), ex=lasting, nx=True)
                together.delete(self._key("begun", job), self._key("begun-alone", job))
                together.execute()
        except redis.RedisError:
            return

    def end(self, job: Job, message_id: str) -> None:
        """Note that the job came to an end, good or bad."""
        try:
            with self._redis.pipeline() as together:
                for mark in ("begun", "begun-alone"):
                    together.hdel(self._key(mark, job), message_id)
                together.execute()
        except redis.RedisError:
            return

    def close(self) -> None:
        """Let the connections go."""
        for broker in self._brokers.values():
            broker.close()
        self._redis.close()

    def _key(self, mark: str, job: Job) -> str:
        digest = hashlib.sha256(msgspec.json.encode(job)).hexdigest()[:32]
        return f"{self._namespace}:{mark}:{job.NAME}:{digest}"


def _position_of(cause: Cause | None) -> int:
    return 0 if cause is None else cause.position


def _without_an_end(begun: Any, message_id: str) -> int:
    counts = {id_: int(count) for id_, count in begun.items()}
    mine = counts.pop(message_id.encode(), 0)
    # Copies of a job, each a message, may run beside each other, the last of each just now.
    return mine + sum(counts.values()) - len(counts)

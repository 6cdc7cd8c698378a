"""Integration events on Redis streams: each once, in order, whatever is killed or lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import msgspec
import pytest
import redis.asyncio

from adapters.log_times import position_at
from adapters.postgres import Pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.postgres_leader import Leader
from adapters.redis_streams import EventStreams
from adapters.settings import Settings
from adapters.system import utc_now
from application.integration_events import TYPES, sequence
from domain.errors import DatabaseUnavailable
from domain.event import Recorded
from tests.kit.log import at_positions
from tests.projections.histories import deleted, uploaded
from tests.workers.processes import SECONDS, Gate, patient_pool, process, running, settled, until
from workers import publisher
from workers.publisher import Publisher

OWNERS = ("t:ls_a", "t:ls_b", "u:user_1")


class Log:
    """The log as writers see it, and the streams as subscribers do."""

    def __init__(self, pool: Pool, settings: Settings) -> None:
        self.pool = pool
        self.store = PostgresEventStore(pool)
        self.client: Any = redis.asyncio.Redis.from_url(settings.redis_url, decode_responses=True)
        self.name = f"{settings.redis_namespace}:events"
        self.files = 0
        self.expected: list[tuple[str, str]] = []
        """Type and subject of all that is to be announced, in the order of the log."""

    async def upload(self, *, ago: timedelta = timedelta()) -> list[Recorded]:
        self.files += 1
        owner = OWNERS[self.files % len(OWNERS)]
        facts = uploaded(owner, self.files, at=utc_now() - ago - timedelta(seconds=1))
        facts = at_positions(facts, await self.store.append(facts))
        self.expected.append(("media.uploaded", facts[0].stream))
        return facts

    async def delete(self, file: Sequence[Recorded]) -> None:
        await self.store.append([deleted(file, at=utc_now())])
        self.expected.append(("media.deleted", file[0].stream))

    async def stream(self, type_: str = "") -> list[dict[str, Any]]:
        name = f"{self.name}:{type_}" if type_ else self.name
        entries = await self.client.xrange(name)
        events = [msgspec.json.decode(fields["event"]) for _, fields in entries]
        ids = [id_ for id_, _ in entries]
        assert ids == [f"{int(event['sequence'])}-0" for event in events]
        return events

    async def sent(self) -> list[tuple[str, str]]:
        return [(event["type"], event["subject"]) for event in await self.stream()]

    async def held(self) -> tuple[int, int]:
        """From where to where the streams say they are whole."""
        first, last = await self.client.hmget(f"{self.name}:range", "from", "until")
        return int(first or -1), int(last or -1)

    async def complete(self) -> bool:
        return await self.sent() == self.expected

    async def noted(self) -> bool:
        """Whether the publisher has noted how far it has come."""
        return (await self.held())[1] == await self.checkpoint() > 0

    async def checkpoint(self) -> int:
        async with self.pool.connection() as one:
            query = "SELECT position FROM checkpoints WHERE follower = 'publisher'"
            row = await (await one.execute(query)).fetchone()
        return row[0] if row else 0


@pytest.fixture
async def log(worker_settings: Settings) -> AsyncIterator[Log]:
    async with patient_pool(worker_settings) as pool:
        log = Log(pool, worker_settings)
        yield log
        await log.client.aclose()


@asynccontextmanager
async def streams_of(settings: Settings) -> AsyncIterator[EventStreams]:
    streams = EventStreams(settings.redis_url, namespace=settings.redis_namespace)
    try:
        yield streams
    finally:
        await streams.close()


@asynccontextmanager
async def leading(settings: Settings) -> AsyncIterator[Leader]:
    leader = Leader(settings.database_url, name="publisher")
    try:
        await until(leader.take_over)
        yield leader
    finally:
        await leader.step_down()


async def test_every_event_is_on_the_stream_of_all_and_on_that_of_its_type(
    log: Log, worker_settings: Settings
) -> None:
    files = [await log.upload() for _ in range(5)]
    async with running(worker_settings, publisher.main):
        for file in files[:3]:
            await log.delete(file)
        await until(log.complete)
        await until(log.noted)
    events = await log.stream()
    assert len({event["id"] for event in events}) == len(events) == 8
    for type_ in TYPES:
        assert await log.stream(type_) == [event for event in events if event["type"] == type_]
    assert [event.get("tenantid") for event in events[:3]] == ["ls_b", None, "ls_a"]
    assert await log.held() == (1, await log.checkpoint())


async def test_killed_again_and_again_it_sends_each_event_once_and_in_order(
    log: Log, worker_settings: Settings
) -> None:
    enough = asyncio.Event()
    writing = asyncio.create_task(_keep_writing(log, enough))
    try:
        for _ in range(3):
            sent = len(await log.sent())
            async with process("workers.publisher", worker_settings) as child:
                await until(lambda sent=sent: _more_than(log, sent))  # type: ignore[misc]
                child.kill()
    finally:
        # Not cancelled: what is under way then may be committed after any look at the log.
        enough.set()
        await writing
    async with running(worker_settings, publisher.main):
        await until(log.complete)


async def _keep_writing(log: Log, enough: asyncio.Event) -> None:
    while not enough.is_set():
        await log.upload()
        await asyncio.sleep(0.002)


async def _more_than(log: Log, sent: int) -> bool:
    return len(await log.sent()) > sent + 20


async def test_a_crash_between_sending_and_checkpoint_sends_nothing_twice(
    log: Log, worker_settings: Settings
) -> None:
    for _ in range(3):
        await log.upload()
    await settled(log.pool)
    leader = Leader(worker_settings.database_url, name="publisher")
    async with streams_of(worker_settings) as streams:
        crashing = Publisher(log.pool, streams, leader, kept=timedelta(days=1), longest=1000)
        # Without the lead the checkpoint cannot be stored, while the events are sent before it.
        with pytest.raises(DatabaseUnavailable):
            await crashing.follow(0)
    assert await log.complete()
    assert await log.checkpoint() == 0
    async with running(worker_settings, publisher.main):
        await log.upload()
        await until(log.complete)
    assert (await log.held())[0] == 1


async def test_after_a_flush_the_streams_go_on_and_say_that_they_are_not_whole(
    log: Log, worker_settings: Settings
) -> None:
    async with running(worker_settings, publisher.main):
        for _ in range(3):
            await log.upload()
        await until(log.complete)
        # What was sent and not noted is sent again, into the emptied streams.
        await until(log.noted)
        lost = await log.checkpoint()
        await log.client.flushdb()
        log.expected = []
        await log.upload()
        await until(log.complete)
    first, last = await log.held()
    assert lost < first <= int((await log.stream())[0]["sequence"]) <= last


async def test_a_replica_that_was_behind_is_found_out(log: Log, worker_settings: Settings) -> None:
    async with running(worker_settings, publisher.main):
        for _ in range(3):
            await log.upload()
        await until(log.complete)
        await until(log.noted)
    events = await log.stream()
    # As after a failover: the newest entry never got there, and neither did what says so.
    kept = int(events[1]["sequence"])
    for name in (log.name, f"{log.name}:media.uploaded"):
        await log.client.delete(name)
        for event in events[:2]:
            await log.client.xadd(
                name,
                {"event": msgspec.json.encode(event)},
                id=f"{int(event['sequence'])}-0",
            )
    await log.client.hset(f"{log.name}:range", "until", sequence(kept))
    # What stands below a gap is of no use to anyone, and is dropped with the next trim.
    log.expected = []
    async with running(worker_settings, publisher.main):
        await log.upload()
        await until(log.complete)
    assert (await log.held())[0] > int(events[2]["sequence"])


async def test_old_entries_go_and_the_streams_say_from_where_they_are_whole(
    log: Log, worker_settings: Settings
) -> None:
    old = [await log.upload(ago=timedelta(days=8)) for _ in range(3)]
    new = [await log.upload() for _ in range(4)]
    await settled(log.pool)
    bound = await position_at(log.pool, utc_now() - timedelta(days=7))
    assert bound == old[-1][-1].position
    async with streams_of(worker_settings) as streams, leading(worker_settings) as leader:
        kept_long = Publisher(log.pool, streams, leader, kept=timedelta(days=30), longest=1000)
        await kept_long.follow(0)
        assert await log.complete()
        kept_a_week = Publisher(log.pool, streams, leader, kept=timedelta(days=7), longest=1000)
        assert await kept_a_week.start() > bound
        await kept_a_week.follow(await kept_a_week.start())
        del log.expected[:3]
        assert await log.complete()
        assert len(await log.stream("media.uploaded")) == 4
        assert (await log.held())[0] == bound + 1

        kept_short = Publisher(log.pool, streams, leader, kept=timedelta(days=7), longest=2)
        await kept_short.follow(await kept_short.start())
        del log.expected[:2]
        assert await log.complete()
        assert len(await log.stream("media.uploaded")) == 2
        assert (await log.held())[0] == new[2][-1].position


async def test_what_nobody_could_still_find_on_the_streams_is_not_sent_at_first(
    log: Log, worker_settings: Settings
) -> None:
    old = [await log.upload(ago=timedelta(days=8)) for _ in range(3)]
    log.expected = []
    await log.upload()
    # Which of them are too old is seen in what is settled.
    await settled(log.pool)
    async with running(worker_settings, publisher.main):
        await until(log.complete)
    assert (await log.held())[0] == old[-1][-1].position + 1


async def test_it_waits_for_redis_and_for_postgres_and_goes_on(
    log: Log, worker_settings: Settings
) -> None:
    async with (
        Gate(worker_settings.redis_url) as redis_gate,
        Gate(worker_settings.database_url) as postgres_gate,
    ):
        redis_gate.open()
        postgres_gate.open()
        settings = msgspec.structs.replace(
            worker_settings, redis_url=redis_gate.url, database_url=postgres_gate.url
        )
        async with running(settings, publisher.main):
            for gate in (redis_gate, postgres_gate):
                await log.upload()
                await until(log.complete)
                gate.cut()
                gate.knocked.clear()
                await log.upload()
                await asyncio.wait_for(gate.knocked.wait(), SECONDS)
                assert not await log.complete()
                gate.open()
                await until(log.complete)


async def test_one_publishes_and_another_takes_over_when_it_is_killed(
    log: Log, worker_settings: Settings
) -> None:
    async with process("workers.publisher", worker_settings) as first:
        await log.upload()
        await until(log.complete)
        async with running(worker_settings, publisher.main):
            first.kill()
            await first.wait()
            await log.upload()
            await until(log.complete)


async def test_a_time_before_all_and_after_all_is_a_position_too(log: Log) -> None:
    assert await position_at(log.pool, utc_now()) == 0
    facts = await log.upload()
    await settled(log.pool)
    assert await position_at(log.pool, facts[0].at) == 0
    assert await position_at(log.pool, utc_now() + timedelta(seconds=5)) == facts[-1].position

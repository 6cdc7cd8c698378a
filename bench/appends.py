"""`python -m bench.appends`: how fast the log takes events, against a plain INSERT and the package.

Writers are tasks of one process (threads for the package, which is synchronous).
"""

import argparse
import asyncio
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack

import psycopg
from eventsourcing.persistence import StoredEvent
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg.conninfo import conninfo_to_dict

from adapters.event_mapper import EVENT_TYPES
from adapters.event_reader import PostgresEventReader
from adapters.postgres import Pool, open_pool
from adapters.postgres_event_store import PostgresEventStore, append_statement
from adapters.system import RandomIdentities, utc_now
from application.context import Idempotency
from application.ports import KeyClaim
from bench.kit import Measurement, Report, command, interleaved, own_database
from domain.access import Access
from domain.event import Recorded
from domain.media_file_events import UploadRequested

WRITERS = (1, 4, 16, 32)
TAILED_EVENTS = 30_000
TAILED_WRITERS = 16
SLOW_WRITER_SECONDS = 20
OWNER = "t:ls_abc123"
IDENTITIES = RandomIdentities()

PLAIN_TABLE = """
CREATE TABLE plain_events (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  version integer NOT NULL, at timestamptz NOT NULL, stream text NOT NULL, type text NOT NULL,
  owner text NOT NULL, actor text NOT NULL, access text NOT NULL, command_id text NOT NULL,
  correlation_id text NOT NULL, data jsonb NOT NULL, UNIQUE (stream, version)
);
GRANT SELECT, INSERT ON plain_events TO media_worker
"""
PLAIN_INSERT = """
INSERT INTO plain_events (version, at, stream, type, owner, actor, access, command_id,
                          correlation_id, data)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING position
"""


def fact() -> Recorded:
    """The most frequent event, of a new file."""
    nanoid = uuid.uuid4().hex[:16]
    return Recorded(
        stream=f"media_{nanoid}",
        version=1,
        position=0,
        at=utc_now(),
        owner=OWNER,
        actor="user:user_789",
        access=Access.WORKSPACE,
        command_id=IDENTITIES.command_id(),
        correlation_id=nanoid,
        event=UploadRequested(
            file_name="hero.webp",
            file_size=245_000,
            mime_type="image/webp",
            service_code="blog",
            key=f"ls_abc123/blog/2026/04/{nanoid}.webp",
            is_public=True,
            uploaded_by="user_789",
            sha256=None,
        ),
    )


def claim(recorded: Recorded) -> KeyClaim:
    """An Idempotency-Key of its own."""
    idempotency = Idempotency(
        key=recorded.command_id, route="POST /upload/presign", fingerprint="0" * 64
    )
    return KeyClaim(OWNER, "user_789", idempotency, b'{"mediaId": "x"}', recorded.at)


async def rate(append: Callable[[], Awaitable[object]], *, writers: int, seconds: float) -> float:
    """Appends a second of so many writers at once."""
    started = time.perf_counter()
    ends = started + seconds
    done = 0

    async def write() -> None:
        nonlocal done
        while time.perf_counter() < ends:
            await append()
            done += 1

    await asyncio.gather(*(write() for _ in range(writers)))
    return done / (time.perf_counter() - started)


class Contestants:
    """The ways to append, each on connections of its own."""

    def __init__(self, worker: Pool, api: Pool, package: PostgresApplicationRecorder) -> None:
        self._worker = worker
        self._bare = PostgresEventStore(worker)
        self._full = PostgresEventStore(api)
        self._package = package

    async def plain(self) -> None:
        """The floor: one INSERT, autocommit, in no safe order."""
        event = fact()
        parameters = (
            event.version,
            event.at,
            event.stream,
            event.event.TYPE,
            event.owner,
            event.actor,
            event.access,
            event.command_id,
            event.correlation_id,
            EVENT_TYPES.encode(event.event),
        )
        async with self._worker.connection() as connection:
            await (await connection.execute(PLAIN_INSERT, parameters, prepare=True)).fetchone()

    async def bare(self) -> None:
        """Ours without a key."""
        await self._bare.append([fact()])

    async def full(self) -> None:
        """A whole command: row-level security and an Idempotency-Key in the same statement."""
        event = fact()
        await self._full.append([event], claim=claim(event))

    async def package(self, *, writers: int, seconds: float) -> float:
        """The package's own recorder, in threads."""
        ends = time.perf_counter() + seconds

        def write() -> int:
            done = 0
            while time.perf_counter() < ends:
                state = EVENT_TYPES.encode(fact().event).encode()
                event = StoredEvent(uuid.uuid4(), 1, UploadRequested.TYPE, state)
                self._package.insert_events([event])
                done += 1
            return done

        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        with ThreadPoolExecutor(writers) as threads:
            counts = await asyncio.gather(
                *(loop.run_in_executor(threads, write) for _ in range(writers))
            )
        return sum(counts) / (time.perf_counter() - started)

    def variants(self, *, writers: int, seconds: float) -> dict[str, Measurement]:
        """By name, in the order of the table."""
        return {
            "plain INSERT": lambda: rate(self.plain, writers=writers, seconds=seconds),
            "the package's recorder": lambda: self.package(writers=writers, seconds=seconds),
            "bare append": lambda: rate(self.bare, writers=writers, seconds=seconds),
            "command (key, RLS)": lambda: rate(self.full, writers=writers, seconds=seconds),
        }


def package_recorder(url: str, size: int) -> PostgresApplicationRecorder:
    """The package as it comes, with a connection for every writer."""
    parts = conninfo_to_dict(url)
    datastore = PostgresDatastore(
        str(parts["dbname"]),
        str(parts["host"]),
        str(parts["port"]),
        str(parts["user"]),
        str(parts.get("password") or ""),
        pool_size=size,
    )
    recorder = PostgresApplicationRecorder(datastore, events_table_name="package_events")
    recorder.create_table()
    return recorder


async def tail(url: str, report: Report, events: int) -> None:
    """A follower beside 16 writers must see every event once, in order."""
    async with (
        await open_pool(url, role="media_api", size=TAILED_WRITERS) as writing,
        await open_pool(url, role="media_worker", size=2) as reading,
    ):
        store, reader = PostgresEventStore(writing), PostgresEventReader(reading)
        start = await reader.head()
        written: list[int] = []
        seen: list[int] = []

        async def write() -> None:
            for _ in range(-(-events // TAILED_WRITERS)):
                position = await store.append([fact()])
                written.append(position)

        async def follow() -> None:
            position = start
            while True:
                finished = all(writer.done() for writer in writers)
                batch = await reader.read(position, 1000)
                seen.extend(event.position for event in batch)
                if batch:
                    position = batch[-1].position
                elif finished:
                    return
                else:
                    await asyncio.sleep(0.002)

        started = time.perf_counter()
        writers = [asyncio.create_task(write()) for _ in range(TAILED_WRITERS)]
        await follow()
        await asyncio.gather(*writers)
        seconds = time.perf_counter() - started
    in_order = seen == sorted(written)
    report.say(
        f"A follower beside {TAILED_WRITERS} writers saw {len(seen):,} of {len(written):,} events "
        f"in {seconds:.1f} s, {'each once and in order' if in_order else 'NOT IN ORDER'}."
    )
    missed = len(set(written) - set(seen)) + (not in_order)
    report.goal("events missed by the follower", missed, limit=0, unit="", at_most=True)


async def slow_writer(url: str, report: Report, seconds: float) -> None:
    """A writer that sleeps before its commit stalls the follower and loses nothing."""
    async with (
        await psycopg.AsyncConnection.connect(url) as slow,
        await open_pool(url, role="media_worker", size=4) as pool,
    ):
        store, reader = PostgresEventStore(pool), PostgresEventReader(pool)
        start = await reader.head()
        await slow.execute(*append_statement([fact()], None))
        ends = time.perf_counter() + seconds
        appended = 1
        early = 0
        while time.perf_counter() < ends:
            await store.append([fact()])
            appended += 1
            early += len(await reader.read(start, 10))
            await asyncio.sleep(0.05)
        await slow.commit()
        seen = len(await reader.read(start, appended + 10))
    report.say(f"A writer slept {seconds:.0f} s before its commit: {early} events passed it by.")
    missed = abs(appended - seen) + early
    report.goal("events missed past a slow writer", missed, limit=0, unit="", at_most=True)


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goals were reached."""
    rounds, seconds = (5, 0.4) if arguments.quick else (15, 0.8)
    report = Report("Appends")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(own_database())
        async with await psycopg.AsyncConnection.connect(url) as connection:
            await connection.execute(PLAIN_TABLE)
        most = max(WRITERS)
        package = package_recorder(url, most)
        stack.callback(package.datastore.close)
        contestants = Contestants(
            await stack.enter_async_context(await open_pool(url, role="media_worker", size=most)),
            await stack.enter_async_context(await open_pool(url, role="media_api", size=most)),
            package,
        )
        measured = {
            writers: await interleaved(
                contestants.variants(writers=writers, seconds=seconds), rounds=rounds
            )
            for writers in WRITERS
        }
        names = list(measured[most].rounds)
        report.table(
            "Appends a second, one event in each",
            ["", *(f"{writers} writers" for writers in WRITERS)],
            [[name, *(measured[writers].median(name) for writers in WRITERS)] for name in names],
        )
        plain, theirs, bare, full = names
        ratio = measured[most].ratio
        report.goal(f"bare append / package, {most} writers", ratio(bare, theirs), limit=6)
        report.goal(f"bare append / plain INSERT, {most} writers", ratio(bare, plain), limit=0.9)
        report.goal(f"command / plain INSERT, {most} writers", ratio(full, plain), limit=0.5)
        await tail(url, report, TAILED_EVENTS)
        if arguments.slow_writer:
            await slow_writer(url, report, SLOW_WRITER_SECONDS)
    return report.finish("appends", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(
        run,
        __doc__,
        quick="two short rounds",
        options=lambda parser: parser.add_argument(
            "--slow-writer", action="store_true", help="also one that sleeps 20 s"
        ),
    )


if __name__ == "__main__":
    sys.exit(main())

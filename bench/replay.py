"""`python -m bench.replay`: how fast the log becomes a file list, against the package's runner.

The floor is the rows alone, ready in memory, through the same statement.
"""

import argparse
import asyncio
import itertools
import os
import sys
import time
from collections.abc import Awaitable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import psycopg
from eventsourcing.application import Application
from eventsourcing.persistence import Tracking
from eventsourcing.projection import Projection as PackageProjection
from eventsourcing.projection import ProjectionRunner

from adapters.event_reader import PostgresEventReader
from adapters.postgres import Pool, open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.postgres_events import LogTrackingRecorder
from adapters.postgres_migrations import MIGRATIONS
from bench.kit import Report, command, interleaved, own_database
from domain.event import Recorded
from domain.media_file import MediaFile
from projections.file_list import FileListProjection
from projections.projection import BATCH, Follower
from projections.read_models import READ_MODELS
from projections.rebuild import rebuild
from tests.kit.log import package_environment
from tests.projections.histories import deleted, uploaded

EVENTS = 100_000
MANY_EVENTS = 1_000_000
PACKAGE_EVENTS = 3_000
"""What the package's runner is given: it would take minutes for all."""
FILE_LIST = FileListProjection()
REPLAY = "replay: the log into the rows of a rebuild"
REBUILD = "rebuild: replay, indexes, statistics and switch"
PACKAGE = "the package's ProjectionRunner"


def history(events: int) -> Iterator[Recorded]:
    """Uploads of 500 owners; every ninth file is deleted again."""
    start = datetime(2026, 1, 1, tzinfo=UTC)

    def forever() -> Iterator[Recorded]:
        for number in itertools.count():
            file = uploaded(
                f"t:ls_{number % 500}",
                number,
                at=start + timedelta(seconds=number),
                name=f"Holiday photo {number * 7919 % 1_000_003}.webp",
                file_size=number % 10_000_000 + 1,
                is_public=number % 5 > 0,
            )
            yield from file
            if number % 9 == 0:
                yield deleted(file)

    return itertools.islice(forever(), events)


async def fill(pool: Pool, events: int, *, there: int = 0) -> None:
    """Lengthen the history from `there` to so many events."""
    store = PostgresEventStore(pool)
    facts = itertools.islice(history(events), there, None)
    while batch := list(itertools.islice(facts, 10_000)):
        await store.append(batch)


async def keep_watching(most: list[float]) -> None:
    """Remember the most memory this process held while it worked, in MiB."""
    while True:
        most[0] = max(most[0], memory_held())
        await asyncio.sleep(0.02)


def memory_held() -> float:
    """MiB of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def watched(work: Awaitable[float]) -> tuple[float, float]:
    """What the work gives, and the most memory it held."""
    most = [0.0]
    watching = asyncio.create_task(keep_watching(most))
    found = await work
    watching.cancel()
    return found, most[0]


async def long_history(report: Report, pool: Pool, contestants: "Contestants") -> None:
    """Ten times as many events must not take more memory."""
    _, before = await watched(contestants.replayed())
    await fill(pool, MANY_EVENTS, there=EVENTS)
    rate, held = await watched(contestants.replayed())
    report.say(
        f"{MANY_EVENTS:,} events replay at {rate * MANY_EVENTS / EVENTS:,.0f} a second; this"
        f" process holds {held:.0f} MiB meanwhile, {before:.0f} MiB with {EVENTS:,}."
    )
    report.goal("memory, ten times the events", held / before, limit=1.2, at_most=True)


class Contestants:
    """The ways from the log to rows, each from an empty read model."""

    def __init__(self, url: str, pool: Pool) -> None:
        self.url = url
        self.pool = pool

    async def empty(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            tables = "checkpoints, file_list_v2, storage_stats_v1, storage_stats_v1_pending"
            others = "pending_uploads_v1, audit_trail_v2, unfinished_work_v3"
            await connection.execute(f"TRUNCATE {tables}, {others}".encode())

    async def ours(self, name: str = FILE_LIST.name, *, batch: int = BATCH) -> float:
        """Events a second of the follower that also keeps the model live."""
        await self.empty()
        follower = Follower(READ_MODELS[name], PostgresEventReader(self.pool), batch=batch)
        async with self.pool.connection() as connection:
            await follower.start(connection)
            applied = 0
            start = time.perf_counter()
            while events := await follower.step(connection):
                applied += events
            taken = time.perf_counter() - start
        await follower.close()
        return applied / taken

    async def rebuilt(self) -> float:
        """Events a second of `./dev rebuild`: replay, indexes, statistics and switch."""
        _, whole = await self._rebuild()
        return EVENTS / whole

    async def replayed(self) -> float:
        """Events a second of its replay alone: from the first read to the last row."""
        replay, _ = await self._rebuild()
        return EVENTS / replay

    async def _rebuild(self) -> tuple[float, float]:
        await self.empty()
        (ddl,) = MIGRATIONS.glob(f"*_{FILE_LIST.name}.sql")
        told: list[float] = []
        start = time.perf_counter()
        await rebuild(
            FILE_LIST,
            PostgresEventReader(self.pool),
            database_url=self.url,
            ddl=ddl.read_text(),
            progress=lambda _reached, _goal: told.append(time.perf_counter()),
        )
        return told[-1] - told[0], time.perf_counter() - start

    async def floor(self) -> float:
        """Events a second if reading and decoding cost nothing."""
        await self.empty()
        facts = await PostgresEventReader(self.pool).read(0, EVENTS)
        batches = [facts[first : first + BATCH] for first in range(0, len(facts), BATCH)]
        statements = [FILE_LIST.fold(batch) for batch in batches]
        async with self.pool.connection() as connection:
            start = time.perf_counter()
            for batch in statements:
                async with connection.transaction():
                    for statement in batch:
                        await connection.execute(statement.sql, statement.parameters)
            taken = time.perf_counter() - start
        return len(facts) / taken

    async def package(self) -> float:
        """Events a second of the package's ProjectionRunner, on the first few events."""
        await self.empty()
        return await asyncio.to_thread(self._run_package)

    def _run_package(self) -> float:
        PackageFileList.left = PACKAGE_EVENTS
        start = time.perf_counter()
        runner = ProjectionRunner(
            application_class=Application[str],
            projection_class=PackageFileListProjection,
            view_class=PackageFileList,
            env=package_environment(self.url),
        )
        with runner:
            while PackageFileList.left > 0:
                time.sleep(0.01)
            return PACKAGE_EVENTS / (time.perf_counter() - start)


class PackageFileList(LogTrackingRecorder):
    """The same rows as the package writes views: one event and its tracking per transaction."""

    left: ClassVar[int] = 0

    def apply(self, recorded: Recorded, tracking: Tracking) -> None:
        with self._datastore.transaction(commit=True) as cursor:
            self._track(cursor, tracking)
            for statement in FILE_LIST.fold([recorded]):
                cursor.execute(statement.sql, statement.parameters)
        PackageFileList.left -= 1


class PackageFileListProjection(PackageProjection[PackageFileList]):
    """Calls the view for each event, as the package's examples do."""

    name = "package_file_list"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        if PackageFileList.left > 0:
            self.view.apply(domain_event.recorded, tracking)


def fold_alone() -> float:
    """Microseconds of Python per event."""
    facts = [msgspec.structs.replace(fact, position=1) for fact in history(20_000)]
    assert MediaFile.from_history(facts[:2])
    start = time.perf_counter()
    for first in range(0, len(facts), BATCH):
        FILE_LIST.fold(facts[first : first + BATCH])
    return (time.perf_counter() - start) / len(facts) * 1e6


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goals were reached."""
    report = Report("Replay")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(own_database())
        pool = await stack.enter_async_context(await open_pool(url, role="media_worker", size=4))
        await fill(pool, EVENTS)
        contestants = Contestants(url, pool)
        rates = await interleaved(
            {
                REPLAY: contestants.replayed,
                REBUILD: contestants.rebuilt,
                "the live follower, catching up": contestants.ours,
                "the rows alone (floor)": contestants.floor,
                PACKAGE: contestants.package,
            },
            rounds=1 if arguments.quick else 3,
        )
        report.table(
            f"{EVENTS:,} events into the file list",
            ["", "events a second"],
            [[name, rates.median(name)] for name in rates.rounds],
        )
        report.table(
            "The other read models",
            ["", "events a second"],
            [[name, await contestants.ours(name)] for name in READ_MODELS],
        )
        report.say(f"Folding alone takes {fold_alone():.2f} µs an event.")
        report.goal("replay / the package's runner", rates.ratio(REPLAY, PACKAGE), limit=90)
        report.say(f"The whole rebuild / the runner: {rates.ratio(REBUILD, PACKAGE):.0f} times.")
        seconds = EVENTS / rates.median(REPLAY)
        report.goal(f"{EVENTS:,} events replayed", seconds, limit=1.1, unit="s", at_most=True)
        if not arguments.quick:
            await long_history(report, pool, contestants)
    return report.finish("replay", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="one round")


if __name__ == "__main__":
    sys.exit(main())

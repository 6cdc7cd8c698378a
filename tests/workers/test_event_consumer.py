"""The example subscriber: killed in the middle, with Redis emptied under it, each event once."""

import asyncio
import contextlib
import random
import socket
import sqlite3
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
import redis.asyncio

from adapters.postgres import Pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.settings import Settings
from tests.kit.log import at_positions
from tests.projections.histories import START, deleted, uploaded
from tests.workers.processes import ROOT, patient_pool, process, running, settled, until
from workers import publisher

pytestmark = pytest.mark.timeout(300)


class Subscriber:
    """The example, as a process of its own."""

    def __init__(self, database: Path, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    @asynccontextmanager
    async def process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            str(ROOT / "docs" / "examples" / "event_consumer.py"),
            "example",
            str(self.database),
            self.settings.redis_url,
            f"http://127.0.0.1:{self.settings.internal_port}",
            self.settings.redis_namespace,
        )
        try:
            yield child
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()

    def journal(self) -> list[tuple[str, str, str]]:
        """What took effect: type, file and id, in the order it did."""
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            try:
                query = "SELECT type, subject, id FROM journal ORDER BY number"
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []

    def library(self) -> set[str]:
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as connection:
            return {id_ for (id_,) in connection.execute("SELECT media_id FROM library")}


class Writer:
    """Uploads files and deletes half of them."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.store = PostgresEventStore(pool)
        self.files = 0

    async def write(self) -> None:
        self.files += 1
        # Recent, so that the publisher does not leave them out as too old for the streams.
        facts = uploaded("t:ls_a", self.files, at=START + timedelta(days=36500))
        facts = at_positions(facts, await self.store.append(facts))
        if random.random() < 0.5:
            await self.store.append([deleted(facts)])

    async def log(self) -> list[tuple[str, str]]:
        """What there is to be told, in the order of the log."""
        await settled(self.pool)
        async with self.pool.connection() as one:
            rows = await (
                await one.execute(
                    "SELECT type, stream FROM events WHERE type IN"
                    " ('media_file.upload_completed.v1', 'media_file.file_deleted.v2')"
                    " ORDER BY position"
                )
            ).fetchall()
        names = {"upload_completed": "media.uploaded", "file_deleted": "media.deleted"}
        return [(names[type_.split(".")[1]], stream) for type_, stream in rows]


@pytest.fixture
async def internal(worker_settings: Settings) -> AsyncIterator[Settings]:
    """The internal app as a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = msgspec.structs.replace(worker_settings, internal_port=port)
    async with process("api.internal_app", settings):
        yield settings


@pytest.fixture
async def writer(worker_settings: Settings) -> AsyncIterator[Writer]:
    async with patient_pool(worker_settings) as pool:
        yield Writer(pool)


async def test_killed_again_and_again_it_lets_each_event_take_effect_once_and_in_order(
    internal: Settings, writer: Writer, tmp_path: Path
) -> None:
    subscriber = Subscriber(tmp_path / "events.db", internal)
    async with running(internal, publisher.main):
        enough = asyncio.Event()
        writing = asyncio.create_task(_keep_writing(writer, enough))
        try:
            for _ in range(4):
                seen = len(subscriber.journal())
                async with subscriber.process() as child:
                    await until(lambda seen=seen: _grown(subscriber, seen))  # type: ignore[misc]
                    child.kill()
        finally:
            enough.set()
            await writing
        await _ends_complete(subscriber, writer)


async def test_what_redis_lost_and_what_was_trimmed_comes_from_the_log(
    internal: Settings, writer: Writer, tmp_path: Path
) -> None:
    subscriber = Subscriber(tmp_path / "events.db", internal)
    short = msgspec.structs.replace(internal, events_stream_length=5)
    async with (
        redis.asyncio.Redis.from_url(internal.redis_url) as client,
        running(short, publisher.main),
    ):
        for _ in range(10):
            await writer.write()
        async with subscriber.process() as child:
            await until(lambda: _all_seen(subscriber, writer))
            child.kill()
        for _ in range(20):
            await writer.write()
        await until(lambda: _trimmed(client, internal, 5))
        async with subscriber.process():
            await until(lambda: _all_seen(subscriber, writer))
            await client.flushdb()
            for _ in range(10):
                await writer.write()
            await until(lambda: _all_seen(subscriber, writer))
    await _ends_complete(subscriber, writer)


async def test_its_own_database_from_a_backup_is_brought_up_to_the_log(
    internal: Settings, writer: Writer, tmp_path: Path
) -> None:
    subscriber = Subscriber(tmp_path / "events.db", internal)
    async with running(internal, publisher.main):
        await writer.write()
        async with subscriber.process() as child:
            await until(lambda: _all_seen(subscriber, writer))
            child.terminate()
            assert await child.wait() == 0
        backup = (tmp_path / "events.db").read_bytes()
        for _ in range(5):
            await writer.write()
        async with subscriber.process() as child:
            await until(lambda: _all_seen(subscriber, writer))
            child.terminate()
            assert await child.wait() == 0
        (tmp_path / "events.db").write_bytes(backup)
        await _ends_complete(subscriber, writer)


async def _keep_writing(writer: Writer, enough: asyncio.Event) -> None:
    while not enough.is_set():
        await writer.write()
        await asyncio.sleep(0.005)


async def _grown(subscriber: Subscriber, seen: int) -> bool:
    return len(subscriber.journal()) > seen + 20


async def _all_seen(subscriber: Subscriber, writer: Writer) -> bool:
    return len(subscriber.journal()) == len(await writer.log())


async def _trimmed(client: redis.asyncio.Redis, settings: Settings, longest: int) -> bool:
    return int(await client.xlen(f"{settings.redis_namespace}:events")) <= longest


async def _ends_complete(subscriber: Subscriber, writer: Writer) -> None:
    async with subscriber.process():
        await until(lambda: _all_seen(subscriber, writer))
    journal, log = subscriber.journal(), await writer.log()
    assert len({id_ for _, _, id_ in journal}) == len(journal)
    assert [(type_, subject) for type_, subject, _ in journal] == log
    by_file: dict[str, list[str]] = defaultdict(list)
    for type_, subject, _ in journal:
        by_file[subject].append(type_)
    assert set(map(tuple, by_file.values())) <= {
        ("media.uploaded",),
        ("media.uploaded", "media.deleted"),
    }
    alive = {subject for subject, types in by_file.items() if len(types) == 1}
    assert subscriber.library() == alive

"""The fetch of an ingest, disturbed at the moments that matter."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from adapters.content_inspector import MagicContentInspector
from adapters.guarded_http import FetchLimits, GuardedFetcher
from adapters.postgres_ingest_sources import PostgresIngestSources
from adapters.runtime import Runtime
from adapters.system import utc_now
from application.ingest import Ingest, IngestUrl
from application.source_receiver import SourceReceiver
from application.uploads import VerificationPending
from domain.errors import ObjectStoreUnavailable, SourceUnavailable, UploadExpired
from domain.media_file import MediaFile, Status
from domain.media_type import MEBIBYTE
from tests.kit.faults import FaultyObjectStore
from tests.kit.http_source import HttpSource, http_source, response
from tests.kit.library import PNG, Library
from tests.workers.processes import catch_up
from workers.work_list import ReadModelWorkList

HURRY = FetchLimits(total_seconds=2, silence_seconds=1)
FETCHED = ["ingest_requested", "upload_requested", "verification_deferred"]


@pytest.fixture
async def source() -> AsyncIterator[HttpSource]:
    async with http_source() as source:
        source.answers["/a.png"] = response(PNG, headers=[("Content-Type", "image/png")])
        yield source


@pytest.fixture
def objects(jobs: Runtime) -> FaultyObjectStore:
    return FaultyObjectStore(jobs.objects)


def ingest_over(jobs: Runtime, objects: FaultyObjectStore, fetcher: GuardedFetcher) -> Ingest:
    return Ingest(
        jobs.media,
        objects,
        receiver=SourceReceiver(fetcher, MagicContentInspector(), jobs.settings.upload_rules),
        sources=PostgresIngestSources(jobs.pool),
        identities=jobs.identities,
        rules=jobs.settings.upload_rules,
        pending_lifetime=jobs.settings.pending_lifetime,
        clock=utc_now,
    )


@pytest.fixture
def ingest(jobs: Runtime, objects: FaultyObjectStore, source: HttpSource) -> Ingest:
    """The ingest of the job workers over an object store that a test can disturb."""
    return ingest_over(jobs, objects, GuardedFetcher(permitted=frozenset({source.pair})))


@pytest.fixture
def impatient(jobs: Runtime, objects: FaultyObjectStore, source: HttpSource) -> Ingest:
    fetcher = GuardedFetcher(permitted=frozenset({source.pair}), limits=HURRY)
    return ingest_over(jobs, objects, fetcher)


class Begin:
    """Begins ingests that nobody waits for."""

    def __init__(self, ingest: Ingest, library: Library, source: HttpSource) -> None:
        self._ingest = ingest
        self._library = library
        self._source = source

    async def __call__(self, path: str = "/a.png", *, age: timedelta = timedelta(0)) -> str:
        command = IngestUrl(url=self._source.url(path), service_code="blog")
        context = self._library.context(at=utc_now() - age)
        try:
            pending = await self._ingest.ingest_url(command, context, wait_seconds=0)
        except UploadExpired as late:
            return str(late.details["mediaId"])
        assert isinstance(pending, VerificationPending)
        return pending.media_id


@pytest.fixture
def begin(ingest: Ingest, library: Library, source: HttpSource) -> Begin:
    return Begin(ingest, library, source)


async def loaded(library: Library, media_id: str) -> MediaFile:
    file = (await library.runtime.media.load(media_id)).file(media_id)
    assert file is not None
    return file


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.1)


async def silence(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    await writer.drain()
    await asyncio.Event().wait()


@pytest.mark.parametrize("answer", [drip, silence])
async def test_a_source_that_takes_for_ever_is_given_up_in_time(
    begin: Begin, impatient: Ingest, library: Library, source: HttpSource, answer: object
) -> None:
    source.answers["/slow.png"] = answer  # type: ignore[assignment]
    media_id = await begin("/slow.png")
    async with asyncio.timeout(60):
        file = await impatient.fetch_source(media_id, library.system())
    assert file is not None
    assert (file.rejection_code, file.rejection) == (
        "SOURCE_UNAVAILABLE",
        "The source takes too long.",
    )


async def test_a_large_source_is_never_held_in_memory(
    begin: Begin, ingest: Ingest, library: Library, source: HttpSource
) -> None:
    size = 9 * MEBIBYTE

    async def large(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + PNG)
        left = size - len(PNG)
        while left:
            writer.write(b"\0" * min(left, 65_536))
            left -= min(left, 65_536)
            await writer.drain()

    source.answers["/large.png"] = large
    # What is loaded once, at the first use.
    await ingest.fetch_source(await begin(), library.system())
    media_id = await begin("/large.png")
    tracemalloc.start()
    try:
        file = await ingest.fetch_source(media_id, library.system())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert file is not None
    assert file.file_size == size
    stored = await library.runtime.objects.head("incoming", file.key)
    assert stored is not None
    assert (stored.size, stored.content_type) == (size, "image/png")
    assert peak < 5 * MEBIBYTE


async def test_a_fetch_that_runs_again_fetches_nothing(
    begin: Begin, ingest: Ingest, library: Library, source: HttpSource
) -> None:
    media_id = await begin()
    for _ in range(3):
        await ingest.fetch_source(media_id, library.system())
    assert await library.events(media_id) == FETCHED
    assert len(source.requests) == 1


async def test_of_two_fetches_at_once_one_is_recorded(
    begin: Begin, ingest: Ingest, library: Library, jobs: Runtime
) -> None:
    media_id = await begin()
    await asyncio.gather(*(ingest.fetch_source(media_id, library.system()) for _ in range(5)))
    assert await library.events(media_id) == FETCHED
    await jobs.uploads.verify_upload(media_id, library.system())
    assert (await loaded(library, media_id)).status is Status.UPLOADED


async def test_a_crash_between_the_bytes_and_the_event_costs_only_another_fetch(
    begin: Begin, ingest: Ingest, library: Library, jobs: Runtime, objects: FaultyObjectStore
) -> None:
    media_id = await begin()

    async def crash() -> None:
        raise KeyboardInterrupt

    objects.after_write_file = crash
    with pytest.raises(KeyboardInterrupt):
        await ingest.fetch_source(media_id, library.system())
    assert await library.events(media_id) == ["ingest_requested"]
    await ingest.fetch_source(media_id, library.system())
    await jobs.uploads.verify_upload(media_id, library.system())
    assert await library.events(media_id) == [*FETCHED, "upload_completed"]


async def test_a_crash_before_the_url_is_forgotten_leaves_it_to_the_next_run(
    begin: Begin, ingest: Ingest, library: Library, jobs: Runtime
) -> None:
    media_id = await begin()
    sources = PostgresIngestSources(jobs.pool)
    url = await sources.url_of("t:ls_abc123", media_id)
    await ingest.fetch_source(media_id, library.system())
    async with jobs.pool.connection() as connection:
        await connection.execute(
            "INSERT INTO ingest_sources VALUES ('t:ls_abc123', %s, %s, now())", (media_id, url)
        )
    await ingest.fetch_source(media_id, library.system())
    assert await sources.url_of("t:ls_abc123", media_id) is None


async def test_an_ingest_cancelled_while_its_bytes_are_stored_leaves_none(
    begin: Begin,
    ingest: Ingest,
    library: Library,
    objects: FaultyObjectStore,
) -> None:
    media_id = await begin()
    deletion = library.runtime.deletion

    async def cancel() -> None:
        await deletion.delete_file(media_id, library.context())

    objects.after_write_file = cancel
    await ingest.fetch_source(media_id, library.system())
    assert await library.events(media_id) == ["ingest_requested", "ingest_cancelled"]
    later = utc_now() + timedelta(minutes=1)
    left = [key async for key in library.runtime.objects.list_older_than("incoming", later)]
    assert [key for key in left if media_id.removeprefix("media_") in key] == []


async def test_with_the_object_store_away_the_ingest_stays_pending(
    begin: Begin, ingest: Ingest, library: Library, objects: FaultyObjectStore
) -> None:
    media_id = await begin()
    objects.away = True
    with pytest.raises(ObjectStoreUnavailable):
        await ingest.fetch_source(media_id, library.system())
    assert await library.events(media_id) == ["ingest_requested"]
    objects.away = False
    await ingest.fetch_source(media_id, library.system())
    assert await library.events(media_id) == FETCHED


async def test_the_sweep_ends_what_nobody_fetched_and_forgets_its_url(
    begin: Begin, ingest: Ingest, library: Library, jobs: Runtime
) -> None:
    stuck, fresh = await begin(age=timedelta(hours=26)), await begin()
    await catch_up(jobs.pool)
    await jobs.upkeep.sweep_uploads(ReadModelWorkList(jobs.pool), library.system())
    await ingest.forget_old_sources(library.system())
    assert await library.events(stuck) == ["ingest_requested", "ingest_failed"]
    assert (await loaded(library, stuck)).status is Status.EXPIRED
    assert (await loaded(library, fresh)).awaits_source
    sources = PostgresIngestSources(jobs.pool)
    assert await sources.url_of("t:ls_abc123", stuck) is None
    assert await sources.url_of("t:ls_abc123", fresh) is not None


async def test_an_ingest_whose_time_is_over_is_not_fetched_any_more(
    begin: Begin, ingest: Ingest, library: Library, source: HttpSource
) -> None:
    media_id = await begin(age=timedelta(hours=25))
    await ingest.fetch_source(media_id, library.system())
    assert source.requests == []
    assert (await loaded(library, media_id)).status is Status.EXPIRED


async def test_an_ingest_without_its_url_fails(
    begin: Begin, ingest: Ingest, library: Library, jobs: Runtime
) -> None:
    media_id = await begin()
    await PostgresIngestSources(jobs.pool).forget("t:ls_abc123", media_id)
    await ingest.fetch_source(media_id, library.system())
    with pytest.raises(SourceUnavailable):
        (await loaded(library, media_id)).check_completable(
            at=utc_now(), pending_lifetime=jobs.settings.pending_lifetime
        )


async def test_a_fetch_of_what_was_never_asked_for_does_nothing(
    ingest: Ingest, library: Library
) -> None:
    assert await ingest.fetch_source("media_0000000000000000", library.system()) is None

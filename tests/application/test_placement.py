"""The bytes stand where the log says, whatever runs late, twice, out of order or not at all."""

import asyncio
from datetime import timedelta

import pytest

from adapters.postgres_file_locks import PostgresFileLocks
from adapters.runtime import Runtime
from adapters.system import utc_now
from application.bin import ChangeFile
from application.placement import BytesMissing, Placement
from application.ports import StreamChanged
from application.uploads import CompleteUpload
from domain.errors import MediaNotFound, ObjectStoreUnavailable
from domain.media_file import MediaFile
from tests.kit.faults import FaultyObjectStore
from tests.kit.library import PNG, Library, uploads_over

LATER = timedelta(minutes=5)


@pytest.fixture
def placement(library: Library, objects: FaultyObjectStore) -> Placement:
    """The jobs' side over an object store that a test can disturb."""
    runtime = library.runtime
    return Placement(runtime.media, objects, PostgresFileLocks(runtime.pool, at_once=2))


async def place(library: Library, file: MediaFile, *, after: timedelta = timedelta(0)) -> None:
    await library.runtime.placement.place_objects(file.id, library.system(utc_now() + after))


async def restore(library: Library, file: MediaFile) -> None:
    await library.runtime.bin.restore_file(file.id, library.context())


async def body(library: Library, bucket: str, file: MediaFile) -> bytes:
    objects = library.runtime.objects
    standing = await objects.head(bucket, file.key)  # type: ignore[arg-type]
    assert standing is not None
    parts = [
        part
        async for part in objects.stream(bucket, file.key, etag=standing.etag)  # type: ignore[arg-type]
    ]
    return b"".join(parts)


async def test_a_deleted_file_is_only_in_the_private_bucket_and_comes_back_as_it_was(
    library: Library,
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    await place(library, file)
    assert await library.places(file) - {"incoming"} == {"private"}
    assert await library.has(file.id, "objects_placed")
    await restore(library, file)
    await place(library, file)
    assert await body(library, "public", file) == PNG
    assert await library.runtime.placement.wait([file], seconds=0) == []


async def test_the_headers_of_a_restored_object_are_those_it_had(library: Library) -> None:
    file = await library.uploaded()
    before = await library.runtime.objects.head("public", file.key)
    await library.delete(file)
    await place(library, file)
    await restore(library, file)
    await place(library, file)
    assert await library.runtime.objects.head("public", file.key) == before


async def test_a_private_file_stays_where_it_is(library: Library) -> None:
    file = await library.uploaded()
    hide = ChangeFile(is_public=False)
    hidden = await library.runtime.bin.change_file(file.id, hide, library.context())
    await place(library, file)
    assert await library.places(file) - {"incoming"} == {"private"}
    await library.delete(hidden)
    await place(library, file, after=LATER)
    await restore(library, file)
    await place(library, file, after=LATER)
    assert await library.places(file) - {"incoming"} == {"private"}
    show = ChangeFile(is_public=True)
    await library.runtime.bin.change_file(file.id, show, library.context())
    await place(library, file)
    assert await body(library, "public", file) == PNG


async def test_jobs_that_come_late_twice_and_out_of_order_leave_what_the_log_says(
    library: Library,
) -> None:
    file = await library.uploaded()
    for _ in range(3):
        await library.delete(file)
        await restore(library, file)
    await asyncio.gather(*(place(library, file) for _ in range(8)))
    assert await body(library, "public", file) == PNG
    await library.delete(file)
    await asyncio.gather(*(place(library, file) for _ in range(8)))
    assert await library.places(file) - {"incoming"} == {"private"}


async def test_a_restore_while_the_bytes_go_into_the_bin_wins(
    library: Library, placement: Placement, objects: FaultyObjectStore
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    restoring: list[asyncio.Task[None]] = []

    async def meanwhile() -> None:
        """Its job waits for the lock of the file."""
        await restore(library, file)
        restoring.append(asyncio.create_task(place(library, file)))
        await asyncio.sleep(0.2)

    objects.before_delete = meanwhile
    with pytest.raises(StreamChanged):  # at which the job looks again
        await placement.place_objects(file.id, library.system())
    await asyncio.gather(*restoring)
    assert await body(library, "public", file) == PNG


async def test_a_crash_between_the_copy_and_the_removal_loses_nothing(
    library: Library, placement: Placement, objects: FaultyObjectStore
) -> None:
    class Killed(BaseException):
        pass

    async def die() -> None:
        raise Killed

    file = await library.uploaded()
    await library.delete(file)
    objects.before_delete = die
    with pytest.raises(Killed):
        await placement.place_objects(file.id, library.system())
    assert await library.places(file) - {"incoming"} == {"public", "private"}
    await place(library, file)
    assert await library.places(file) - {"incoming"} == {"private"}


async def test_a_second_slow_complete_does_not_bring_a_binned_file_back_into_the_public(
    library: Library, objects: FaultyObjectStore
) -> None:
    file = await library.stored(at=utc_now())

    async def meanwhile() -> None:
        await library.runtime.uploads.complete_upload(
            CompleteUpload(media_id=file.id), library.context()
        )
        await library.delete(file)
        await place(library, file)
        assert "public" not in await library.places(file)

    objects.before_copy = meanwhile
    with pytest.raises(MediaNotFound):
        await uploads_over(objects, library.runtime).complete_upload(
            CompleteUpload(media_id=file.id), library.context()
        )
    assert await library.places(file) - {"incoming"} == {"private"}
    # Another might come: that is why nothing was recorded yet.
    assert not await library.has(file.id, "objects_placed")
    await place(library, file, after=LATER)
    assert await library.has(file.id, "objects_placed")


async def test_other_bytes_in_the_public_bucket_are_not_taken_for_the_restored_ones(
    library: Library,
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    await place(library, file)
    await library.put("public", file.key, PNG + b"other")
    await restore(library, file)
    await place(library, file)
    assert await body(library, "public", file) == PNG


async def test_while_the_store_is_away_the_move_waits_and_an_operator_sees_it(
    library: Library, placement: Placement, objects: FaultyObjectStore
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    objects.away = True
    with pytest.raises(ObjectStoreUnavailable):
        await placement.place_objects(file.id, library.system())
    for _ in range(2):
        await placement.give_up(file.id, "away", library.system())
    assert (await library.events(file.id))[-1] == "placement_failed"
    assert (await library.events(file.id)).count("placement_failed") == 1
    objects.away = False
    await placement.place_objects(file.id, library.system())
    assert (await library.events(file.id))[-1] == "objects_placed"
    assert await library.places(file) - {"incoming"} == {"private"}


async def test_what_the_private_bucket_does_not_take_is_not_left_in_the_public_one(
    library: Library, placement: Placement, objects: FaultyObjectStore, jobs: Runtime
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    objects.refusing = {"private"}
    with pytest.raises(ObjectStoreUnavailable):
        await placement.place_objects(file.id, library.system())
    await placement.give_up(file.id, "refused", library.system())
    assert (await library.events(file.id))[-2:] == ["placement_failed", "file_purge_requested"]
    await jobs.deletion.purge_objects(file.id, library.system())
    assert await library.places(file) == set()
    with pytest.raises(MediaNotFound):
        await restore(library, file)


async def test_a_copy_that_is_there_is_kept_however_often_the_removal_fails(
    library: Library, placement: Placement, objects: FaultyObjectStore
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    await library.put("private", file.key, PNG)
    objects.refusing = {"public"}
    await placement.give_up(file.id, "refused", library.system())
    assert (await library.events(file.id))[-1] == "placement_failed"


async def test_bytes_that_are_nowhere_are_said_to_be(library: Library) -> None:
    file = await library.uploaded()
    await library.runtime.objects.delete("public", [file.key])
    await library.delete(file)
    with pytest.raises(BytesMissing):
        await place(library, file)


async def test_a_purge_out_of_the_bin_removes_every_copy(library: Library, jobs: Runtime) -> None:
    file = await library.uploaded()
    await library.delete(file)
    await place(library, file)
    await library.runtime.bin.purge_file(file.id, library.context())
    await jobs.deletion.purge_objects(file.id, library.system(utc_now() + LATER))
    assert await library.places(file) == set()
    assert (await library.events(file.id))[-1] == "objects_purged"
    # A placement that comes late finds nothing to do.
    await place(library, file)
    assert await library.places(file) == set()

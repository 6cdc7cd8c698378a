import asyncio
from datetime import timedelta

import msgspec
import pytest

from adapters.runtime import Runtime
from adapters.system import utc_now
from application.context import Idempotency
from application.deletion import BulkDelete, BulkDeleted, Deletion
from application.uploads import CompleteUpload
from domain.errors import (
    IdempotencyConflict,
    MediaError,
    MediaNotFound,
    ObjectStoreUnavailable,
    OwnershipDenied,
)
from tests.kit.faults import FaultyObjectStore
from tests.kit.library import Library


async def test_a_deleted_file_cannot_be_deleted_again(library: Library) -> None:
    file = await library.uploaded()
    await library.delete(file)
    with pytest.raises(MediaNotFound):
        await library.delete(file)
    assert (await library.events(file.id)).count("file_deleted") == 1


async def test_ten_deletes_at_once_delete_once(library: Library) -> None:
    file = await library.uploaded()
    answers = await asyncio.gather(
        *(library.delete(file) for _ in range(10)), return_exceptions=True
    )
    assert sum(answer is None for answer in answers) == 1
    assert all(answer is None or isinstance(answer, MediaNotFound) for answer in answers)


async def test_deleting_a_pending_upload_cancels_it(library: Library) -> None:
    pending = await library.stored()
    await library.delete(pending)
    assert await library.events(pending.id) == ["upload_requested", "upload_cancelled"]


async def test_only_the_workspace_or_the_uploader_may_delete(library: Library) -> None:
    file = await library.uploaded()
    delete = library.runtime.deletion.delete_file
    with pytest.raises(OwnershipDenied):
        await delete(file.id, library.context("ls_other", user="user_other"))
    await delete(file.id, library.context("ls_other", user="user_789"))


async def test_a_bulk_delete_says_of_each_file_what_became_of_it(library: Library) -> None:
    mine = [await library.uploaded() for _ in range(2)]
    theirs = await library.uploaded(tenant="ls_other")
    stranger = library.context(user="user_else")
    ids = [mine[0].id, theirs.id, "media_unknown", mine[1].id, mine[0].id]
    written = await library.runtime.deletion.bulk_delete(BulkDelete(ids=ids), stranger)
    answer = msgspec.json.decode(written.body, type=BulkDeleted)
    assert answer.deleted == [mine[0].id, mine[1].id]
    assert [(one.id, one.code) for one in answer.failed] == [
        (theirs.id, "OWNERSHIP_DENIED"),
        ("media_unknown", "MEDIA_NOT_FOUND"),
    ]
    assert written.position > 0
    assert await library.events(theirs.id) == ["upload_requested", "upload_completed"]


async def test_a_repeated_delete_with_a_key_gives_the_first_answer(library: Library) -> None:
    file = await library.uploaded()
    key = Idempotency("key-1", f"DELETE /files/{file.id}", "fingerprint")
    delete = library.runtime.deletion.delete_file
    first = await delete(file.id, library.context(idempotency=key))
    again = await delete(file.id, library.context(idempotency=key))
    assert (again.body, again.position) == (first.body, first.position)
    other = msgspec.structs.replace(key, fingerprint="other")
    with pytest.raises(IdempotencyConflict):
        await delete(file.id, library.context(idempotency=other))


async def test_a_purge_is_final_only_when_nothing_can_write_any_more(
    library: Library, jobs: Runtime
) -> None:
    file = await library.uploaded(at=utc_now())
    await library.delete_for_good(file)
    await jobs.deletion.purge_objects(file.id, library.system())
    assert await library.places(file) == set()
    assert not await library.has(file.id, "objects_purged")
    later = library.system(utc_now() + timedelta(minutes=3))
    await jobs.deletion.purge_objects(file.id, later)
    await jobs.deletion.purge_objects(file.id, later)
    assert (await library.events(file.id)).count("objects_purged") == 1


async def test_a_living_file_is_never_purged(library: Library, jobs: Runtime) -> None:
    file = await library.uploaded()
    await jobs.deletion.purge_objects(file.id, library.system())
    assert "public" in await library.places(file)


async def test_a_failed_purge_is_recorded_once_and_can_be_asked_for_again(
    library: Library, jobs: Runtime, deletion: Deletion, objects: FaultyObjectStore
) -> None:
    file = await library.uploaded()
    await library.delete_for_good(file)
    objects.away = True
    with pytest.raises(ObjectStoreUnavailable):
        await deletion.purge_objects(file.id, library.system())
    for _ in range(2):
        await jobs.deletion.record_purge_failure(file.id, "away", library.system())
    assert (await library.events(file.id)).count("purge_failed") == 1
    assert await jobs.deletion.retry_purge(file.id, library.system())
    assert not await jobs.deletion.retry_purge(file.id, library.system())
    await jobs.deletion.purge_objects(file.id, library.system())
    assert (await library.events(file.id))[-3:] == [
        "purge_failed",
        "purge_retried",
        "objects_purged",
    ]


@pytest.mark.parametrize("order", range(6))
async def test_complete_delete_and_sweep_agree_in_every_order(
    library: Library, jobs: Runtime, order: int
) -> None:
    """Whoever comes first decides; afterwards the log is one consistent life."""
    at = utc_now() - timedelta(hours=24, seconds=-30)
    pending = await library.stored(at=at)
    overdue = library.system(at + timedelta(hours=24))

    async def complete() -> None:
        await library.runtime.uploads.complete_upload(
            CompleteUpload(media_id=pending.id), library.context(at=at + timedelta(hours=23))
        )

    async def delete() -> None:
        await library.delete(pending)

    async def expire() -> None:
        await jobs.upkeep._decide_all(
            [pending.id],
            overdue,
            lambda file: file.expire(at=overdue.at, pending_lifetime=timedelta(hours=24)),
        )

    orders = [
        (complete, delete, expire),
        (complete, expire, delete),
        (delete, complete, expire),
        (delete, expire, complete),
        (expire, complete, delete),
        (expire, delete, complete),
    ]
    outcomes = await asyncio.gather(*(act() for act in orders[order]), return_exceptions=True)
    for outcome in outcomes:
        assert outcome is None or isinstance(outcome, MediaError), outcome
    assert tuple(await library.events(pending.id)) in {
        ("upload_requested", "upload_completed"),
        ("upload_requested", "upload_completed", "file_deleted"),
        ("upload_requested", "upload_cancelled"),
        ("upload_requested", "upload_expired"),
    }

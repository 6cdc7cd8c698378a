import asyncio
import hashlib
from datetime import timedelta

import msgspec
import pytest

from adapters.runtime import Runtime
from adapters.system import utc_now
from application.context import Context, Idempotency
from application.deletion import BulkDelete, Deletion
from application.uploads import CompleteUpload, RequestUpload, Uploads, VerificationPending
from domain.errors import (
    FileTooLarge,
    IdempotencyConflict,
    InvalidField,
    MediaNotFound,
    ObjectStoreUnavailable,
    OwnershipDenied,
    TenantRemoved,
    UnsupportedMime,
    UploadExpired,
    UploadIncomplete,
    UploadMismatch,
)
from domain.media_file import MediaFile, Status
from tests.kit.faults import FaultyObjectStore
from tests.kit.library import PNG, Library, uploads_over

A_PNG = RequestUpload(
    file_name="hero.png", content_type="image/png", file_size=len(PNG), service_code="blog"
)


def changed(**fields: object) -> RequestUpload:
    return msgspec.structs.replace(A_PNG, **fields)


def complete(file: MediaFile) -> CompleteUpload:
    return CompleteUpload(media_id=file.id)


async def test_an_upload_is_requested_stored_and_completed(library: Library) -> None:
    pending = await library.stored()
    assert pending.status is Status.PENDING
    assert pending.key.startswith("ls_abc123/blog/")
    completed = await library.runtime.uploads.complete_upload(
        complete(pending), library.context(at=pending.created_at)
    )
    assert isinstance(completed, MediaFile)
    assert completed.status is Status.UPLOADED
    assert "public" in await library.places(pending)
    assert await library.events(pending.id) == ["upload_requested", "upload_completed"]


async def test_a_private_file_never_stands_in_the_public_bucket(library: Library) -> None:
    uploads = library.runtime.uploads
    upload = await uploads.request_upload(changed(is_public=False), library.context())
    await library.put("incoming", upload.file.key)
    await uploads.complete_upload(complete(upload.file), library.context())
    assert await library.places(upload.file) == {"incoming", "private"}


async def test_without_a_tenant_a_file_is_personal(library: Library) -> None:
    upload = await library.runtime.uploads.request_upload(A_PNG, library.context(None))
    assert upload.file.owner == "u:user_789"
    assert upload.file.key.startswith("users/user_789/")


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (changed(file_name="a\nb.png"), InvalidField),
        (changed(file_name=""), InvalidField),
        (changed(file_name="a" * 256), InvalidField),
        (changed(file_size=0), InvalidField),
        (changed(file_size=11 * 1024 * 1024), FileTooLarge),
        (changed(content_type="text/html"), UnsupportedMime),
        (changed(service_code="nobody"), InvalidField),
        (changed(sha256="12"), InvalidField),
    ],
)
async def test_what_is_not_accepted_leaves_no_event(
    library: Library, command: RequestUpload, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        await library.runtime.uploads.request_upload(command, library.context())


async def test_a_file_name_never_becomes_part_of_the_key(library: Library) -> None:
    command = changed(file_name="../../../etc/passwd\u202e.png")
    upload = await library.runtime.uploads.request_upload(command, library.context())
    assert upload.file.file_name == "../../../etc/passwd\u202e.png"
    assert "passwd" not in upload.file.key
    assert ".." not in upload.file.key


async def test_a_repeated_request_gives_the_same_file_and_url(library: Library) -> None:
    uploads, at = library.runtime.uploads, utc_now()
    key = Idempotency("key-1", "POST /upload/presign", "fingerprint")
    first = await uploads.request_upload(A_PNG, library.context(at=at, idempotency=key))
    later = library.context(at=at + timedelta(minutes=5), idempotency=key)
    again = await uploads.request_upload(A_PNG, later)
    assert again.file.id == first.file.id
    assert again.request.url == first.request.url
    other_body = library.context(
        at=at, idempotency=msgspec.structs.replace(key, fingerprint="other")
    )
    with pytest.raises(IdempotencyConflict):
        await uploads.request_upload(A_PNG, other_body)


async def test_twenty_equal_requests_at_once_make_one_file(library: Library) -> None:
    uploads, at = library.runtime.uploads, utc_now()
    key = Idempotency("key-2", "POST /upload/presign", "fingerprint")
    answers = await asyncio.gather(
        *(uploads.request_upload(A_PNG, library.context(at=at, idempotency=key)) for _ in range(20))
    )
    assert len({(answer.file.id, answer.request.url) for answer in answers}) == 1


async def test_twenty_equal_requests_under_an_outworn_key_make_one_file(library: Library) -> None:
    uploads, at = library.runtime.uploads, utc_now()
    key = Idempotency("key-3", "POST /upload/presign", "fingerprint")
    yesterday = library.context(at=at - timedelta(hours=25), idempotency=key)
    outworn = await uploads.request_upload(A_PNG, yesterday)
    answers = await asyncio.gather(
        *(uploads.request_upload(A_PNG, library.context(at=at, idempotency=key)) for _ in range(20))
    )
    assert len({(answer.file.id, answer.request.url) for answer in answers}) == 1
    assert answers[0].file.id != outworn.file.id


async def test_fifty_completes_at_once_record_one_event_and_get_equal_answers(
    library: Library,
) -> None:
    pending = await library.stored(at=utc_now())
    answers = await asyncio.gather(
        *(
            library.runtime.uploads.complete_upload(complete(pending), library.context())
            for _ in range(50)
        )
    )
    assert len({msgspec.json.encode(answer) for answer in answers}) == 1
    assert await library.events(pending.id) == ["upload_requested", "upload_completed"]


async def test_completing_before_the_bytes_are_there_is_too_early_then_too_late(
    library: Library,
) -> None:
    upload = await library.runtime.uploads.request_upload(A_PNG, library.context())
    with pytest.raises(UploadIncomplete):
        await library.runtime.uploads.complete_upload(complete(upload.file), library.context())
    for hours in (1, 24):
        later = library.context(at=upload.file.created_at + timedelta(hours=hours))
        with pytest.raises(UploadExpired):
            await library.runtime.uploads.complete_upload(complete(upload.file), later)


@pytest.mark.parametrize(
    ("command", "body", "reason"),
    [
        (changed(file_size=len(PNG) + 1), PNG, "size"),
        (changed(content_type="image/webp"), PNG, "type"),
        (A_PNG, b"<html><script>alert(1)</script>".ljust(len(PNG)), "content"),
        (changed(sha256=hashlib.sha256(b"other").hexdigest()), PNG, "sha256"),
    ],
)
async def test_bytes_that_are_not_what_was_declared_are_rejected_for_good(
    library: Library, command: RequestUpload, body: bytes, reason: str
) -> None:
    uploads = library.runtime.uploads
    upload = await uploads.request_upload(command, library.context())
    await library.put("incoming", upload.file.key, body)
    for _ in range(2):
        with pytest.raises(UploadMismatch):
            await uploads.complete_upload(complete(upload.file), library.context())
    histories = await library.runtime.media.load(upload.file.id)
    assert getattr(histories.streams[upload.file.id][-1].event, "reason", None) == reason
    assert len(histories.streams[upload.file.id]) == 2
    assert "public" not in await library.places(upload.file)


async def test_another_workspace_cannot_complete_or_ask(library: Library) -> None:
    pending = await library.stored()
    stranger = library.context("ls_other", user="user_other")
    with pytest.raises(OwnershipDenied):
        await library.runtime.uploads.complete_upload(complete(pending), stranger)
    with pytest.raises(MediaNotFound):
        await library.runtime.uploads.upload_status(pending.id, stranger)


async def test_with_the_object_store_away_an_upload_stays_pending(
    library: Library, uploads: Uploads, objects: FaultyObjectStore
) -> None:
    pending = await library.stored(at=utc_now())
    objects.away = True
    with pytest.raises(ObjectStoreUnavailable):
        await uploads.complete_upload(complete(pending), library.context())
    objects.away = False
    assert await library.events(pending.id) == ["upload_requested"]
    await uploads.complete_upload(complete(pending), library.context())
    assert await library.events(pending.id) == ["upload_requested", "upload_completed"]


async def test_a_file_deleted_while_it_is_verified_leaves_nothing_to_be_served(
    library: Library, uploads: Uploads, deletion: Deletion, objects: FaultyObjectStore
) -> None:
    pending = await library.stored(at=utc_now())

    async def delete() -> None:
        await deletion.delete_file(pending.id, library.context())

    objects.before_copy = delete
    with pytest.raises(MediaNotFound):
        await uploads.complete_upload(complete(pending), library.context())
    assert await library.events(pending.id) == ["upload_requested", "upload_cancelled"]
    assert "public" not in await library.places(pending)


async def test_bytes_that_change_while_they_are_verified_are_verified_again(
    library: Library, uploads: Uploads, objects: FaultyObjectStore
) -> None:
    pending = await library.stored(at=utc_now())
    evil = b"<html><script>alert(1)</script>".ljust(len(PNG))

    async def replace() -> None:
        await library.put("incoming", pending.key, evil)

    objects.before_copy = replace
    with pytest.raises(UploadMismatch):
        await uploads.complete_upload(complete(pending), library.context())
    assert "public" not in await library.places(pending)


async def test_a_verification_that_takes_long_is_finished_by_a_worker(
    library: Library, jobs: Runtime, objects: FaultyObjectStore, uploads: Uploads
) -> None:
    uploads._complete_wait = timedelta(seconds=0.2)
    pending = await library.stored(at=utc_now())

    async def dawdle() -> None:
        await asyncio.sleep(5)

    objects.before_copy = dawdle
    answer = await uploads.complete_upload(complete(pending), library.context())
    assert isinstance(answer, VerificationPending)
    await jobs.uploads.verify_upload(pending.id, library.system())
    assert await library.events(pending.id) == [
        "upload_requested",
        "verification_deferred",
        "upload_completed",
    ]
    await jobs.uploads.verify_upload(pending.id, library.system())
    assert len(await library.events(pending.id)) == 3


async def test_a_worker_that_does_not_see_the_bytes_yet_is_to_look_again(
    library: Library, jobs: Runtime, objects: FaultyObjectStore
) -> None:
    """Taken for done, the job would not be asked for again as long as its mark lives."""
    pending = await library.stored(at=utc_now())
    uploads = uploads_over(objects, jobs)
    objects.blind = True
    with pytest.raises(UploadIncomplete):
        await uploads.verify_upload(pending.id, library.system())
    objects.blind = False
    await uploads.verify_upload(pending.id, library.system())
    assert await library.events(pending.id) == ["upload_requested", "upload_completed"]


async def test_a_removed_workspace_takes_no_more_uploads(library: Library, jobs: Runtime) -> None:
    pending = await library.stored(tenant="ls_gone")
    await jobs.upkeep.remove_tenant("ls_gone", library.system())
    with pytest.raises(TenantRemoved):
        await library.runtime.uploads.request_upload(A_PNG, library.context("ls_gone"))
    with pytest.raises(TenantRemoved):
        await library.runtime.uploads.complete_upload(complete(pending), library.context("ls_gone"))
    personal = changed(scope="user")
    with pytest.raises(TenantRemoved):
        await library.runtime.uploads.request_upload(personal, library.context("ls_gone"))


async def test_a_removed_workspace_gets_no_answer_that_was_kept_for_it(
    library: Library, jobs: Runtime
) -> None:
    uploads, deletion, tenant = library.runtime.uploads, library.runtime.deletion, "ls_kept"

    def context(key: str) -> Context:
        return library.context(tenant, idempotency=Idempotency(key, "route", "fingerprint"))

    file = await library.uploaded(tenant=tenant)
    await uploads.request_upload(A_PNG, context("presign"))
    await uploads.complete_upload(complete(file), context("complete"))
    await deletion.bulk_delete(BulkDelete(ids=[]), context("bulk"))
    await deletion.delete_file(file.id, context("delete"))
    await jobs.upkeep.remove_tenant(tenant, library.system())
    for repeat in (
        uploads.request_upload(A_PNG, context("presign")),
        uploads.complete_upload(complete(file), context("complete")),
        deletion.bulk_delete(BulkDelete(ids=[]), context("bulk")),
        deletion.delete_file(file.id, context("delete")),
    ):
        with pytest.raises(TenantRemoved):
            await repeat


async def test_a_worker_finishes_no_verification_in_a_removed_workspace(
    library: Library, jobs: Runtime
) -> None:
    pending = await library.stored(tenant="ls_gone_too", at=utc_now())
    await jobs.upkeep.remove_tenant("ls_gone_too", library.system())
    await jobs.uploads.verify_upload(pending.id, library.system())
    assert await library.events(pending.id) == ["upload_requested"]
    assert await library.places(pending) == {"incoming"}


@pytest.mark.parametrize("by", ["worker", "request"])
async def test_a_workspace_removed_while_a_file_is_verified_gets_neither_event_nor_bytes(
    library: Library, jobs: Runtime, objects: FaultyObjectStore, by: str
) -> None:
    tenant = f"ls_gone_{by}"
    pending = await library.stored(tenant=tenant, at=utc_now())
    uploads = uploads_over(objects, jobs if by == "worker" else library.runtime)

    async def remove() -> None:
        await jobs.upkeep.remove_tenant(tenant, library.system())

    objects.before_copy = remove
    if by == "worker":
        await uploads.verify_upload(pending.id, library.system())
    else:
        with pytest.raises(TenantRemoved):
            await uploads.complete_upload(complete(pending), library.context(tenant))
    assert await library.events(pending.id) == ["upload_requested"]
    assert "public" not in await library.places(pending)

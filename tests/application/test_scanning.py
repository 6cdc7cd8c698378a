"""A scanner between the upload and its release: away, slow, late, asked twice, no longer there."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from adapters.content_inspector import MagicContentInspector
from adapters.runtime import Runtime
from adapters.scanner_check import TEST_FILE
from adapters.system import utc_now
from application.ports import ObjectHeaders
from application.scan_ports import ScannerUnavailable
from application.scanning import Scanning
from application.uploads import CompleteUpload, RequestUpload, Uploads, VerificationPending
from application.verification import Verification
from domain.errors import Infected, MediaNotFound, UploadIncomplete
from domain.media_file import MediaFile, Status
from domain.scan_events import HELD_FOR_SCAN
from tests.kit.faults import FaultyObjectStore
from tests.kit.library import PNG, Library, uploads_over
from tests.kit.objects import replace
from tests.kit.samples import SVG, infected_pdf, sample
from tests.kit.scanners import FaultyScanner
from workers.work_list import ReadModelWorkList

PDF = "application/pdf"
CLEAN_TWIN = infected_pdf().replace(TEST_FILE, b"." * len(TEST_FILE))
"""Of the same length."""


@pytest.fixture
def scanner() -> FaultyScanner:
    return FaultyScanner()


@pytest.fixture
def uploads(library: Library, objects: FaultyObjectStore, scanner: FaultyScanner) -> Uploads:
    return uploads_over(objects, library.runtime, scanner=scanner)


@pytest.fixture
def worker(jobs: Runtime, objects: FaultyObjectStore, scanner: FaultyScanner) -> Uploads:
    return uploads_over(objects, jobs, scanner=scanner)


@pytest.fixture
def scanning(jobs: Runtime, objects: FaultyObjectStore, scanner: FaultyScanner) -> Scanning:
    verification = Verification(objects, MagicContentInspector(), jobs.proof, scanner)
    return Scanning(jobs.media, verification, clock=jobs.clock)


def complete(file: MediaFile) -> CompleteUpload:
    return CompleteUpload(media_id=file.id)


async def stored(library: Library, body: bytes, mime_type: str = PDF) -> MediaFile:
    """A pending upload of this type whose bytes are in incoming."""
    command = RequestUpload(
        file_name="a.file",
        content_type=mime_type,
        file_size=len(body),
        service_code="blog",
    )
    upload = await library.runtime.uploads.request_upload(command, library.context())
    await put(library, upload.file, body)
    return upload.file


async def put(library: Library, file: MediaFile, body: bytes) -> None:
    headers = ObjectHeaders(file.mime_type, "no-store", "inline")
    await replace(library.runtime.objects, "incoming", file.key, body, headers=headers)


async def test_a_clean_file_is_released_and_the_log_says_what_looked_at_it(
    library: Library, uploads: Uploads, scanner: FaultyScanner
) -> None:
    pending = await stored(library, sample(PDF))
    done = await uploads.complete_upload(complete(pending), library.context())
    assert isinstance(done, MediaFile)
    assert await library.events(pending.id) == [
        "upload_requested",
        "scan_passed",
        "upload_completed",
    ]
    assert scanner.scanned == [len(sample(PDF))]
    passed = (await library.runtime.media.load(pending.id)).streams[pending.id][1].event
    assert getattr(passed, "engine", "") == "ClamAV 1.4.3/27812"


async def test_malware_is_rejected_for_good_and_never_stands_in_public(
    library: Library, uploads: Uploads, scanner: FaultyScanner
) -> None:
    pending = await stored(library, infected_pdf())
    for _ in range(2):
        with pytest.raises(Infected, match="Eicar") as refused:
            await uploads.complete_upload(complete(pending), library.context())
        assert refused.value.code == "INFECTED"
    assert await library.events(pending.id) == ["upload_requested", "upload_rejected"]
    assert len(scanner.scanned) == 1
    assert await library.places(pending) <= {"incoming"}


@pytest.mark.parametrize("wrong", ["size", "type", "content"])
async def test_what_fails_the_cheap_checks_is_not_shown_to_the_scanner(
    library: Library, uploads: Uploads, scanner: FaultyScanner, wrong: str
) -> None:
    pending = await stored(library, sample(PDF))
    headers = ObjectHeaders("image/png" if wrong == "type" else PDF, "no-store", "inline")
    body = sample(PDF) + (b" " if wrong == "size" else b"")
    if wrong == "content":
        body = b"#!/bin/sh\n".ljust(len(body))
    await replace(library.runtime.objects, "incoming", pending.key, body, headers=headers)
    with pytest.raises(Exception, match=r"stored|Stored|bytes"):
        await uploads.complete_upload(complete(pending), library.context())
    assert (await library.events(pending.id))[-1] == "upload_rejected"
    assert scanner.scanned == []


async def test_with_the_scanner_away_a_file_waits_and_a_worker_releases_it(
    library: Library, uploads: Uploads, worker: Uploads, scanning: Scanning, scanner: FaultyScanner
) -> None:
    scanner.away = True
    pending = await stored(library, sample(PDF))
    for _ in range(2):
        answer = await uploads.complete_upload(complete(pending), library.context())
        assert isinstance(answer, VerificationPending)
        assert answer.processing == "scanning"
    assert await library.places(pending) == {"incoming"}
    with pytest.raises(ScannerUnavailable):
        await scanning.scan_upload(pending.id, library.system())
    # A verification asked for before the scan, or again after a loss, does not get past it.
    assert await worker.verify_upload(pending.id, library.system()) is None
    assert await library.events(pending.id) == ["upload_requested", "scan_requested"]
    scanner.away = False
    for _ in range(2):
        await scanning.scan_upload(pending.id, library.system())
    assert await library.places(pending) == {"incoming"}
    for _ in range(2):
        await worker.verify_upload(pending.id, library.system())
    assert await library.events(pending.id) == [
        "upload_requested",
        "scan_requested",
        "scan_passed",
        "verification_deferred",
        "upload_completed",
    ]
    assert len(scanner.scanned) == 1
    assert "public" in await library.places(pending)


async def test_a_worker_that_does_not_see_the_bytes_yet_is_to_look_again(
    library: Library,
    uploads: Uploads,
    scanning: Scanning,
    scanner: FaultyScanner,
    objects: FaultyObjectStore,
) -> None:
    """Taken for done, the scan would not be asked for again as long as its mark lives."""
    scanner.away = True
    pending = await stored(library, sample(PDF))
    await uploads.complete_upload(complete(pending), library.context())
    scanner.away = False
    objects.blind = True
    with pytest.raises(UploadIncomplete):
        await scanning.scan_upload(pending.id, library.system())
    objects.blind = False
    await scanning.scan_upload(pending.id, library.system())
    assert (await library.events(pending.id))[1:] == [
        "scan_requested",
        "scan_passed",
        "verification_deferred",
    ]


async def test_a_scan_that_finds_its_upload_cancelled_and_its_bytes_gone_is_over(
    library: Library,
    uploads: Uploads,
    scanning: Scanning,
    scanner: FaultyScanner,
    objects: FaultyObjectStore,
) -> None:
    scanner.away = True
    pending = await stored(library, sample(PDF))
    await uploads.complete_upload(complete(pending), library.context())

    async def cancel() -> None:
        await library.runtime.deletion.delete_file(pending.id, library.context())
        objects.blind = True

    scanner.away = False
    objects.before_look = cancel
    assert await scanning.scan_upload(pending.id, library.system()) is None
    assert (await library.events(pending.id))[-1] == "upload_cancelled"


async def test_malware_found_by_a_worker_is_rejected_as_in_a_request(
    library: Library, uploads: Uploads, scanning: Scanning, scanner: FaultyScanner
) -> None:
    scanner.away = True
    pending = await stored(library, infected_pdf())
    await uploads.complete_upload(complete(pending), library.context())
    scanner.away = False
    rejected = await scanning.scan_upload(pending.id, library.system())
    assert rejected is not None
    assert (rejected.status, rejected.rejection_code) == (Status.REJECTED, "INFECTED")
    with pytest.raises(Infected):
        await uploads.complete_upload(complete(pending), library.context())
    assert "public" not in await library.places(pending)


async def test_a_slow_scanner_keeps_no_request_waiting(
    library: Library, uploads: Uploads, scanner: FaultyScanner
) -> None:
    uploads._complete_wait = timedelta(seconds=5)
    scanner.seconds = 120
    pending = await stored(library, sample(PDF))
    async with asyncio.timeout(60):
        answer = await uploads.complete_upload(complete(pending), library.context())
    assert isinstance(answer, VerificationPending)
    assert answer.processing == "scanning"


async def test_a_failed_scan_releases_nothing_until_it_passes(
    library: Library, uploads: Uploads, scanning: Scanning, scanner: FaultyScanner
) -> None:
    scanner.away = True
    pending = await stored(library, sample(PDF))
    await uploads.complete_upload(complete(pending), library.context())
    for _ in range(2):
        await scanning.fail_scan(pending.id, "away", library.system())
    answer = await uploads.complete_upload(complete(pending), library.context())
    assert isinstance(answer, VerificationPending)
    assert await library.places(pending) == {"incoming"}
    assert await scanning.retry_scan(pending.id, library.system())
    assert not await scanning.retry_scan(pending.id, library.system())
    assert await library.events(pending.id) == [
        "upload_requested",
        "scan_requested",
        "scan_failed",
        "scan_requested",
    ]


async def test_after_a_failed_scan_the_uploader_may_complete_again(
    library: Library, uploads: Uploads, scanning: Scanning, scanner: FaultyScanner
) -> None:
    scanner.away = True
    pending = await stored(library, sample(PDF))
    await uploads.complete_upload(complete(pending), library.context())
    await scanning.fail_scan(pending.id, "away", library.system())
    scanner.away = False
    done = await uploads.complete_upload(complete(pending), library.context())
    assert isinstance(done, MediaFile)
    assert (await library.events(pending.id))[-2:] == ["scan_passed", "upload_completed"]


async def test_other_bytes_than_the_scanned_ones_are_scanned_anew(
    library: Library, uploads: Uploads, worker: Uploads, scanning: Scanning, scanner: FaultyScanner
) -> None:
    scanner.away = True
    pending = await stored(library, CLEAN_TWIN)
    await uploads.complete_upload(complete(pending), library.context())
    scanner.away = False
    await scanning.scan_upload(pending.id, library.system())
    await put(library, pending, infected_pdf())
    assert await worker.verify_upload(pending.id, library.system()) is None
    assert (await library.events(pending.id))[-1] == "upload_rejected"
    assert "public" not in await library.places(pending)


async def test_bytes_replaced_between_the_scan_and_the_copy_are_not_copied(
    library: Library, uploads: Uploads, scanner: FaultyScanner, objects: FaultyObjectStore
) -> None:
    pending = await stored(library, CLEAN_TWIN)

    async def swap() -> None:
        await put(library, pending, infected_pdf())

    objects.before_copy = swap
    with pytest.raises(Infected):
        await uploads.complete_upload(complete(pending), library.context())
    assert len(scanner.scanned) == 2
    assert "public" not in await library.places(pending)


async def test_what_is_rewritten_is_made_of_what_was_scanned(
    library: Library, uploads: Uploads, scanner: FaultyScanner
) -> None:
    hostile = SVG.replace(b"<rect", b"<script>alert(1)</script><rect")
    pending = await stored(library, hostile, "image/svg+xml")

    async def swap() -> None:
        await put(library, pending, hostile.replace(b"hello", b"HELLO"))

    scanner.before_verdict = swap
    done = await uploads.complete_upload(complete(pending), library.context())
    assert isinstance(done, MediaFile)
    head = await library.runtime.objects.head("public", pending.key)
    assert head is not None
    stream = library.runtime.objects.stream("public", pending.key, etag=head.etag)
    served = b"".join([part async for part in stream])
    assert b"script" not in served
    assert b"HELLO" in served
    assert scanner.scanned == [len(hostile)] * 2


async def test_many_completes_of_one_file_scan_it_once(
    library: Library, uploads: Uploads, scanner: FaultyScanner
) -> None:
    pending = await stored(library, PNG, "image/png")
    answers = await asyncio.gather(
        *(uploads.complete_upload(complete(pending), library.context()) for _ in range(20))
    )
    assert len({msgspec.json.encode(answer) for answer in answers}) == 1
    assert len(scanner.scanned) == 1
    assert (await library.events(pending.id)).count("scan_passed") == 1


async def test_a_complete_that_crashed_behind_its_copy_is_scanned_by_the_next(
    library: Library, uploads: Uploads, scanner: FaultyScanner
) -> None:
    pending = await stored(library, PNG, "image/png")
    objects = library.runtime.objects
    crashed = Verification(objects, MagicContentInspector(), library.runtime.proof)
    await crashed.verify(pending, scan_until=0)
    await uploads.complete_upload(complete(pending), library.context())
    assert scanner.scanned == [len(PNG)]
    assert (await library.events(pending.id))[1:] == ["scan_passed", "upload_completed"]


async def test_a_file_cancelled_while_it_is_scanned_stays_cancelled(
    library: Library, uploads: Uploads, scanning: Scanning, scanner: FaultyScanner
) -> None:
    scanner.away = True
    pending = await stored(library, sample(PDF))
    await uploads.complete_upload(complete(pending), library.context())
    scanner.away = False

    async def cancel() -> None:
        await library.runtime.deletion.delete_file(pending.id, library.context())

    scanner.before_verdict = cancel
    assert await scanning.scan_upload(pending.id, library.system()) is None
    with pytest.raises(MediaNotFound):
        await uploads.complete_upload(complete(pending), library.context())
    assert (await library.events(pending.id))[-1] == "upload_cancelled"


async def test_a_scan_that_was_asked_for_is_owed_where_the_scanner_is_gone(
    library: Library, jobs: Runtime, uploads: Uploads, scanner: FaultyScanner
) -> None:
    scanner.away = True
    pending = await stored(library, sample(PDF))
    await uploads.complete_upload(complete(pending), library.context())
    with pytest.raises(ScannerUnavailable, match="MEDIA_SCANNER is not set"):
        await jobs.scanning.scan_upload(pending.id, library.system())
    await jobs.scanning.fail_scan(pending.id, "away", library.system())
    for runtime in (jobs, library.runtime):
        answer = await runtime.uploads.complete_upload(complete(pending), library.context())
        assert isinstance(answer, VerificationPending)
    assert await library.places(pending) == {"incoming"}


async def test_no_scan_is_made_for_a_removed_workspace(
    library: Library, jobs: Runtime, scanning: Scanning, objects: FaultyObjectStore
) -> None:
    away = FaultyScanner()
    away.away = True
    pending = await library.stored(tenant="ls_scan_gone", at=utc_now())
    context = library.context("ls_scan_gone")
    over = uploads_over(objects, library.runtime, scanner=away)
    await over.complete_upload(complete(pending), context)
    await jobs.upkeep.remove_tenant("ls_scan_gone", library.system())
    assert await scanning.scan_upload(pending.id, library.system()) is None
    assert (await library.events(pending.id))[-1] == "scan_requested"


async def test_the_sweep_leaves_what_waits_for_its_scan_and_its_bytes(
    library: Library, jobs: Runtime, uploads: Uploads, scanner: FaultyScanner
) -> None:
    scanner.away = True
    waiting, forgotten = await stored(library, PNG, "image/png"), await library.stored(at=utc_now())
    await uploads.complete_upload(complete(waiting), library.context())

    class Everything(ReadModelWorkList):
        async def overdue_uploads(self, before):
            del before
            for file in (waiting, forgotten):
                yield file.id

    async def sweep(after: timedelta) -> None:
        at = utc_now() + after
        await jobs.upkeep.sweep_uploads(Everything(jobs.pool), library.system(at))

    await sweep(timedelta(hours=26))
    assert (await library.events(waiting.id))[-1] == "scan_requested"
    assert await library.places(waiting) == {"incoming"}
    assert (await library.events(forgotten.id))[-1] == "upload_expired"
    assert await library.places(forgotten) == set()
    await sweep(HELD_FOR_SCAN + timedelta(hours=2))
    assert (await library.events(waiting.id))[-1] == "upload_expired"
    assert await library.places(waiting) == set()

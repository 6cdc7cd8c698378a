from datetime import timedelta

import pytest

from domain.errors import Infected, UploadExpired, UploadMismatch
from domain.event import Event
from domain.media_file_events import UploadExpired as Expired
from domain.media_file_events import UploadRejected, VerificationDeferred
from domain.scan_events import HELD_FOR_SCAN, ScanFailed, ScanPassed, ScanRequested
from domain.scanning import fail_scan, pass_scan, processing_of, request_scan, retry_scan
from tests.kit.scenario import (
    COMPLETED,
    INGEST_REQUESTED,
    KEY,
    REQUESTED,
    START,
    Given,
    after,
    cancelled,
    expired,
    rejected,
)

A_DAY = timedelta(days=1)
ASKED = ScanRequested()
PASSED = ScanPassed(engine="ClamAV 1.4.3/27812", etag='"1"', scanned_bytes=245_000)
FAILED = ScanFailed(error="The scanner cannot be reached.")
DEFERRED = VerificationDeferred()
INFECTED = UploadRejected(
    key=KEY,
    reason="infected",
    detail="The malware scanner found Eicar.",
    settles_at=after(minutes=1),
)
ENDED = [COMPLETED, rejected(START), expired(START), cancelled(START)]


@pytest.mark.parametrize("before", [(REQUESTED,), (REQUESTED, DEFERRED)])
def test_a_worker_is_asked_once_to_have_a_file_scanned(before: tuple[Event, ...]) -> None:
    Given(*before).when(request_scan).then(ASKED)
    Given(*before, ASKED).when(request_scan).then()
    Given(*before, ASKED, FAILED).when(request_scan).then()


@pytest.mark.parametrize("ending", ENDED)
def test_nothing_is_scanned_once_the_upload_is_over(ending: Event) -> None:
    Given(REQUESTED, ending).when(request_scan).then()
    for decide in (
        request_scan,
        retry_scan,
        lambda file: pass_scan(file, PASSED),
        lambda file: fail_scan(file, error="away"),
    ):
        Given(REQUESTED, ASKED, ending).when(decide).then()


def test_what_has_no_bytes_yet_is_not_scanned() -> None:
    Given(INGEST_REQUESTED).when(request_scan).then()


def test_what_has_passed_is_verified_next() -> None:
    Given(REQUESTED, ASKED).when(lambda file: pass_scan(file, PASSED)).then(PASSED, DEFERRED)
    # A second worker had it scanned too.
    Given(REQUESTED, ASKED, PASSED, DEFERRED).when(lambda file: pass_scan(file, PASSED)).then()


def test_a_scan_that_is_waited_for_defers_no_verification() -> None:
    Given(REQUESTED, ASKED).when(lambda file: file.defer_verification()).then()


def test_a_scan_fails_once_and_waits_for_an_operator() -> None:
    failed = ScanFailed(error="away")
    Given(REQUESTED, ASKED).when(lambda file: fail_scan(file, error="away")).then(failed)
    Given(REQUESTED, ASKED, FAILED).when(lambda file: fail_scan(file, error="away")).then()
    Given(REQUESTED, ASKED, FAILED).when(retry_scan).then(ASKED)
    Given(REQUESTED, ASKED, FAILED, ASKED).when(retry_scan).then()
    Given(REQUESTED, ASKED).when(retry_scan).then()


def test_a_failed_scan_that_passes_after_all_releases_the_file() -> None:
    Given(REQUESTED, ASKED, FAILED).when(lambda file: pass_scan(file, PASSED)).then(
        PASSED, DEFERRED
    )


def test_only_the_scanned_object_counts_as_scanned() -> None:
    assert Given(REQUESTED).file.scan.clean_etag is None
    assert Given(REQUESTED, ASKED, PASSED, DEFERRED).file.scan.clean_etag == '"1"'


@pytest.mark.parametrize(
    ("history", "doing"),
    [
        ((INGEST_REQUESTED,), "fetching"),
        ((REQUESTED,), None),
        ((REQUESTED, DEFERRED), "verifying"),
        ((REQUESTED, ASKED), "scanning"),
        ((REQUESTED, DEFERRED, ASKED), "scanning"),
        ((REQUESTED, ASKED, FAILED), "scanning"),
        ((REQUESTED, ASKED, PASSED, DEFERRED), "verifying"),
        ((REQUESTED, ASKED, COMPLETED), None),
        ((REQUESTED, ASKED, INFECTED), None),
    ],
)
def test_an_upload_tells_what_it_waits_for(history: tuple[Event, ...], doing: str | None) -> None:
    assert processing_of(Given(*history).file) == doing


def test_an_infected_upload_says_so_ever_after() -> None:
    def complete_again(file):
        file.check_completable(at=after(hours=1), pending_lifetime=A_DAY)
        return []

    Given(REQUESTED, INFECTED).when(complete_again).refused(Infected)
    Given(REQUESTED, rejected(START)).when(complete_again).refused(UploadMismatch)


def test_an_upload_that_waits_for_its_scan_lives_longer_than_a_day_and_not_for_ever() -> None:
    asked_at = after(hours=1)

    def expire(at):
        return lambda file: file.expire(at=at, pending_lifetime=A_DAY)

    def complete(at):
        def checked(file):
            file.check_completable(at=at, pending_lifetime=A_DAY)
            return []

        return checked

    end = asked_at + HELD_FOR_SCAN
    for history in (
        (REQUESTED, (asked_at, ASKED)),
        (REQUESTED, (asked_at, ASKED), FAILED),
        (REQUESTED, (asked_at, ASKED), PASSED, DEFERRED),
    ):
        Given(*history).when(expire(end - timedelta(seconds=1))).then()
        Given(*history).when(complete(end - timedelta(seconds=1))).then()
        gone = Expired(key=KEY, settles_at=end + timedelta(minutes=1))
        Given(*history).when(expire(end)).then(gone)
        Given(*history).when(complete(end)).refused(UploadExpired)
    again = (REQUESTED, (asked_at, ASKED), FAILED, (asked_at + A_DAY, ASKED))
    Given(*again).when(expire(end)).then()
    Given(*again).when(expire(end + A_DAY)).then(
        Expired(key=KEY, settles_at=end + A_DAY + timedelta(minutes=1))
    )

"""The life of a file, told by its history."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import MediaNotFound, UploadExpired, UploadIncomplete, UploadMismatch
from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.media_file_events import ObjectsPurged, PurgeFailed, PurgeRetried, VerificationDeferred
from tests.kit.scenario import (
    COMPLETED,
    KEY,
    REQUESTED,
    START,
    Given,
    after,
    cancelled,
    deleted,
    expired,
    history,
    rejected,
)

DAY = timedelta(days=1)


def check(file: MediaFile, at: datetime) -> list[Event]:
    file.check_completable(at=at, pending_lifetime=DAY)
    return []


def test_a_verified_upload_becomes_a_file_of_the_size_that_is_served():
    Given(REQUESTED).when(lambda file: file.complete(served_bytes=245_000)).then(COMPLETED)


def test_completing_twice_changes_nothing():
    Given(REQUESTED, COMPLETED).when(lambda file: file.complete(served_bytes=1)).then()


@pytest.mark.parametrize("ending", [rejected(START), expired(START), cancelled(START)])
def test_an_ended_upload_is_never_completed(ending):
    with pytest.raises(ValueError, match="complete of a file"):
        Given(REQUESTED, ending).file.complete(served_bytes=1)


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        (rejected(START), UploadMismatch),
        (expired(START), UploadExpired),
        (cancelled(START), MediaNotFound),
    ],
)
def test_completing_an_ended_upload_says_how_it_ended(ending, error):
    Given(REQUESTED, ending).when(lambda file: check(file, after(minutes=5))).refused(error)


def test_an_upload_of_a_day_ago_cannot_be_completed_whether_or_not_the_sweep_has_run():
    Given(REQUESTED).when(lambda file: check(file, START + DAY)).refused(UploadExpired)
    Given(REQUESTED).when(lambda file: check(file, START + DAY - timedelta(seconds=1))).then()


def test_an_uploaded_file_can_be_completed_again_after_any_time():
    Given(REQUESTED, COMPLETED).when(lambda file: check(file, START + 9 * DAY)).then()


def test_nothing_stored_is_too_early_within_the_hour_and_expired_after_it():
    file = Given(REQUESTED).file
    assert isinstance(file.refuse_missing_object(at=after(minutes=59)), UploadIncomplete)
    assert isinstance(file.refuse_missing_object(at=after(minutes=60)), UploadExpired)


def test_a_slow_verification_is_deferred_once():
    Given(REQUESTED).when(MediaFile.defer_verification).then(VerificationDeferred())
    Given(REQUESTED, VerificationDeferred()).when(MediaFile.defer_verification).then()
    Given(REQUESTED, COMPLETED).when(MediaFile.defer_verification).then()


def test_wrong_bytes_end_the_upload_for_good():
    at = after(minutes=1)
    Given(REQUESTED).when(
        lambda file: file.reject(reason="size", detail="1 byte is stored.", at=at)
    ).then(rejected(at))
    Given(REQUESTED, COMPLETED).when(
        lambda file: file.reject(reason="size", detail="", at=at)
    ).then()


def test_only_a_pending_upload_of_full_age_expires():
    def expire(file: MediaFile, at: datetime) -> list[Event]:
        return file.expire(at=at, pending_lifetime=DAY)

    Given(REQUESTED).when(lambda file: expire(file, START + DAY)).then(expired(START + DAY))
    Given(REQUESTED).when(lambda file: expire(file, after(hours=23))).then()
    Given(REQUESTED, COMPLETED).when(lambda file: expire(file, START + 2 * DAY)).then()
    Given(REQUESTED, expired(START + DAY)).when(lambda file: expire(file, START + 2 * DAY)).then()


def test_deleting_a_pending_upload_cancels_it():
    at = after(minutes=3)
    Given(REQUESTED).when(lambda file: file.delete(at=at)).then(cancelled(at))


def test_a_file_deleted_right_after_its_upload_settles_when_no_other_complete_can_be_running():
    at = after(seconds=20)
    Given(REQUESTED, COMPLETED).when(lambda file: file.delete(at=at)).then(
        deleted(settles_at=after(seconds=121))
    )


def test_a_file_settles_only_when_a_complete_begun_just_before_the_first_was_recorded_has_ended():
    # The event bears the time at which its request began; it may have been recorded a minute on,
    # and a second request have begun in that moment.
    at = after(seconds=90)
    Given(REQUESTED, COMPLETED).when(lambda file: file.delete(at=at)).then(
        deleted(settles_at=after(seconds=121))
    )


def test_a_file_deleted_later_settles_at_once():
    at = after(minutes=5)
    Given(REQUESTED, COMPLETED).when(lambda file: file.delete(at=at)).then(deleted(settles_at=at))


@pytest.mark.parametrize(
    "ending", [rejected(START), expired(START), cancelled(START), deleted(settles_at=START)]
)
def test_what_has_ended_cannot_be_deleted(ending):
    before = [COMPLETED] if ending == deleted(settles_at=START) else []
    Given(REQUESTED, *before, ending).when(lambda file: file.delete(at=after(minutes=9))).refused(
        MediaNotFound
    )


def test_a_purge_is_recorded_once_and_not_before_the_last_writer_is_gone():
    ending = deleted(settles_at=after(seconds=61))
    purged = ObjectsPurged(key=KEY)

    def record(file: MediaFile, at: datetime) -> list[Event]:
        return file.record_purge(at=at)

    Given(REQUESTED, COMPLETED, ending).when(lambda f: record(f, after(seconds=60))).then()
    Given(REQUESTED, COMPLETED, ending).when(lambda f: record(f, after(seconds=61))).then(purged)
    Given(REQUESTED, COMPLETED, ending, purged).when(lambda f: record(f, after(days=1))).then()
    Given(REQUESTED, COMPLETED).when(lambda f: record(f, after(days=1))).then()


def test_a_failed_purge_is_recorded_once_and_can_be_retried():
    ending = expired(START)
    failed = PurgeFailed(key=KEY, error="503")
    retried = PurgeRetried(key=KEY)
    fail = lambda file: file.record_purge_failure(error="503")  # noqa: E731
    Given(REQUESTED, ending).when(fail).then(failed)
    Given(REQUESTED, ending, failed).when(fail).then()
    Given(REQUESTED, ending, failed).when(MediaFile.retry_purge).then(retried)
    Given(REQUESTED, ending, failed, retried).when(MediaFile.retry_purge).then()
    Given(REQUESTED, ending, failed, retried).when(fail).then(failed)
    Given(REQUESTED, ending, failed, ObjectsPurged(key=KEY)).when(MediaFile.retry_purge).then()


def test_a_stream_that_does_not_begin_with_the_request_is_no_file():
    with pytest.raises(ValueError, match="does not begin"):
        MediaFile.from_history(history(COMPLETED))


def test_the_last_change_is_when_the_upload_ended_or_was_deleted_not_when_bytes_were_purged():
    file = Given(REQUESTED, COMPLETED, deleted(settles_at=START), ObjectsPurged(key=KEY)).file
    assert file.updated_at == after(seconds=2)
    assert file.created_at == START
    assert (file.version, file.position) == (4, 4)


decisions = st.lists(
    st.tuples(
        st.sampled_from(
            ["complete", "defer", "reject", "expire", "delete", "purge", "fail", "retry"]
        ),
        st.integers(0, 3 * 24 * 60),
    ),
    max_size=12,
)


def _decide(file: MediaFile, name: str, at: datetime) -> list[Event]:
    match name:
        case "complete":
            return file.complete(served_bytes=7) if not file.ended else []
        case "defer":
            return file.defer_verification()
        case "reject":
            return file.reject(reason="size", detail="x", at=at)
        case "expire":
            return file.expire(at=at, pending_lifetime=DAY)
        case "delete":
            return file.delete(at=at) if not file.ended else []
        case "purge":
            return file.record_purge(at=at)
        case "fail":
            return file.record_purge_failure(error="x")
    return file.retry_purge()


@given(decisions)
def test_whatever_is_decided_a_file_ends_once_and_its_bytes_go_only_after_the_end(steps):
    file = Given(REQUESTED).file
    events: list[Event | tuple[datetime, Event]] = [(START, REQUESTED)]
    clock = START
    for name, minutes in steps:
        clock = max(clock, START + timedelta(minutes=minutes))
        for event in _decide(file, name, clock):
            events.append((clock, event))
            recorded = history(*events)[-1]
            before, file = file, MediaFile.evolve(file, recorded)
            assert not before.ended or file.ended
            assert not before.purged or file.purged
            assert not file.purged or file.ended
            assert before.status is not Status.UPLOADED or file.status is not Status.PENDING
    assert MediaFile.from_history(history(*events)) == file

"""The pipeline: whenever this happened, that is to be done."""

from datetime import timedelta

import pytest

from application.jobs import (
    JOBS,
    DiscardIncoming,
    FetchSource,
    Job,
    PlaceObjects,
    PurgeObjects,
    RemoveTenantFiles,
    VerifyUpload,
)
from application.policies import react
from domain.event import Event
from domain.media_file_events import (
    MEDIA_FILE_EVENTS,
    IngestCancelled,
    IngestFailed,
    ObjectsPurged,
    PurgeFailed,
    PurgeRetried,
    VerificationDeferred,
)
from domain.placement_events import (
    FilePurgeRequested,
    ObjectsPlaced,
    PlacementFailed,
    VisibilityChanged,
)
from domain.tenant import TENANT_EVENTS, TenantFilesRemoved, TenantRemoved
from tests.kit.scenario import (
    COMPLETED,
    INGEST_REQUESTED,
    KEY,
    MEDIA_ID,
    REQUESTED,
    START,
    cancelled,
    deleted,
    expired,
    history,
    rejected,
    restored,
)

SETTLED = START - timedelta(hours=1)
LATER = START + timedelta(minutes=1)
PURGE = PurgeObjects(media_id=MEDIA_ID)
FINAL_PURGE = PurgeObjects(media_id=MEDIA_ID, not_before=LATER)
PLACE = PlaceObjects(media_id=MEDIA_ID)
FINAL_PLACE = PlaceObjects(media_id=MEDIA_ID, not_before=LATER)

CASES: list[tuple[Event, list[Job]]] = [
    (INGEST_REQUESTED, [FetchSource(media_id=MEDIA_ID)]),
    (IngestFailed(code="SOURCE_UNAVAILABLE", detail="It answers 404."), []),
    (IngestCancelled(reason="user"), []),
    (REQUESTED, []),
    (VerificationDeferred(), [VerifyUpload(media_id=MEDIA_ID)]),
    (COMPLETED, [DiscardIncoming(media_id=MEDIA_ID, key=KEY)]),
    (rejected(START), [PURGE, FINAL_PURGE]),
    (expired(START), [PURGE, FINAL_PURGE]),
    (cancelled(START), [PURGE, FINAL_PURGE]),
    (deleted(settles_at=LATER), [PURGE, FINAL_PURGE]),
    (deleted(settles_at=SETTLED), [PURGE]),
    (deleted(settles_at=SETTLED, bin_until=LATER), [PLACE]),
    (deleted(settles_at=LATER, bin_until=LATER), [PLACE, FINAL_PLACE]),
    (restored(settles_at=SETTLED), [PLACE]),
    (VisibilityChanged(key=KEY, is_public=False, settles_at=LATER), [PLACE, FINAL_PLACE]),
    (ObjectsPlaced(key=KEY, bucket="private"), []),
    (PlacementFailed(key=KEY, error="away"), []),
    (FilePurgeRequested(key=KEY, reason="retention", settles_at=SETTLED), [PURGE]),
    (FilePurgeRequested(key=KEY, reason="user", settles_at=LATER), [PURGE, FINAL_PURGE]),
    (ObjectsPurged(key=KEY), []),
    (PurgeFailed(key=KEY, error="away"), []),
    (PurgeRetried(key=KEY), [PURGE]),
    (TenantFilesRemoved(), []),
]


@pytest.mark.parametrize(("event", "jobs"), CASES, ids=lambda case: type(case).__name__)
def test_an_event_calls_for_its_jobs(event: Event, jobs: list[Job]) -> None:
    (recorded,) = history((START, event))
    assert list(react(recorded)) == jobs


def test_a_removed_workspace_calls_for_the_removal_of_its_files() -> None:
    (recorded,) = history((START, TenantRemoved()), stream="tenant_ls_abc123")
    assert list(react(recorded)) == [RemoveTenantFiles(tenant_id="ls_abc123")]


def test_what_to_do_is_decided_for_every_event_of_a_file_or_workspace() -> None:
    decided = {type(event) for event, _ in CASES} | {TenantRemoved}
    assert decided == set(MEDIA_FILE_EVENTS + TENANT_EVENTS)


def test_every_job_has_a_name_of_its_own_and_bounds() -> None:
    assert len({job.NAME for job in JOBS}) == len(JOBS)
    for job in JOBS:
        assert job.MAX_RETRIES >= 0
        assert 0 < job.MIN_BACKOFF_SECONDS <= job.MAX_BACKOFF_SECONDS
        assert job.TIME_LIMIT_SECONDS > 0

"""The pipeline: whenever this happened, that is to be done."""

from datetime import timedelta

import pytest

from application.jobs import (
    JOBS,
    ClearRenditions,
    DeriveRendition,
    DiscardIncoming,
    FetchSource,
    InspectFile,
    Job,
    PlaceObjects,
    PurgeCache,
    PurgeObjects,
    RemoveTenantFiles,
    ScanUpload,
    VerifyUpload,
)
from application.policies import react
from domain.cache_events import (
    CACHE_EVENTS,
    CachePurged,
    CachePurgeFailed,
    CachePurgeRequested,
)
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
    PlacementRequested,
    VisibilityChanged,
)
from domain.rendition_events import (
    RENDITION_EVENTS,
    InspectionFailed,
    MetadataRemoved,
    RenditionFailed,
    RenditionsRemoved,
)
from domain.scan_events import SCAN_EVENTS, ScanFailed, ScanPassed, ScanRequested
from domain.tenant import TENANT_EVENTS, TenantFilesRemoved, TenantRemoved
from tests.kit.derived import ASKED, INSPECTED, POSTER_STORED, made
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
CLEAR = ClearRenditions(media_id=MEDIA_ID)
INSPECT = InspectFile(media_id=MEDIA_ID)
PURGE = PurgeObjects(media_id=MEDIA_ID)
TELL_CACHES = PurgeCache(media_id=MEDIA_ID)
FINAL_PURGE = PurgeObjects(media_id=MEDIA_ID, not_before=LATER)
PLACE = PlaceObjects(media_id=MEDIA_ID)
FINAL_PLACE = PlaceObjects(media_id=MEDIA_ID, not_before=LATER)

CASES: list[tuple[Event, list[Job]]] = [
    (INGEST_REQUESTED, [FetchSource(media_id=MEDIA_ID)]),
    (IngestFailed(code="SOURCE_UNAVAILABLE", detail="It answers 404."), []),
    (IngestCancelled(reason="user"), []),
    (REQUESTED, []),
    (VerificationDeferred(), [VerifyUpload(media_id=MEDIA_ID)]),
    (COMPLETED, [DiscardIncoming(media_id=MEDIA_ID, key=KEY), InspectFile(media_id=MEDIA_ID)]),
    (rejected(START), [PURGE, FINAL_PURGE]),
    (expired(START), [PURGE, FINAL_PURGE]),
    (cancelled(START), [PURGE, FINAL_PURGE]),
    (ObjectsPurged(key=KEY), [TELL_CACHES]),
    (CachePurgeRequested(reason="user"), [TELL_CACHES]),
    (
        CachePurged(urls=(), cdn="cloudflare", again_at=LATER),
        [PurgeCache(media_id=MEDIA_ID, not_before=LATER)],
    ),
    (CachePurged(urls=(), cdn="cloudflare", again_at=None), []),
    (CachePurgeFailed(error="away"), []),
    (INSPECTED, []),
    (InspectionFailed(reason="time", detail="It takes too long."), []),
    (ASKED, [DeriveRendition(media_id=MEDIA_ID, preset="og", format="image/jpeg")]),
    (made(), []),
    (made(replaces="old"), [CLEAR]),
    (RenditionFailed(preset="og", recipe=1, format="image/jpeg", reason="x", detail="y"), []),
    (POSTER_STORED, []),
    (RenditionsRemoved(keys=("old",)), [TELL_CACHES]),
    (RenditionsRemoved(keys=()), []),
    (MetadataRemoved(policy="strip-location", removed=("exif",)), []),
    (deleted(settles_at=LATER), [PURGE, FINAL_PURGE, CLEAR, TELL_CACHES]),
    (deleted(settles_at=SETTLED), [PURGE, CLEAR, TELL_CACHES]),
    (deleted(settles_at=SETTLED, bin_until=LATER), [PLACE, CLEAR, TELL_CACHES]),
    (deleted(settles_at=LATER, bin_until=LATER), [PLACE, FINAL_PLACE, CLEAR, TELL_CACHES]),
    (restored(settles_at=SETTLED), [PLACE, INSPECT, TELL_CACHES]),
    (
        VisibilityChanged(key=KEY, is_public=False, settles_at=LATER),
        [PLACE, FINAL_PLACE, CLEAR, INSPECT, TELL_CACHES],
    ),
    (PlacementRequested(key=KEY, settles_at=LATER), [PLACE, FINAL_PLACE]),
    (ObjectsPlaced(key=KEY, bucket="private"), [TELL_CACHES]),
    (PlacementFailed(key=KEY, error="away"), []),
    (FilePurgeRequested(key=KEY, reason="retention", settles_at=SETTLED), [PURGE]),
    (FilePurgeRequested(key=KEY, reason="user", settles_at=LATER), [PURGE, FINAL_PURGE]),
    (PurgeFailed(key=KEY, error="away"), []),
    (PurgeRetried(key=KEY), [PURGE]),
    (ScanRequested(), [ScanUpload(media_id=MEDIA_ID)]),
    (ScanPassed(engine="ClamAV 1.4.3", etag='"1"', scanned_bytes=1), []),
    (ScanFailed(error="away"), []),
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
    assert decided == set(
        MEDIA_FILE_EVENTS + RENDITION_EVENTS + SCAN_EVENTS + CACHE_EVENTS + TENANT_EVENTS
    )


def longest_chain(job: type[Job]) -> float:
    """Seconds between the first attempt and the last, when each fails at once."""
    return sum(
        min(job.MIN_BACKOFF_SECONDS * 2.0**number, job.MAX_BACKOFF_SECONDS)
        for number in range(job.MAX_RETRIES)
    )


def test_every_job_has_a_name_of_its_own_and_bounds() -> None:
    assert len({job.NAME for job in JOBS}) == len(JOBS)
    for job in JOBS:
        assert job.MAX_RETRIES >= 0
        assert 0 < job.MIN_BACKOFF_SECONDS <= job.MAX_BACKOFF_SECONDS
        assert job.TIME_LIMIT_SECONDS > 0
        assert longest_chain(job) <= job.CHAIN_SECONDS or job.MAX_RETRIES == 100

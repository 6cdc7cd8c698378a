"""What the read models show: given these events, then these answers."""

from datetime import datetime, timedelta

import msgspec

from domain import bin as bin_
from domain import ingest
from domain.errors import SourceUnavailable
from domain.media_file import MediaFile
from domain.media_type import MEDIA_TYPES
from projections import (
    audit_trail,
    bin_pages,
    file_list,
    pending_uploads,
    storage_stats,
    unfinished_work,
)
from projections.file_pages import FileQuery
from projections.file_resource import FileResource
from tests.kit.scenario import INGEST_REQUESTED
from tests.projections.conftest import Log
from tests.projections.histories import (
    DAY,
    START,
    deleted,
    media_id,
    recorded,
    removed,
    requested,
    uploaded,
)

URL = "https://media.example"
HOUR = timedelta(hours=1)


async def test_an_uploaded_file_is_shown_as_the_contract_says(log: Log) -> None:
    position = await log.append(uploaded("t:ls_a", 1, name="Hero.webp"))
    await log.follow()
    answer = await file_list.by_id(log.api, "t:ls_a", media_id(1), public_base_url=URL)
    assert answer.position == position
    assert msgspec.to_builtins(answer.found) == {
        "id": media_id(1),
        "tenantId": "ls_a",
        "serviceCode": "blog",
        "fileName": "Hero.webp",
        "fileSize": 1000,
        "mimeType": "image/webp",
        "category": "image",
        "key": "ls_a/blog/2026/04/0000000000000001.webp",
        "status": "uploaded",
        "isPublic": True,
        "url": "https://media.example/ls_a/blog/2026/04/0000000000000001.webp",
        "uploadedBy": "user_1",
        "createdAt": "2026-04-29T10:00:01.000Z",
        "updatedAt": "2026-04-29T10:00:02.000Z",
        "processing": "inspecting",
        **dict.fromkeys(("deletedAt", "deletedBy", "purgeAt")),
        **dict.fromkeys(("width", "height", "durationMs", "pageCount", "sha256")),
        **dict.fromkeys(("placeholder", "dominantColor", "inspectionError")),
        "variants": {},
    }


async def test_the_answer_of_a_command_and_of_a_query_are_the_same(log: Log) -> None:
    for number, owner in ((1, "t:ls_a"), (2, "u:user_1")):
        history = uploaded(owner, number, is_public=number == 1)
        await log.append(history)
        await log.follow()
        state = MediaFile.from_history(history)
        assert state is not None
        answer = await file_list.by_id(log.api, owner, media_id(number), public_base_url=URL)
        assert answer.found == FileResource.of(state, public_base_url=URL)


async def test_a_private_personal_file_has_neither_url_nor_tenant(log: Log) -> None:
    await log.append(uploaded("u:user_1", 1, is_public=False))
    await log.follow()
    answer = await file_list.by_id(log.api, "u:user_1", media_id(1), public_base_url=URL)
    assert answer.found is not None
    assert (answer.found.url, answer.found.tenant_id) == (None, None)


async def test_a_deleted_file_is_gone_from_the_list_and_stays_in_the_history(log: Log) -> None:
    file = uploaded("t:ls_a", 1)
    await log.append([*file, deleted(file)])
    await log.follow()
    assert (
        await file_list.by_id(log.api, "t:ls_a", media_id(1), public_base_url=URL)
    ).found is None
    history = (await audit_trail.history(log.api, "t:ls_a", media_id(1))).found
    assert [(entry.version, entry.type) for entry in history] == [
        (1, "media_file.upload_requested.v1"),
        (2, "media_file.upload_completed.v1"),
        (3, "media_file.file_deleted.v2"),
    ]
    assert history[0].position.isdecimal()
    assert history[1].at == "2026-04-29T10:00:02.000Z"
    data = msgspec.json.decode(history[1].data)
    assert data["requestedAt"] == "2026-04-29T10:00:01.000Z"
    assert data["fileName"] == "hero.webp"


async def test_recent_are_the_eight_newest(log: Log) -> None:
    for number in range(10):
        await log.append(uploaded("t:ls_a", number))
    await log.follow()
    answer = await file_list.recent(log.api, "t:ls_a", public_base_url=URL)
    assert [file.id for file in answer.found] == [media_id(n) for n in range(9, 1, -1)]


async def test_stats_count_files_bytes_and_pending_uploads(log: Log) -> None:
    first = uploaded("t:ls_a", 1, file_size=10)
    await log.append(first)
    await log.append(uploaded("t:ls_a", 2, mime="video/mp4", service_code="store", file_size=5))
    await log.append([recorded("t:ls_a", media_id(3), 1, START, requested("t:ls_a", 3))])
    await log.append([recorded("t:ls_b", media_id(4), 1, START, requested("t:ls_b", 4))])
    await log.follow()
    answer = await storage_stats.stats(log.api, "t:ls_a")
    assert msgspec.to_builtins(answer.found) == {
        "totalFiles": 2,
        "totalBytes": 15,
        "byType": {
            "image": {"files": 1, "bytes": 10},
            "video": {"files": 1, "bytes": 5},
            "document": {"files": 0, "bytes": 0},
        },
        "byService": {"blog": {"files": 1, "bytes": 10}, "store": {"files": 1, "bytes": 5}},
        "pendingUploads": 1,
        "recent": [],
    }
    await log.append([deleted(first)])
    await log.follow()
    after = (await storage_stats.stats(log.api, "t:ls_a")).found
    assert (after.total_files, after.total_bytes, list(after.by_service)) == (1, 5, ["store"])


async def test_a_file_in_the_bin_is_listed_there_alone_and_comes_back_into_the_sums(
    log: Log,
) -> None:
    first = uploaded("t:ls_a", 1, file_size=10)
    await log.append([*first, *uploaded("t:ls_a", 2)])
    life = [*first, deleted(first, bin_for=30 * DAY)]
    await log.append(life[2:])
    await log.follow()
    bin_query = FileQuery(in_bin=True, sort="-deletedAt")
    page = await bin_pages.page(log.api, "t:ls_a", bin_query, public_base_url=URL)
    (binned,) = page.found.items
    assert (binned.id, binned.deleted_by, binned.url) == (media_id(1), "user_1", None)
    assert binned.deleted_at == "2026-04-30T10:00:02.000Z"
    assert binned.purge_at == "2026-05-30T10:00:02.000Z"
    assert not (await file_list.by_id(log.api, "t:ls_a", media_id(1), public_base_url=URL)).found
    resolved = await file_list.resolve(
        log.worker, [media_id(1), media_id(2)], tenant_id=None, public_base_url=URL
    )
    assert resolved.found.missing == [media_id(1)]
    assert [one.media_id for one in await bin_pages.overdue(log.worker, START + 40 * DAY)] == [
        media_id(1)
    ]
    assert await bin_pages.overdue(log.worker, START + 20 * DAY) == []
    works = await unfinished_work.due(log.worker, START + 40 * DAY, 9)
    assert ("place", media_id(1)) in [(work.kind, work.stream) for work in works]

    state = MediaFile.from_history(life)
    assert state is not None
    at = START + 3 * DAY
    (restored,) = bin_.restore(state, at=at)
    await log.append([recorded("t:ls_a", media_id(1), 4, at, restored)])
    await log.follow()
    assert (
        await bin_pages.page(log.api, "t:ls_a", bin_query, public_base_url=URL)
    ).found.items == []
    back = (await file_list.by_id(log.api, "t:ls_a", media_id(1), public_base_url=URL)).found
    assert back is not None
    assert (back.status, back.deleted_at) == ("uploaded", None)
    stats = (await storage_stats.stats(log.api, "t:ls_a")).found
    assert (stats.total_files, stats.total_bytes) == (2, 1010)


async def test_a_page_of_the_bin_looks_at_a_bounded_number_of_files(log: Log) -> None:
    await log.execute("""
        INSERT INTO file_list_v2
        SELECT 't:ls_a', 'media_' || lpad(n::text, 16, '0'), 'blog', n::text, n::text, n::text, 1,
               'image/jpeg', 'image', 'key', true, 'user_1', at, at, at, 'user_1', at
        FROM generate_series(0, 40999) AS n,
             LATERAL (SELECT timestamptz '2026-04-29' + n * interval '1 second') AS a (at)
    """)
    first = FileQuery(in_bin=True, sort="-deletedAt", search="none such", limit=5)
    answer = (await bin_pages.page(log.api, "t:ls_a", first, public_base_url=URL)).found
    assert answer.items == []
    assert answer.next_key is not None
    assert answer.next_key.media_id == media_id(21_000)
    looks = 1
    while answer.next_key is not None:
        query = msgspec.structs.replace(first, search="0", after=answer.next_key, limit=100)
        answer = (await bin_pages.page(log.api, "t:ls_a", query, public_base_url=URL)).found
        looks += 1
        if looks > 3:
            break
    assert len(answer.items) == 100


async def test_stats_of_an_owner_without_files_are_all_zero(log: Log) -> None:
    found = (await storage_stats.stats(log.api, "t:nobody")).found
    assert (found.total_files, found.total_bytes, found.pending_uploads) == (0, 0, 0)
    assert set(found.by_type) == {"image", "video", "document"}


async def test_a_pending_upload_is_shown_to_its_uploader_only(log: Log) -> None:
    await log.append([recorded("t:ls_a", media_id(1), 1, START, requested("t:ls_a", 1))])
    await log.follow()

    async def seen_by(user: str, owner: str = "t:ls_a") -> FileResource | None:
        answer = await pending_uploads.by_id(
            log.api, owner, media_id(1), uploaded_by=user, public_base_url=URL
        )
        return answer.found

    mine = await seen_by("user_1")
    assert mine is not None
    assert (mine.status, mine.created_at) == ("pending_upload", "2026-04-29T10:00:00.000Z")
    assert await seen_by("user_2") is None
    assert await seen_by("user_1", "t:ls_b") is None


async def test_overdue_uploads_come_oldest_first_in_pages_across_owners(log: Log) -> None:
    for number in range(5):
        owner = f"t:ls_{number % 2}"
        at = START + number * HOUR
        await log.append([recorded(owner, media_id(number), 1, at, requested(owner, number))])
    await log.follow()
    before = START + 4 * HOUR
    first = await pending_uploads.overdue(log.worker, before, limit=3)
    rest = await pending_uploads.overdue(log.worker, before, after=first[-1], limit=3)
    assert [upload.media_id for upload in first + rest] == [media_id(n) for n in range(4)]


async def test_resolve_knows_uploaded_files_of_every_tenant_or_of_one(log: Log) -> None:
    await log.append(uploaded("t:ls_a", 1) + uploaded("t:ls_b", 2, is_public=False))
    await log.append([recorded("t:ls_a", media_id(3), 1, START, requested("t:ls_a", 3))])
    await log.follow()
    ids = [media_id(1), media_id(2), media_id(3), "media_none", "media_none"]
    answer = await file_list.resolve(log.worker, ids, tenant_id=None, public_base_url=URL)
    assert set(answer.found.resolved) == {media_id(1), media_id(2)}
    assert answer.found.missing == [media_id(3), "media_none"]
    assert msgspec.to_builtins(answer.found.resolved[media_id(2)]) == {
        "url": None,
        "mimeType": "image/webp",
        "fileName": "hero.webp",
        "fileSize": 1000,
    }
    one = await file_list.resolve(log.worker, ids, tenant_id="ls_b", public_base_url=URL)
    assert set(one.found.resolved) == {media_id(2)}


async def due(log: Log, at: datetime) -> list[unfinished_work.UnfinishedWork]:
    """What is due beside inspections, renditions and caches, which have tests of their own."""
    found = await unfinished_work.due(log.worker, at, 10)
    return [work for work in found if work.kind not in {"inspect", "clear", "cache"}]


async def test_a_removed_tenant_leaves_every_view_at_once_and_keeps_its_trail(log: Log) -> None:
    await log.append(uploaded("t:ls_a", 1) + uploaded("t:ls_b", 2))
    await log.append([recorded("t:ls_a", media_id(3), 1, START, requested("t:ls_a", 3))])
    await log.append([removed("t:ls_a", START + HOUR)])
    await log.follow()
    assert [row[1] for row in await log.rows("file_list_v2")] == [media_id(2)]
    assert await log.rows("pending_uploads_v1") == []
    assert [row[0] for row in await log.rows("storage_stats_v1")] == ["t:ls_b"]
    assert await audit_trail.files_of(log.worker, "t:ls_a") == [media_id(1), media_id(3)]
    assert await audit_trail.files_of(log.worker, "t:ls_a", after=media_id(1)) == [media_id(3)]
    work = await due(log, START + HOUR)
    assert [(one.kind, one.stream) for one in work] == [("tenant_removal", "tenant_ls_a")]


async def test_a_completion_after_its_tenants_removal_never_shows(log: Log) -> None:
    request, completion = uploaded("t:ls_a", 1)
    await log.append([request, removed("t:ls_a", START + HOUR), completion])
    await log.follow()
    for table in ("file_list_v2", "storage_stats_v1", "storage_stats_v1_pending"):
        assert await log.rows(table) == []


async def test_a_purge_is_unfinished_until_it_is_recorded(log: Log) -> None:
    file = uploaded("t:ls_a", 1)
    ending = deleted(file)
    await log.append([*file, ending])
    await log.follow()
    assert await due(log, ending.at - HOUR) == []
    (work,) = await due(log, ending.at)
    state = MediaFile.from_history([*file, ending])
    assert state is not None
    assert (work.kind, work.stream, work.not_before) == ("purge", media_id(1), state.settles_at)
    (purged,) = state.record_purge(at=ending.at + HOUR)
    await log.append([recorded("t:ls_a", media_id(1), 4, ending.at + HOUR, purged)])
    await log.follow()
    assert await due(log, ending.at + HOUR) == []


async def test_a_source_is_unfetched_until_its_bytes_or_its_failure_are_recorded(log: Log) -> None:
    begun = [recorded("t:ls_a", media_id(number), 1, START, INGEST_REQUESTED) for number in (1, 2)]
    await log.append(begun)
    await log.follow()
    works = await due(log, START)
    assert {(work.kind, work.stream) for work in works} == {
        ("fetch", media_id(1)),
        ("fetch", media_id(2)),
    }
    assert await unfinished_work.unfetched(log.worker, START) == []
    later = START + HOUR
    assert await unfinished_work.unfetched(log.worker, later) == [media_id(1), media_id(2)]
    assert await unfinished_work.unfetched(log.worker, later, after=media_id(1)) == [media_id(2)]
    first, second = (MediaFile.from_history([event]) for event in begun)
    assert first is not None
    assert second is not None
    fetched = ingest.fetched(
        first,
        file_name="a.png",
        file_size=70,
        media_type=MEDIA_TYPES["image/png"],
        sha256="0" * 64,
    )
    failed = ingest.failed(second, SourceUnavailable("The source answers 404."))
    ends = [
        *(recorded("t:ls_a", media_id(1), 2 + n, later, event) for n, event in enumerate(fetched)),
        *(recorded("t:ls_a", media_id(2), 2, later, event) for event in failed),
    ]
    await log.append(ends)
    await log.follow()
    works = await due(log, later)
    assert [(work.kind, work.stream) for work in works] == [("verify", media_id(1))]
    pending = await pending_uploads.by_id(
        log.api, "t:ls_a", media_id(1), uploaded_by="user_789", public_base_url=URL
    )
    assert pending.found is not None
    assert pending.found.file_name == "a.png"
    assert (await storage_stats.stats(log.api, "t:ls_a")).found.pending_uploads == 1


async def test_a_failed_purge_waits_for_an_operator(log: Log) -> None:
    file = uploaded("t:ls_a", 1)
    history = [*file, deleted(file)]
    await log.append(history)
    state = MediaFile.from_history(history)
    assert state is not None
    at = history[-1].at + HOUR
    failure = recorded("t:ls_a", media_id(1), 4, at, *state.record_purge_failure(error="away"))
    await log.append([failure])
    await log.follow()
    assert await due(log, at) == []
    (failed,) = await unfinished_work.failures(log.worker)
    assert (failed.stream, failed.failure, failed.failed_at) == (media_id(1), "away", at)
    state = MediaFile.evolve(state, failure)
    retried = recorded("t:ls_a", media_id(1), 5, at + HOUR, *state.retry_purge())
    await log.append([retried])
    await log.follow()
    assert await unfinished_work.failures(log.worker) == []
    assert await due(log, at) == []
    assert [work.due_at for work in await due(log, at + HOUR)] == [at + HOUR]


async def test_a_deferred_verification_is_unfinished_until_the_upload_is_over(log: Log) -> None:
    request, completion = uploaded("t:ls_a", 1)
    state = MediaFile.from_history([request])
    assert state is not None
    deferral = recorded("t:ls_a", media_id(1), 2, START + HOUR, *state.defer_verification())
    await log.append([request, deferral])
    await log.follow()
    assert [work.kind for work in await due(log, START + HOUR)] == ["verify"]
    await log.append([msgspec.structs.replace(completion, version=3)])
    await log.follow()
    works = await unfinished_work.due(log.worker, START + HOUR, 10)
    assert [work.kind for work in works] == ["inspect"]

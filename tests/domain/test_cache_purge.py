"""When caches are to be told of a file, and of which addresses."""

from datetime import datetime

from domain.cache_events import CachePurged, CachePurgeFailed, CachePurgeRequested
from domain.cache_purge import UNDER_WAY, CachedFile
from domain.event import Event
from domain.placement_events import VisibilityChanged
from domain.rendition_events import RenditionsRemoved
from tests.kit.derived import POSTER_STORED, made
from tests.kit.scenario import (
    COMPLETED,
    KEY,
    MEDIA_ID,
    REQUESTED,
    START,
    after,
    deleted,
    history,
    restored,
)

URLS = ("https://media.example/a",)
DELETED = deleted(settles_at=after(seconds=30))


def cached(*events: Event | tuple[datetime, Event]) -> CachedFile:
    return CachedFile.from_history(history(*events))


def purged(again_at: datetime | None = None) -> CachePurged:
    return CachePurged(urls=URLS, cdn="cloudflare", again_at=again_at)


def record(file: CachedFile, at: datetime, cdn: str = "cloudflare") -> list[Event]:
    return file.record_purge(urls=URLS, cdn=cdn, at=at)


def addresses(file: CachedFile) -> tuple[str, ...]:
    return file.urls(
        public_base_url="https://media.example",
        delivery_base_url="https://api.example",
        presets=("thumb_200", "avatar_96"),
    )


def test_an_uploaded_file_calls_for_no_purge() -> None:
    file = cached(REQUESTED, COMPLETED)
    assert not file.is_due(after(hours=1))
    assert record(file, after(hours=1)) == []


def test_a_deleted_file_is_purged_now_and_once_more_when_nothing_can_be_under_way() -> None:
    file = cached(REQUESTED, COMPLETED, DELETED)
    at = after(minutes=1)
    assert record(file, at) == [purged(at + UNDER_WAY)]
    file = cached(REQUESTED, COMPLETED, DELETED, (at, purged(at + UNDER_WAY)))
    assert record(file, at) == []
    assert record(file, at + UNDER_WAY) == [purged()]
    file = cached(REQUESTED, COMPLETED, DELETED, (at, purged(at + UNDER_WAY)), purged())
    assert not file.is_due(after(hours=1))


def test_where_no_cache_is_configured_once_is_enough() -> None:
    file = cached(REQUESTED, COMPLETED, DELETED)
    (event,) = record(file, after(minutes=1), cdn="none")
    assert event == CachePurged(urls=URLS, cdn="none", again_at=None)


def test_a_purge_that_somebody_asks_for_is_made_once() -> None:
    file = cached(REQUESTED, COMPLETED, CachePurgeRequested(reason="user"))
    assert record(file, after(minutes=1)) == [purged()]


def test_one_asked_for_between_two_passes_begins_them_anew() -> None:
    waiting = purged(after(hours=1))
    file = cached(REQUESTED, COMPLETED, DELETED, waiting, CachePurgeRequested(reason="user"))
    at = after(minutes=1)
    assert record(file, at) == [purged(at + UNDER_WAY)]


def test_a_failure_is_said_once_and_can_be_retried() -> None:
    failed = CachePurgeFailed(error="away")
    file = cached(REQUESTED, COMPLETED, DELETED)
    assert file.retry() == []
    assert file.record_failure(error="away") == [failed]
    file = cached(REQUESTED, COMPLETED, DELETED, failed)
    assert file.record_failure(error="away") == []
    assert file.retry() == [CachePurgeRequested(reason="retry")]
    # Whatever had it run after all.
    at = after(minutes=1)
    assert record(file, at) == [purged(at + UNDER_WAY)]


def test_a_deleted_file_had_these_addresses() -> None:
    file = cached(REQUESTED, COMPLETED, DELETED)
    stable = (f"https://api.example/cdn/{KEY}", f"https://api.example/m/{MEDIA_ID}")
    assert set(addresses(file)) == {
        f"https://media.example/{KEY}",
        *stable,
        *(f"{url}?variant={name}" for url in stable for name in ("thumb_200", "avatar_96")),
    }


def test_what_never_was_public_has_none() -> None:
    assert addresses(cached(REQUESTED)) == ()


def test_every_rendition_there_ever_was_had_an_address_too() -> None:
    old, new = made(), made(recipe=2, replaces=made().key)
    file = cached(REQUESTED, COMPLETED, old, POSTER_STORED, new)
    assert {f"https://media.example/{one.key}" for one in (old, POSTER_STORED, new)} <= set(
        addresses(file)
    )
    elsewhere = cached(REQUESTED, COMPLETED, made("since_removed"))
    assert f"https://api.example/m/{MEDIA_ID}?variant=since_removed" in addresses(elsewhere)


def test_renditions_that_were_removed_are_purged() -> None:
    removed = RenditionsRemoved(keys=(made().key,))
    file = cached(REQUESTED, COMPLETED, made(), made(recipe=2, replaces=made().key), removed)
    at = after(minutes=1)
    assert record(file, at) == [purged(at + UNDER_WAY)]
    assert not cached(REQUESTED, COMPLETED, RenditionsRemoved(keys=())).is_due(at)


def test_while_something_may_still_write_the_object_the_last_pass_waits() -> None:
    late = deleted(settles_at=after(hours=2))
    file = cached(REQUESTED, COMPLETED, late)
    assert record(file, after(minutes=1)) == [purged(after(hours=2) + UNDER_WAY)]


def test_a_file_made_private_is_purged_twice_and_one_shown_again_once() -> None:
    """The bucket's 404 may have been kept as well."""
    at = after(minutes=1)
    hidden = VisibilityChanged(key=KEY, is_public=False, settles_at=START)
    shown = VisibilityChanged(key=KEY, is_public=True, settles_at=START)
    assert record(cached(REQUESTED, COMPLETED, hidden), at) == [purged(at + UNDER_WAY)]
    file = cached(REQUESTED, COMPLETED, hidden, purged(at + UNDER_WAY), shown)
    assert file.is_public
    assert record(file, at) == [purged()]
    back = cached(REQUESTED, COMPLETED, DELETED, purged(), restored(settles_at=START))
    assert record(back, at) == [purged()]

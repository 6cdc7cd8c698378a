"""The bin: what was deleted can come back for a time, and its bytes belong to one bucket always."""

import itertools
from collections.abc import Callable, Sequence
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain import bin as bin_
from domain.errors import MediaError, MediaNotFound, NotInBin
from domain.event import Event, Recorded
from domain.media_file import MediaFile, Status
from domain.media_file_events import FileDeleted, ObjectsPurged, PurgeFailed
from domain.placement import PLACEMENT_TIME_LIMIT
from domain.placement_events import (
    FilePurgeRequested,
    FileRestored,
    ObjectsPlaced,
    PlacementFailed,
    VisibilityChanged,
)
from tests.kit.scenario import (
    COMPLETED,
    KEY,
    MEDIA_ID,
    REQUESTED,
    START,
    Given,
    after,
    deleted,
    history,
    restored,
)

MONTH = timedelta(days=30)
DELETED_AT = after(hours=1)
BINNED = (DELETED_AT, deleted(settles_at=DELETED_AT, bin_until=DELETED_AT + MONTH))
PLACED = (after(hours=1, seconds=5), ObjectsPlaced(key=KEY, bucket="private"))
RESTORED = (after(hours=2), restored(settles_at=after(hours=2)))


def test_a_deleted_file_goes_into_the_bin_for_its_time() -> None:
    Given(REQUESTED, COMPLETED).when(lambda file: file.delete(at=DELETED_AT, bin_for=MONTH)).then(
        BINNED[1]
    )


def test_a_cancelled_upload_does_not() -> None:
    (event,) = Given(REQUESTED).file.delete(at=START, bin_for=MONTH)
    assert not isinstance(event, FileDeleted)


def test_the_bytes_of_a_file_in_the_bin_belong_to_the_private_bucket() -> None:
    file = Given(REQUESTED, COMPLETED, BINNED).file
    assert (file.status, file.belongs, file.ended) == (Status.DELETED, "private", False)
    assert file.in_bin is not None
    assert file.in_bin.by == "user:user_789"


def test_a_restored_file_is_what_it_was() -> None:
    file = Given(REQUESTED, COMPLETED).file
    back = Given(REQUESTED, COMPLETED, BINNED, RESTORED).file
    assert back.status is Status.UPLOADED
    assert back.belongs == "public"
    for name in ("key", "file_name", "file_size", "mime_type", "is_public", "created_at"):
        assert getattr(back, name) == getattr(file, name)


def test_restoring_says_when_the_last_writer_is_gone() -> None:
    at = after(hours=2)
    # The bytes are still on their way into the bin.
    Given(REQUESTED, COMPLETED, BINNED).when(lambda file: bin_.restore(file, at=at)).then(
        restored(settles_at=at + PLACEMENT_TIME_LIMIT)
    )
    Given(REQUESTED, COMPLETED, BINNED, PLACED).when(lambda file: bin_.restore(file, at=at)).then(
        restored(settles_at=at)
    )
    soon = after(hours=1, seconds=20)
    Given(REQUESTED, COMPLETED, BINNED, PLACED).when(lambda file: bin_.restore(file, at=soon)).then(
        restored(settles_at=after(hours=1, seconds=5) + PLACEMENT_TIME_LIMIT)
    )


def test_what_is_in_the_library_is_not_in_the_bin() -> None:
    for decide in (bin_.restore, bin_.purge):
        Given(REQUESTED, COMPLETED).when(lambda file, do=decide: do(file, at=DELETED_AT)).refused(  # type: ignore[misc]
            NotInBin
        )


@pytest.mark.parametrize(
    "life",
    [
        (REQUESTED,),
        (REQUESTED, COMPLETED, (DELETED_AT, deleted(settles_at=DELETED_AT))),
        (
            REQUESTED,
            COMPLETED,
            BINNED,
            (after(hours=2), FilePurgeRequested(key=KEY, reason="user", settles_at=START)),
        ),
    ],
    ids=["pending", "deleted for good", "purged"],
)
def test_what_is_nowhere_is_not_found(life: Sequence[Event]) -> None:
    for decide in (bin_.restore, bin_.purge):
        Given(*life).when(lambda file, do=decide: do(file, at=after(hours=3))).refused(  # type: ignore[misc]
            MediaNotFound
        )


def test_after_its_time_a_file_cannot_be_restored_and_is_let_go() -> None:
    over = DELETED_AT + MONTH
    given_one = Given(REQUESTED, COMPLETED, BINNED, PLACED)
    given_one.when(lambda file: bin_.end_retention(file, at=over - timedelta(seconds=1))).then()
    given_one.when(lambda file: bin_.restore(file, at=over)).refused(MediaNotFound)
    given_one.when(lambda file: bin_.end_retention(file, at=over)).then(
        FilePurgeRequested(key=KEY, reason="retention", settles_at=over)
    )


def test_the_removal_of_a_workspace_skips_the_bin_and_empties_it() -> None:
    at = after(hours=3)
    (event,) = bin_.remove(Given(REQUESTED, COMPLETED).file, at=at)
    assert isinstance(event, FileDeleted)
    assert event.bin_until is None
    Given(REQUESTED, COMPLETED, BINNED, PLACED).when(lambda file: bin_.remove(file, at=at)).then(
        FilePurgeRequested(key=KEY, reason="tenant_removed", settles_at=at)
    )


def test_a_change_of_visibility_sends_the_bytes_elsewhere() -> None:
    changed = VisibilityChanged(key=KEY, is_public=False, settles_at=after(hours=1))

    def hide(file: MediaFile) -> list[Event]:
        return bin_.change_visibility(file, is_public=False, at=after(hours=1))

    Given(REQUESTED, COMPLETED).when(hide).then(changed)
    file = Given(REQUESTED, COMPLETED, (after(hours=1), changed)).file
    assert (file.is_public, file.belongs) == (False, "private")
    assert hide(file) == []
    Given(REQUESTED, COMPLETED, BINNED).when(hide).refused(MediaNotFound)


def test_bytes_are_placed_once_and_only_when_nobody_can_write_any_more() -> None:
    late = after(minutes=1)
    binned = (late, deleted(settles_at=after(minutes=2), bin_until=after(hours=9)))
    life = (REQUESTED, COMPLETED, binned)
    for at in (late, after(seconds=119)):
        Given(*life).when(lambda file, at=at: bin_.record_placement(file, at=at)).then()  # type: ignore[misc]
    Given(*life).when(lambda file: bin_.record_placement(file, at=after(minutes=2))).then(
        ObjectsPlaced(key=KEY, bucket="private")
    )
    placed = (after(minutes=2), ObjectsPlaced(key=KEY, bucket="private"))
    Given(*life, placed).when(lambda file: bin_.record_placement(file, at=after(hours=1))).then()


def test_what_cannot_be_moved_out_of_the_public_bucket_is_not_kept() -> None:
    at = after(hours=1, minutes=5)
    failed = PlacementFailed(key=KEY, error="refused")
    gone = FilePurgeRequested(key=KEY, reason="not_kept", settles_at=at + PLACEMENT_TIME_LIMIT)
    Given(REQUESTED, COMPLETED, BINNED).when(
        lambda file: bin_.not_kept(file, error="refused", at=at)
    ).then(failed, gone)
    Given(REQUESTED, COMPLETED, BINNED, (at, failed)).when(
        lambda file: bin_.not_kept(file, error="refused", at=at)
    ).then(gone)
    for life in ((BINNED, PLACED), (BINNED, RESTORED)):
        Given(REQUESTED, COMPLETED, *life).when(
            lambda file: bin_.not_kept(file, error="refused", at=at)
        ).then()


STEPS: dict[str, Callable[[MediaFile, Recorded], list[Event]]] = {
    "complete": lambda file, now: file.complete(served_bytes=9),
    "delete": lambda file, now: file.delete(at=now.at, bin_for=MONTH),
    "delete for good": lambda file, now: file.delete(at=now.at),
    "restore": lambda file, now: bin_.restore(file, at=now.at),
    "purge": lambda file, now: bin_.purge(file, at=now.at),
    "hide": lambda file, now: bin_.change_visibility(file, is_public=False, at=now.at),
    "show": lambda file, now: bin_.change_visibility(file, is_public=True, at=now.at),
    "retention": lambda file, now: bin_.end_retention(file, at=now.at),
    "remove": lambda file, now: bin_.remove(file, at=now.at),
    "placed": lambda file, now: bin_.record_placement(file, at=now.at),
    "stuck": lambda file, now: bin_.record_placement_failure(file, error="away"),
    "not kept": lambda file, now: bin_.not_kept(file, error="away", at=now.at),
    "purged": lambda file, now: file.record_purge(at=now.at),
    "purge failed": lambda file, now: file.record_purge_failure(error="away"),
}


@settings(max_examples=300)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 40 * 24 * 3600)), max_size=25
    )
)
def test_whatever_is_asked_for_the_life_of_a_file_stays_legal(
    steps: list[tuple[str, int]],
) -> None:
    recorded = history(REQUESTED)
    file = MediaFile.from_history(recorded)
    assert file is not None
    at = START
    moves: list[type[Event]] = []
    ended = False
    for name, wait in steps:
        at += timedelta(seconds=wait if wait % 3 else wait % 100)
        now = recorded[-1]
        now = Recorded(
            **{field: getattr(now, field) for field in now.__struct_fields__} | {"at": at}
        )
        try:
            events = STEPS[name](file, now)
        except (MediaError, ValueError):
            continue
        for event in events:
            one = history(event, stream=MEDIA_ID)[0]
            file = MediaFile.evolve(
                file,
                Recorded(
                    **{field: getattr(one, field) for field in one.__struct_fields__}
                    | {"at": at, "version": file.version + 1}
                ),
            )
            moves.append(type(event))
        # What has ended for good never comes back, and its bytes belong nowhere.
        assert not (ended and not file.ended)
        ended = file.ended
        if ended:
            assert file.belongs is None
        if file.in_bin is not None:
            assert file.status is Status.DELETED
            assert file.belongs == "private"
        if file.status is Status.UPLOADED:
            assert file.belongs == ("public" if file.is_public else "private")
            assert file.in_bin is None
        if file.placement.moving:
            assert file.belongs is not None
        if ObjectsPurged in moves:
            assert file.ended
            assert moves.count(ObjectsPurged) == 1
    bin_moves = [move for move in moves if move in (FileDeleted, FileRestored, FilePurgeRequested)]
    # Out of the bin only what is in it, and only once.
    for before, move in itertools.pairwise([None, *bin_moves]):
        assert move is FileDeleted or before is FileDeleted
        assert before is not FilePurgeRequested
        assert not (move is FileDeleted and before is FileDeleted)
    assert PurgeFailed not in moves or file.ended

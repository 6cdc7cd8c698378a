"""Undo of one command on one file: the inverse, or what stands in its way."""

from datetime import timedelta

import msgspec
import pytest

from domain.event import Event, Recorded
from domain.media_file_events import (
    FileDeleted,
    IngestCancelled,
    ObjectsPurged,
    UploadCompleted,
)
from domain.placement import PLACEMENT_TIME_LIMIT
from domain.placement_events import FilePurgeRequested, FileRestored, VisibilityChanged
from domain.undo import Obstacle, is_undoable, undo
from tests.kit.scenario import (
    COMPLETED,
    KEY,
    REQUESTED,
    after,
    cancelled,
    deleted,
    history,
    restored,
)

MONTH = timedelta(days=30)
BINNED = deleted(settles_at=after(hours=1), bin_until=after(days=30))
HIDDEN = VisibilityChanged(key=KEY, is_public=False, settles_at=after(hours=1))
AT = after(hours=9)


def life(*events: Event) -> list[Recorded]:
    """Each event by a command of its own."""
    return [
        msgspec.structs.replace(one, command_id=f"cmd_{one.version}")
        for one in history(
            REQUESTED, COMPLETED, *((after(hours=n), event) for n, event in enumerate(events, 1))
        )
    ]


def undone(history: list[Recorded], number: int) -> list[Event] | Obstacle:
    """Of the n-th event after the upload."""
    return undo(history, history[1 + number], at=AT, bin_for=MONTH)


def test_a_delete_is_undone_by_a_restore() -> None:
    assert undone(life(BINNED), 1) == [restored(settles_at=AT + PLACEMENT_TIME_LIMIT)]


def test_a_restore_is_undone_by_a_delete_of_its_own_time() -> None:
    (event,) = undone(life(BINNED, restored(settles_at=after(hours=2))), 2)
    assert isinstance(event, FileDeleted)
    assert event.bin_until == AT + MONTH


def test_a_change_of_visibility_is_undone_by_the_other() -> None:
    (event,) = undone(life(HIDDEN), 1)
    assert isinstance(event, VisibilityChanged)
    assert event.is_public


@pytest.mark.parametrize(
    ("later", "obstacle"),
    [
        ([restored(settles_at=AT)], Obstacle.CHANGED),
        ([restored(settles_at=AT), BINNED], Obstacle.CHANGED),
        ([FilePurgeRequested(key=KEY, reason="user", settles_at=AT)], Obstacle.PURGED),
        (
            [
                FilePurgeRequested(key=KEY, reason="user", settles_at=AT),
                ObjectsPurged(key=KEY),
            ],
            Obstacle.PURGED,
        ),
    ],
    ids=["restored", "deleted again", "to be purged", "purged"],
)
def test_later_events_make_the_undo_of_a_delete_impossible(
    later: list[Event], obstacle: Obstacle
) -> None:
    assert undone(life(BINNED, *later), 1) is obstacle


def test_after_the_retention_there_is_no_way_back() -> None:
    over = life(BINNED)
    assert undo(over, over[2], at=after(days=30), bin_for=MONTH) is Obstacle.PURGED


def test_without_a_bin_there_is_no_way_back() -> None:
    assert undone(life(deleted(settles_at=AT)), 1) is Obstacle.NO_BIN


def test_a_restore_or_change_that_others_went_on_from_stays() -> None:
    assert undone(life(BINNED, restored(settles_at=AT), HIDDEN), 2) is Obstacle.CHANGED
    assert undone(life(BINNED, restored(settles_at=AT), BINNED), 2) is Obstacle.CHANGED
    assert undone(life(HIDDEN, BINNED), 1) is Obstacle.CHANGED


def test_a_called_off_upload_is_no_file_that_could_come_back() -> None:
    begun = history(REQUESTED, cancelled(after(seconds=1)))
    assert undo(begun, begun[1], at=AT, bin_for=MONTH) is Obstacle.CANCELLED


def test_uploads_have_no_inverse_and_deletions_have() -> None:
    told = history(REQUESTED, COMPLETED, BINNED, IngestCancelled(reason="user"))
    assert [is_undoable([one]) for one in told] == [False, False, True, True]
    assert not is_undoable(told[1:3])
    assert not is_undoable([])
    assert {type(one.event) for one in told} >= {UploadCompleted}
    assert is_undoable([history(restored(settles_at=AT))[0]])
    assert FileRestored.TYPE == "media_file.file_restored.v1"

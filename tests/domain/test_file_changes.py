from domain.event import Event
from domain.file_changes import changes_by_version
from domain.media_file_events import FileDeleted, UploadCompleted
from domain.placement_events import ObjectsPlaced
from tests.kit.log import recorded
from tests.kit.scenario import REQUESTED


def _stream(*events: Event) -> list[dict[str, tuple[object, object]]]:
    history = [
        recorded(event, stream="media_1", version=version)
        for version, event in enumerate(events, start=1)
    ]
    changes = changes_by_version(history)
    return [
        {change.field: (change.before, change.after) for change in changes[version]}
        for version in sorted(changes)
    ]


COMPLETED = UploadCompleted(
    file_name=REQUESTED.file_name,
    file_size=REQUESTED.file_size - 1,
    mime_type=REQUESTED.mime_type,
    service_code=REQUESTED.service_code,
    key=REQUESTED.key,
    is_public=REQUESTED.is_public,
    uploaded_by=REQUESTED.uploaded_by,
    requested_at=recorded().at,
)


def test_a_new_file_comes_with_all_that_is_set() -> None:
    (begun,) = _stream(REQUESTED)
    assert begun["file_name"] == (None, REQUESTED.file_name)
    assert begun["status"] == (None, "pending_upload")
    assert begun["is_public"] == (None, REQUESTED.is_public)
    assert "purged" not in begun
    assert "version" not in begun


def test_an_event_says_only_what_it_changed() -> None:
    _, completed = _stream(REQUESTED, COMPLETED)
    assert completed == {
        "status": ("pending_upload", "uploaded"),
        "file_size": (REQUESTED.file_size, REQUESTED.file_size - 1),
    }


def test_a_delete_changes_the_status() -> None:
    deleted = FileDeleted(
        file_name="a",
        file_size=1,
        mime_type="image/webp",
        service_code="blog",
        key="k",
        is_public=True,
        reason="user",
        bin_until=None,
        settles_at=recorded().at,
    )
    *_, last = _stream(REQUESTED, COMPLETED, deleted)
    assert last["status"] == ("uploaded", "deleted")


def test_the_books_of_inspections_and_moves_are_no_changes() -> None:
    placed = ObjectsPlaced(key=REQUESTED.key, bucket="public")
    *_, last = _stream(REQUESTED, COMPLETED, placed)
    assert last == {}

"""Given these events, when this is decided, then these events follow (or this refusal)."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Self

import pytest

from domain.errors import MediaError
from domain.event import Event, Recorded
from domain.media_file import MediaFile
from domain.media_file_events import (
    FileDeleted,
    IngestRequested,
    UploadCancelled,
    UploadCompleted,
    UploadExpired,
    UploadRejected,
    UploadRequested,
)
from domain.placement_events import FileRestored

START = datetime(2026, 4, 29, 10, tzinfo=UTC)
MEDIA_ID = "media_xK9mQ2pLw3RtYb8c"
KEY = "ls_abc123/blog/2026/04/xK9mQ2pLw3RtYb8c.webp"

INGEST_REQUESTED = IngestRequested(
    source="https://images.example/hero.webp",
    service_code="blog",
    is_public=True,
    uploaded_by="user_789",
    file_name=None,
)
REQUESTED = UploadRequested(
    file_name="hero.webp",
    file_size=245_000,
    mime_type="image/webp",
    service_code="blog",
    key=KEY,
    is_public=True,
    uploaded_by="user_789",
    sha256=None,
)
COMPLETED = UploadCompleted(
    file_name="hero.webp",
    file_size=245_000,
    mime_type="image/webp",
    service_code="blog",
    key=KEY,
    is_public=True,
    uploaded_by="user_789",
    requested_at=START,
)


def after(**duration: float) -> datetime:
    """A time that much after the first event."""
    return START + timedelta(**duration)


def rejected(at: datetime) -> UploadRejected:
    return UploadRejected(
        key=KEY, reason="size", detail="1 byte is stored.", settles_at=at + timedelta(minutes=1)
    )


def expired(at: datetime) -> UploadExpired:
    return UploadExpired(key=KEY, settles_at=at + timedelta(minutes=1))


def cancelled(at: datetime) -> UploadCancelled:
    return UploadCancelled(key=KEY, reason="user", settles_at=at + timedelta(minutes=1))


def deleted(
    *, settles_at: datetime, reason: str = "user", bin_until: datetime | None = None
) -> FileDeleted:
    return FileDeleted(
        file_name="hero.webp",
        file_size=245_000,
        mime_type="image/webp",
        service_code="blog",
        key=KEY,
        is_public=True,
        reason=reason,
        settles_at=settles_at,
        bin_until=bin_until,
    )


def restored(*, settles_at: datetime) -> FileRestored:
    return FileRestored(
        file_name="hero.webp",
        file_size=245_000,
        mime_type="image/webp",
        service_code="blog",
        key=KEY,
        is_public=True,
        settles_at=settles_at,
    )


def history(
    *events: Event | tuple[datetime, Event],
    stream: str = MEDIA_ID,
    owner: str = "t:ls_abc123",
) -> list[Recorded]:
    """The events in their envelopes, a second apart unless a time stands with them."""
    return [
        Recorded(
            stream=stream,
            version=version,
            position=version,
            at=event[0] if isinstance(event, tuple) else after(seconds=version - 1),
            owner=owner,
            actor="user:user_789",
            access="workspace",
            command_id="cmd_1",
            correlation_id="request-1",
            event=event[1] if isinstance(event, tuple) else event,
        )
        for version, event in enumerate(events, 1)
    ]


class Given:
    """A file with a history."""

    def __init__(self, *events: Event | tuple[datetime, Event]) -> None:
        file = MediaFile.from_history(history(*events))
        assert file is not None
        self.file = file
        self._decide: Callable[[MediaFile], Sequence[Event]] = lambda _: []

    def when(self, decide: Callable[[MediaFile], Sequence[Event]]) -> Self:
        self._decide = decide
        return self

    def then(self, *events: Event) -> None:
        assert list(self._decide(self.file)) == list(events)

    def refused(self, error: type[MediaError]) -> None:
        with pytest.raises(error):
            self._decide(self.file)

"""What other services are told: CloudEvents 1.0 made from the log. Pure; a published contract.

Apart from the stored events, so that these may change while what subscribers read does not: fields
are only ever added, and whatever would break a reader becomes a new type beside the old one.
Used by `workers/publisher.py` and `GET /internal/events`.
"""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar

import msgspec

from domain.event import Event, Recorded
from domain.media_file_events import FileDeleted, UploadCompleted, UploadExpired, UploadRejected
from domain.owner import parse
from domain.placement_events import FileRestored, VisibilityChanged

SOURCE = "/media-service"
POSITION_DIGITS = 19


class Announcement(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every announcement says of its file."""

    TYPE: ClassVar[str]
    """The CloudEvents type, given for good."""
    SCHEMA: ClassVar[int] = 1
    """Raised with every added field."""

    media_id: str
    tenant_id: str | None
    """The workspace; null for a personal file."""
    user_id: str | None
    """Whose personal file it is; null for a workspace's."""
    key: str
    """In the bucket. The URL comes from `POST /internal/resolve`."""
    actor: str
    """Who did it: `user:<id>`, `service:<name>` or `system:<process>`."""
    request_id: str
    """The `x-request-id` it was done under."""


class MediaUploaded(Announcement, frozen=True, kw_only=True):
    """The bytes were verified; the file is in the library."""

    TYPE: ClassVar[str] = "media.uploaded"

    service_code: str
    file_name: str
    file_size: int
    """Bytes, of what is served."""
    mime_type: str
    is_public: bool
    uploaded_by: str
    created_at: str
    """When the upload was asked for; RFC 3339."""


class MediaDeleted(Announcement, frozen=True, kw_only=True):
    """The file left the library; its public bytes are being removed. It may be restored."""

    TYPE: ClassVar[str] = "media.deleted"

    service_code: str
    file_name: str
    file_size: int
    """Bytes."""
    mime_type: str
    is_public: bool
    reason: str
    """`user` or `tenant_removed`."""


class MediaRestored(Announcement, frozen=True, kw_only=True):
    """A deleted file came back; its bytes are being put where they were, under the same key."""

    TYPE: ClassVar[str] = "media.restored"

    service_code: str
    file_name: str
    file_size: int
    """Bytes."""
    mime_type: str
    is_public: bool


class MediaVisibilityChanged(Announcement, frozen=True, kw_only=True):
    """The file became public or private; a URL of before no longer works, or one works now."""

    TYPE: ClassVar[str] = "media.visibility_changed"

    is_public: bool


class MediaExpired(Announcement, frozen=True, kw_only=True):
    """An upload was not completed in time; it never became a file."""

    TYPE: ClassVar[str] = "media.expired"


class MediaRejected(Announcement, frozen=True, kw_only=True):
    """The stored bytes were not what was declared; the upload never became a file."""

    TYPE: ClassVar[str] = "media.rejected"

    reason: str
    """A stable code, such as `size`, `type`, `content`, `sha256` or `svg`."""
    detail: str
    """A sentence for people."""


class IntegrationEvent(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvent 1.0 in structured JSON. Attribute names are those of the specification."""

    specversion: str = "1.0"
    id: str
    """The same however often the event is sent, and for ever: file and version in its stream."""
    source: str = SOURCE
    type: str
    subject: str
    """The id of the file. Events of one subject arrive in their order."""
    time: str
    """When it happened; RFC 3339 in UTC."""
    sequence: str
    """Place in the one order of the log, in 19 digits: sorts as text, and is a position."""
    tenantid: str | msgspec.UnsetType = msgspec.UNSET
    """The workspace; absent for a personal file."""
    datacontenttype: str = "application/json"
    dataschema: str
    data: Announcement

    @property
    def position(self) -> int:
        """The sequence as a number."""
        return int(self.sequence)


ANNOUNCED: Mapping[type[Event], type[Announcement]] = {
    UploadCompleted: MediaUploaded,
    FileDeleted: MediaDeleted,
    FileRestored: MediaRestored,
    VisibilityChanged: MediaVisibilityChanged,
    UploadExpired: MediaExpired,
    UploadRejected: MediaRejected,
}
"""Which fact is told as what. A cancelled upload never was a file that anyone was told of."""

TYPES: tuple[str, ...] = tuple(announcement.TYPE for announcement in ANNOUNCED.values())
"""What a subscriber can ask for."""

encode = msgspec.json.Encoder().encode
"""An integration event as bytes: the same ones every time."""


def facts_of(types: Collection[str]) -> list[type[Event]]:
    """The facts behind the given types."""
    return [event for event, announcement in ANNOUNCED.items() if announcement.TYPE in types]


def sequence(position: int) -> str:
    """A position as text that sorts like the number (CloudEvents extension `sequence`)."""
    return str(position).zfill(POSITION_DIGITS)


def schema_name(announcement: type[Announcement]) -> str:
    """What `dataschema` calls the shape of the data."""
    return f"urn:media-service:schema:{announcement.TYPE}:v{announcement.SCHEMA}"


def integration_event(recorded: Recorded) -> IntegrationEvent | None:
    """What subscribers are told of the fact; None when nothing."""
    data = _announcement(recorded)
    if data is None:
        return None
    tenant_id = parse(recorded.owner).tenant_id
    return IntegrationEvent(
        id=f"{recorded.stream}.{recorded.version}",
        type=data.TYPE,
        subject=recorded.stream,
        time=_rfc3339(recorded.at),
        sequence=sequence(recorded.position),
        tenantid=msgspec.UNSET if tenant_id is None else tenant_id,
        dataschema=schema_name(type(data)),
        data=data,
    )


def _announcement(recorded: Recorded) -> Announcement | None:
    match recorded.event:
        case UploadCompleted() as event:
            return MediaUploaded(
                **_file(recorded, event.key),
                service_code=event.service_code,
                file_name=event.file_name,
                file_size=event.file_size,
                mime_type=event.mime_type,
                is_public=event.is_public,
                uploaded_by=event.uploaded_by,
                created_at=_rfc3339(event.requested_at),
            )
        case FileDeleted() as event:
            return MediaDeleted(
                **_file(recorded, event.key),
                service_code=event.service_code,
                file_name=event.file_name,
                file_size=event.file_size,
                mime_type=event.mime_type,
                is_public=event.is_public,
                reason=event.reason,
            )
        case FileRestored() as event:
            return MediaRestored(
                **_file(recorded, event.key),
                service_code=event.service_code,
                file_name=event.file_name,
                file_size=event.file_size,
                mime_type=event.mime_type,
                is_public=event.is_public,
            )
        case VisibilityChanged() as event:
            return MediaVisibilityChanged(**_file(recorded, event.key), is_public=event.is_public)
        case UploadExpired() as event:
            return MediaExpired(**_file(recorded, event.key))
        case UploadRejected() as event:
            return MediaRejected(
                **_file(recorded, event.key), reason=event.reason, detail=event.detail
            )
    return None


def _file(recorded: Recorded, key: str) -> dict[str, Any]:
    owner = parse(recorded.owner)
    return {
        "media_id": recorded.stream,
        "tenant_id": owner.tenant_id,
        "user_id": owner.id if owner.tenant_id is None else None,
        "key": key,
        "actor": recorded.actor,
        "request_id": recorded.correlation_id,
    }


def _rfc3339(at: datetime) -> str:
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"

"""`GET /files/{id}/history`: who did what to one file, what that changed, and in which request."""

from datetime import datetime
from typing import Any

import msgspec
from litestar import get
from litestar.response.base import ASGIResponse

from adapters.owner_log import streams_of
from api.files import visible_owners
from api.parameters import known_id
from api.positions import read_at, wanted_position
from api.routes import MediaRequest, answer, note, runtime_of
from api.security import caller_of
from domain.access import Permission
from domain.errors import MediaNotFound
from domain.file_changes import FieldChange, changes_by_version
from projections import audit_trail
from projections.audit_trail import AuditTrailProjection, HistoryRow, camel
from projections.reading import rfc3339


class FieldDiff(msgspec.Struct, frozen=True, rename={"before": "from", "after": "to"}):
    """One field of the file, before and after."""

    field: str
    before: Any
    after: Any

    @classmethod
    def of(cls, change: FieldChange) -> "FieldDiff":
        """The change in the words of the API."""
        return cls(camel(change.field), _told(change.before), _told(change.after))


class HistoryEntry(HistoryRow, frozen=True, rename="camel"):
    """One event of a file: who, on which ground, in which request, and what it changed."""

    changes: list[FieldDiff]


class History(msgspec.Struct, frozen=True):
    """What happened to a file, oldest first."""

    items: list[HistoryEntry]


def _told(value: object) -> object:
    return rfc3339(value) if isinstance(value, datetime) else value


@get("/files/{media_id:str}/history", access=Permission.FILES_READ, event="media.files.history")
async def history(request: MediaRequest) -> ASGIResponse:
    """Who did what to a file, and what that changed; also after it is gone."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    wanted = wanted_position(request)
    pool = runtime_of(request).pool
    for owner in visible_owners(caller_of(request)):
        found = await read_at(
            request,
            wanted,
            AuditTrailProjection.name,
            lambda owner=owner: audit_trail.history(pool, owner, media_id),  # type: ignore[misc]
        )
        if found.found:
            upto = int(found.found[-1].position)
            stream = (await streams_of(pool, owner, [media_id], upto=upto))[media_id]
            changes = changes_by_version(stream)
            items = [
                HistoryEntry(
                    **msgspec.structs.asdict(row),
                    changes=[FieldDiff.of(one) for one in changes.get(row.version, ())],
                )
                for row in found.found
            ]
            return answer(History(items), position=found.position)
    raise MediaNotFound(media_id)


ROUTES = [history]

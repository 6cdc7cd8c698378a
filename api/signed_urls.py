"""`POST /files/{id}/signed-url`: a URL that serves a file for a while, to whoever has it."""

import msgspec
from litestar import post
from litestar.response.base import ASGIResponse

from api.bodies import Body
from api.files import owners_of
from api.parameters import known_id
from api.positions import read_at, wanted_position
from api.routes import MediaRequest, answer, note, note_file, runtime_of
from api.security import caller_of
from application.ports import Bucket
from domain.access import Permission
from domain.content_disposition import content_disposition
from domain.errors import InvalidField, MediaNotFound
from domain.media_type import MEDIA_TYPES
from projections import file_list
from projections.file_list import FileListProjection
from projections.file_resource import FileResource
from projections.reading import Answer, rfc3339

SHORTEST_SECONDS = 60
LONGEST_SECONDS = 7 * 24 * 3600
"""R2 signs for no longer."""
DEFAULT_SECONDS = 900


class RequestSignedUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Ask for a URL that works without credentials, for a while."""

    expires_in: int = DEFAULT_SECONDS
    download: bool = False


class SignedUrl(msgspec.Struct, frozen=True, rename="camel"):
    """A URL that serves the file until it expires, to whoever has it."""

    url: str
    expires_at: str


REQUEST = Body(RequestSignedUrl)


@post(
    "/files/{media_id:str}/signed-url",
    status_code=200,
    access=Permission.FILES_READ,
    event="media.files.signed_url",
    reads=True,
)
async def signed_url(request: MediaRequest) -> ASGIResponse:
    """A URL that serves the file, private or public, until it expires."""
    asked = await REQUEST.query(request)
    if not SHORTEST_SECONDS <= asked.expires_in <= LONGEST_SECONDS:
        raise InvalidField("expiresIn", f"{SHORTEST_SECONDS} to {LONGEST_SECONDS} seconds")
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    found = await _file(request, media_id)
    file = found.found
    if file is None:
        raise MediaNotFound(media_id)
    note_file(request, file)
    runtime = runtime_of(request)
    bucket: Bucket = "public" if file.is_public else "private"
    kind = MEDIA_TYPES[file.mime_type]
    signed = runtime.objects.sign_get(
        bucket,
        file.key,
        content_disposition=content_disposition(
            file.file_name, "attachment" if asked.download else kind.disposition
        ),
        content_type=file.mime_type,
        lifetime=asked.expires_in,
        at=runtime.clock(),
    )
    return answer(SignedUrl(signed.url, rfc3339(signed.expires_at)), position=found.position)


async def _file(request: MediaRequest, media_id: str) -> Answer[FileResource | None]:
    """The uploaded file, of the caller's workspace or their own."""
    runtime, wanted = runtime_of(request), wanted_position(request)
    found: Answer[FileResource | None] = Answer(None, 0)
    for owner in owners_of(caller_of(request)):
        found = await read_at(
            request,
            wanted,
            FileListProjection.name,
            lambda owner=owner: file_list.by_id(  # type: ignore[misc]
                runtime.pool, owner, media_id, public_base_url=runtime.settings.public_base_url
            ),
        )
        if found.found is not None:
            break
    return found


ROUTES = [signed_url]

"""`POST /files/{id}/signed-url`: a URL that serves a file for a while, to whoever has it."""

from typing import Literal

import msgspec
from litestar import post
from litestar.response.base import ASGIResponse

from api.bodies import Body
from api.files import uploaded_file
from api.on_demand import OnDemand
from api.parameters import known_id
from api.positions import wanted_position
from api.routes import MediaRequest, answer, note, runtime_of
from application.ports import Bucket
from domain.access import Permission
from domain.content_disposition import content_disposition
from domain.errors import InvalidField, MediaNotFound
from domain.media_type import MEDIA_TYPES
from projections.file_resource import FileResource
from projections.reading import rfc3339

SHORTEST_SECONDS = 60
LONGEST_SECONDS = 7 * 24 * 3600
"""R2 signs for no longer."""
DEFAULT_SECONDS = 900


class RequestSignedUrl(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Ask for a URL that works without credentials, for a while."""

    expires_in: int = DEFAULT_SECONDS
    download: bool = False
    variant: str | None = None


class SignedUrl(msgspec.Struct, frozen=True, rename="camel"):
    """A URL that serves the file until it expires, to whoever has it."""

    url: str
    expires_at: str


class Served(msgspec.Struct, frozen=True):
    """What a URL is signed for."""

    bucket: Bucket
    key: str
    name: str
    mime_type: str
    disposition: Literal["inline", "attachment"] = "inline"


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
    on_demand: OnDemand = request.app.state["on_demand"]
    if asked.variant is not None:
        on_demand.preset(asked.variant)
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    found = await uploaded_file(request, media_id, wanted_position(request))
    file = found.found
    if file is None:
        raise MediaNotFound(media_id)
    served = _original(file)
    if asked.variant is not None:
        served = await _variant(request, file, asked.variant, on_demand)
    runtime = runtime_of(request)
    signed = runtime.objects.sign_get(
        served.bucket,
        served.key,
        content_disposition=content_disposition(
            served.name, "attachment" if asked.download else served.disposition
        ),
        content_type=served.mime_type,
        lifetime=asked.expires_in,
        at=runtime.clock(),
    )
    return answer(SignedUrl(signed.url, rfc3339(signed.expires_at)), position=found.position)


def _original(file: FileResource) -> Served:
    return Served(
        "public" if file.is_public else "private",
        file.key,
        file.file_name,
        file.mime_type,
        MEDIA_TYPES[file.mime_type].disposition,
    )


async def _variant(
    request: MediaRequest, file: FileResource, name: str, on_demand: OnDemand
) -> Served:
    """A rendition of the file, in the format that links lead to; made if it must be."""
    line = request.scope["state"]["line"]
    ready = await on_demand.ready(
        file.id, file.mime_type, name, None, correlation_id=line["requestId"]
    )
    shown = f"{file.file_name.rpartition('.')[0] or file.file_name}-{name}"
    extension = ready.key.rpartition(".")[2]
    return Served(ready.bucket, ready.key, f"{shown}.{extension}", ready.mime_type)


ROUTES = [signed_url]

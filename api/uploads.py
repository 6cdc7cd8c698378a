"""The upload routes: presign, complete, status."""

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import get, patch, post
from litestar.response.base import ASGIResponse

from adapters.runtime import Runtime
from api import limits
from api.bodies import Body
from api.errors import envelope
from api.parameters import known_id
from api.positions import wanted_position
from api.routes import MediaRequest, answer, note, note_file, runtime_of, variants_of
from api.security import read_context
from application.uploads import CompleteUpload, PresignedUpload, RequestUpload, VerificationPending
from domain.access import Permission
from domain.errors import MediaError
from domain.media_file import MediaFile, Status
from domain.scanning import Processing, processing_of
from projections.file_resource import FileResource, url_of
from projections.reading import rfc3339

REQUEST_UPLOAD = Body(RequestUpload)
COMPLETE_UPLOAD = Body(CompleteUpload)


class Presigned(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How to upload the bytes: the request to send, exactly as it stands here."""

    media_id: str
    key: str
    upload_url: str
    method: str = "PUT"
    headers: Mapping[str, str]
    public_url: str | None
    """Where the file will be served; None for a private one."""
    expires_at: str


class Verifying(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A worker is fetching or verifying; ask `statusUrl` how it went."""

    media_id: str
    status: str = Status.PENDING
    processing: Processing
    status_url: str


class UploadError(msgspec.Struct, frozen=True):
    """Why an upload is over."""

    code: str
    error: str


class UploadStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where an upload stands, also after it is over."""

    media_id: str
    status: str
    processing: Processing | None
    """What a worker is doing for it."""
    file: FileResource | None
    error: UploadError | None


@post(
    "/upload/presign",
    status_code=200,
    access=Permission.FILES_WRITE,
    event="media.upload.presign",
    limit=limits.PRESIGN,
)
async def presign(request: MediaRequest) -> ASGIResponse:
    """Ask for a URL to upload one file to; it works once, for an hour."""
    command, context = await REQUEST_UPLOAD.command(request)
    note(request, mimeType=command.content_type, fileSize=command.file_size)
    runtime = runtime_of(request)
    upload = await runtime.uploads.request_upload(command, context)
    note(request, mediaId=upload.file.id)
    body = presigned(upload, public_base_url=runtime.settings.public_base_url)
    return answer(body, position=upload.file.position)


def presigned(upload: PresignedUpload, *, public_base_url: str) -> Presigned:
    """The answer to a presign."""
    file, request = upload.file, upload.request
    return Presigned(
        media_id=file.id,
        key=file.key,
        upload_url=request.url,
        headers=request.headers,
        public_url=url_of(file.key, is_public=file.is_public, public_base_url=public_base_url),
        expires_at=rfc3339(request.expires_at),
    )


@patch("/upload/complete", access=Permission.FILES_WRITE, event="media.upload.complete")
async def complete(request: MediaRequest) -> ASGIResponse:
    """Say that the bytes are stored; they are verified and the file appears in the library."""
    command, context = await COMPLETE_UPLOAD.command(request)
    known_id(command.media_id)
    note(request, mediaId=command.media_id)
    runtime = runtime_of(request)
    result = await runtime.uploads.complete_upload(command, context)
    if isinstance(result, VerificationPending):
        status_url = f"/upload/{result.media_id}"
        body = Verifying(
            media_id=result.media_id, processing=result.processing, status_url=status_url
        )
        return answer(body, position=result.position, status=202)
    note_file(request, result)
    file = FileResource.of(
        result, public_base_url=runtime.settings.public_base_url, variants=variants_of(runtime)
    )
    return answer(file, position=result.position)


@get("/upload/{media_id:str}", access=Permission.FILES_WRITE, event="media.upload.status")
async def upload_status(request: MediaRequest) -> ASGIResponse:
    """Where an upload stands, for whoever may complete it."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    wanted = wanted_position(request)
    runtime = runtime_of(request)
    context = read_context(request)
    file = await runtime.uploads.upload_status(media_id, context)
    note_file(request, file)
    try:
        file.check_completable(at=context.at, pending_lifetime=runtime.settings.pending_lifetime)
        refusal = None
    except MediaError as error:
        refusal = error
    # The log itself was asked, so nothing up to the wanted position is missing.
    return answer(
        _status(file, refusal, runtime),
        position=max(file.position, wanted),
    )


def _status(file: MediaFile, refusal: MediaError | None, runtime: Runtime) -> UploadStatus:
    """An upload whose time is over counts as expired, whether the sweep has run or not."""
    status = file.status
    error: Any = refusal and envelope(refusal)
    if status is Status.PENDING and refusal is not None:
        status = Status.EXPIRED
    uploaded = status is Status.UPLOADED
    return UploadStatus(
        media_id=file.id,
        status=status,
        processing=processing_of(file) if status is Status.PENDING else None,
        file=FileResource.of(
            file, public_base_url=runtime.settings.public_base_url, variants=variants_of(runtime)
        )
        if uploaded
        else None,
        error=error and UploadError(error.code, error.error),
    )


ROUTES = [presign, complete, upload_status]

"""The bin's routes: restore, purge, change a file, undo a command."""

import msgspec
from litestar import patch, post
from litestar.response.base import ASGIResponse

from api.bodies import Body, path_context
from api.parameters import known_id
from api.routes import MediaRequest, answer, json_answer, note, note_file, runtime_of, variants_of
from application.bin import ChangeFile
from domain.access import Permission
from domain.media_file import MediaFile
from projections.file_resource import FileResource

CHANGE_FILE = Body(ChangeFile)
MOVING = "moving"


class Undoing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What was undone."""

    command_id: str
    """The command that was undone; the header names the one that undid it."""
    files: list[str]
    """The files that are as they were before it."""
    processing: list[str]
    """Those of them whose bytes are still on their way to where they belong."""


@post(
    "/files/{media_id:str}/restore",
    status_code=200,
    access=Permission.FILES_WRITE,
    event="media.files.restore",
)
async def restore(request: MediaRequest) -> ASGIResponse:
    """Bring a file back out of the bin."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    file = await runtime_of(request).bin.restore_file(media_id, path_context(request))
    return await _placed(request, file)


@patch("/files/{media_id:str}", access=Permission.FILES_WRITE, event="media.files.change")
async def change(request: MediaRequest) -> ASGIResponse:
    """Make a file public or private."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    command, context = await CHANGE_FILE.command(request)
    file = await runtime_of(request).bin.change_file(media_id, command, context)
    return await _placed(request, file)


async def _placed(request: MediaRequest, file: MediaFile) -> ASGIResponse:
    """The file, once its bytes have arrived or the wait is over."""
    note_file(request, file)
    runtime = runtime_of(request)
    moving = []
    if file.placement.moving:
        seconds = runtime.settings.placement_wait_seconds
        moving = await runtime.placement.wait([file], seconds=seconds)
    body = FileResource.of(
        file,
        public_base_url=runtime.settings.public_base_url,
        variants=variants_of(runtime),
        processing=MOVING if moving else None,
    )
    return answer(body, position=file.position)


@post(
    "/files/{media_id:str}/purge",
    status_code=200,
    access=Permission.OWNER,
    event="media.files.purge",
)
async def purge(request: MediaRequest) -> ASGIResponse:
    """Remove a file of the bin for good."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    written = await runtime_of(request).bin.purge_file(media_id, path_context(request))
    note_file(request, written.file)
    return json_answer(written.body, position=written.position)


@post(
    "/commands/{command_id:str}/undo",
    status_code=200,
    access=Permission.FILES_WRITE,
    event="media.commands.undo",
)
async def undo(request: MediaRequest) -> ASGIResponse:
    """Take back all that a command did, or nothing."""
    command_id: str = request.path_params["command_id"]
    runtime = runtime_of(request)
    undone = await runtime.undo.undo_command(command_id, path_context(request))
    note(request, undoes=command_id, count=len(undone.files))
    moving = [file for file in undone.files if file.belongs is not None and file.placement.moving]
    seconds = runtime.settings.placement_wait_seconds
    body = Undoing(
        command_id=undone.answer.command_id,
        files=undone.answer.files,
        processing=await runtime.placement.wait(moving, seconds=seconds),
    )
    return answer(body, position=undone.position)


ROUTES = [restore, change, purge, undo]

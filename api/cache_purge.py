"""`POST /files/{id}/purge-cache`: have caches drop what they keep of a file."""

from litestar import post
from litestar.response.base import ASGIResponse

from api import limits
from api.bodies import path_context
from api.parameters import known_id
from api.routes import MediaRequest, json_answer, note, note_file, runtime_of
from domain.access import Permission


@post(
    "/files/{media_id:str}/purge-cache",
    status_code=202,
    access=Permission.FILES_WRITE,
    event="media.files.purge_cache",
    limit=limits.PURGE_CACHE,
)
async def purge_cache(request: MediaRequest) -> ASGIResponse:
    """Have caches drop every copy of a file; `PURGE /cdn/{key}` is the same."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    key: str | None = request.scope["state"].get("purge_key")
    context = path_context(request)
    written = await runtime_of(request).cache_purges.request_purge(media_id, context, key=key)
    note_file(request, written.file)
    return json_answer(written.body, position=written.position, status=202)


ROUTES = [purge_cache]

"""`/cdn/{key}` and `/m/{id}`: where a public file is served, for anybody.

Bytes come from the bucket's domain: an answer only points, so caches may keep it (ADR 21).
"""

from litestar import route
from litestar.enums import HttpMethod
from litestar.response.base import ASGIResponse

from api.parameters import MAX_SHOWN_ID, known_id, query_parameters
from api.routes import OPEN, MediaRequest, note, runtime_of
from domain.errors import MediaNotFound
from domain.object_key import id_in
from projections.public_files import PublicFile, public_file

KEY_SECONDS = 300
"""How long `/cdn` may be kept: the bytes it leads to are gone at once, whoever still follows it."""
LINK_SECONDS = 60
"""The same of `/m`, which says of an id where it leads today."""
VARIANT = frozenset({"variant"})
ANONYMOUS = [HttpMethod.GET, HttpMethod.HEAD]


@route("/cdn/{key:path}", http_method=ANONYMOUS, access=OPEN, event="media.delivery.key")
async def by_key(request: MediaRequest) -> ASGIResponse:
    """Where the public file with this key is served."""
    key = request.path_params["key"].removeprefix("/")
    media_id = id_in(key)
    if media_id is None:
        raise MediaNotFound(key[:MAX_SHOWN_ID])
    return await _point(request, media_id, key=key, seconds=KEY_SECONDS)


@route("/m/{media_id:str}", http_method=ANONYMOUS, access=OPEN, event="media.delivery.link")
async def by_id(request: MediaRequest) -> ASGIResponse:
    """Where the public file with this id is served: a link that stays."""
    media_id = known_id(request.path_params["media_id"])
    return await _point(request, media_id, key=None, seconds=LINK_SECONDS)


async def _point(
    request: MediaRequest, media_id: str, *, key: str | None, seconds: int
) -> ASGIResponse:
    variant = query_parameters(request.scope["query_string"], VARIANT).get("variant")
    file = await public_file(
        runtime_of(request).pool, media_id, with_renditions=variant is not None
    )
    if file is None or key not in {None, file.key}:
        raise MediaNotFound(media_id)
    note(request, mediaId=media_id, mimeType=file.mime_type)
    return _found(request, file, seconds=seconds)


def _found(request: MediaRequest, file: PublicFile, *, seconds: int) -> ASGIResponse:
    base = runtime_of(request).settings.public_base_url
    headers = {
        "location": f"{base}/{file.key}",
        "cache-control": f"public, max-age={seconds}",
        # Any site may show a public picture; the rule covers what redirects to it, too.
        "cross-origin-resource-policy": "cross-origin",
    }
    return ASGIResponse(status_code=302, headers=headers)


ROUTES = [by_key, by_id]

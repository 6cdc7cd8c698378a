"""`/cdn/{key}` and `/m/{id}`: where a public file is served, for anybody.

Bytes come from the bucket's domain: an answer only points, so caches may keep it (ADR 21).
"""

from litestar import route
from litestar.enums import HttpMethod
from litestar.response.base import ASGIResponse

from api.on_demand import OnDemand, accepted
from api.parameters import MAX_SHOWN_ID, known_id, query_parameters
from api.routes import OPEN, MediaRequest, add_headers, note, runtime_of
from domain.errors import MediaNotFound, RenditionPending, RenditionUnavailable
from domain.object_key import id_in
from projections.public_files import PublicFile, public_file

KEY_SECONDS = 300
"""How long `/cdn` may be kept: the bytes it leads to are gone at once, whoever still follows it."""
LINK_SECONDS = 60
"""The same of `/m`, which says of an id where it leads today."""
VARIANT = frozenset({"variant"})
ANONYMOUS = [HttpMethod.GET, HttpMethod.HEAD]
BY_ACCEPT = {
    "vary": "Accept",
    # Cloudflare ignores such a Vary and would hand everybody the first one's format.
    "cloudflare-cdn-cache-control": "no-store",
}


@route("/cdn/{key:path}", http_method=ANONYMOUS, access=OPEN, event="media.delivery.key")
async def by_key(request: MediaRequest) -> ASGIResponse:
    """Where the public file with this key, or a variant of it, is served."""
    key = request.path_params["key"].removeprefix("/")
    media_id = id_in(key)
    if media_id is None:
        raise MediaNotFound(key[:MAX_SHOWN_ID])
    return await _point(request, media_id, key=key, seconds=KEY_SECONDS)


@route("/m/{media_id:str}", http_method=ANONYMOUS, access=OPEN, event="media.delivery.link")
async def by_id(request: MediaRequest) -> ASGIResponse:
    """Where the public file with this id, or a variant of it, is served: a link that stays."""
    media_id = known_id(request.path_params["media_id"])
    return await _point(request, media_id, key=None, seconds=LINK_SECONDS)


async def _point(
    request: MediaRequest, media_id: str, *, key: str | None, seconds: int
) -> ASGIResponse:
    variant = query_parameters(request.scope["query_string"], VARIANT).get("variant")
    on_demand: OnDemand = request.app.state["on_demand"]
    if variant is not None:
        on_demand.preset(variant)
    file = await public_file(
        runtime_of(request).pool, media_id, with_renditions=variant is not None
    )
    if file is None or key not in {None, file.key}:
        raise MediaNotFound(media_id)
    note(request, mediaId=media_id, mimeType=file.mime_type)
    found = file.key
    headers = {
        "cache-control": f"public, max-age={seconds}",
        # Any site may show a public picture; the rule covers what redirects to it, too.
        "cross-origin-resource-policy": "cross-origin",
    }
    if variant is not None:
        note(request, variant=variant)
        found = await _rendition(request, media_id, file, variant, on_demand)
        headers |= BY_ACCEPT
    headers["location"] = f"{runtime_of(request).settings.public_base_url}/{found}"
    return ASGIResponse(status_code=302, headers=headers)


async def _rendition(
    request: MediaRequest, media_id: str, file: PublicFile, name: str, on_demand: OnDemand
) -> str:
    """The key of the variant: as the file's row has it, else made, as a fact of the file."""
    accept = accepted(request.headers)
    stored = file.stored(name, on_demand.preset(name), accept)
    if stored is not None:
        if not stored.key:
            raise RenditionUnavailable(name, stored.failed)
        return stored.key
    try:
        ready = await on_demand.ready(
            media_id,
            file.mime_type,
            name,
            accept,
            correlation_id=request.scope["state"]["line"]["requestId"],
        )
    except RenditionPending as pending:
        add_headers(request, {"retry-after": str(pending.details["retryAfter"])})
        raise
    if ready.bucket != "public":
        # Hidden while it was made.
        raise MediaNotFound(media_id)
    return ready.key


ROUTES = [by_key, by_id]

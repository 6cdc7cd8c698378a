"""`/cdn/{key}` and `/m/{id}`: where a public file is served, for anybody.

Bytes come from the bucket's domain: an answer only points, so caches may keep it (ADR 21).
"""

from litestar import route
from litestar.enums import HttpMethod
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from api.on_demand import OnDemand, accepted
from api.parameters import MAX_SHOWN_ID, known_id, query_parameters
from api.routes import OPEN, MediaRequest, add_headers, note, runtime_of
from domain.errors import MediaNotFound, RenditionPending, RenditionUnavailable
from domain.object_key import media_id_of_key
from projections.public_files import PublicFile, PublicFiles

KEY_SECONDS = 300
"""How long `/cdn` may be kept: the bytes it leads to are gone at once, whoever still follows it."""
LINK_SECONDS = 60
"""The same of `/m`, which says of an id where it leads today."""
VARIANT = frozenset({"variant"})
ANONYMOUS = [HttpMethod.GET, HttpMethod.HEAD]
ALWAYS = (
    (b"content-length", b"0"),
    # Any site may show a public picture; the rule covers what redirects to it, too.
    (b"cross-origin-resource-policy", b"cross-origin"),
)
BY_ACCEPT = (
    (b"vary", b"Accept"),
    # Cloudflare ignores such a Vary and would hand everybody the first one's format.
    (b"cloudflare-cdn-cache-control", b"no-store"),
)


class Redirect(ASGIResponse):
    """302 without a body. Of its own, since the framework's takes half of what the query takes."""

    def __init__(self, location: str, *, seconds: int, by_accept: bool) -> None:
        self._headers = [
            (b"location", location.encode()),
            (b"cache-control", b"public, max-age=%d" % seconds),
            *ALWAYS,
            *(BY_ACCEPT if by_accept else ()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send it."""
        start = {"type": "http.response.start", "status": 302, "headers": self._headers}
        await send(start)  # type: ignore[arg-type]
        await send({"type": "http.response.body", "body": b"", "more_body": False})


@route("/cdn/{key:path}", http_method=ANONYMOUS, access=OPEN, event="media.delivery.key")
async def by_key(request: MediaRequest) -> ASGIResponse:
    """Where the public file with this key, or a variant of it, is served."""
    key = request.path_params["key"].removeprefix("/")
    media_id = media_id_of_key(key)
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
    public: PublicFiles = request.app.state["public_files"]
    file = await public.find(media_id, with_renditions=variant is not None)
    if file is None or key not in {None, file.key}:
        raise MediaNotFound(media_id)
    note(request, mediaId=media_id, mimeType=file.mime_type)
    found = file.key
    if variant is not None:
        note(request, variant=variant)
        found = await _rendition(request, media_id, file, variant, on_demand)
    location = f"{runtime_of(request).settings.public_base_url}/{found}"
    return Redirect(location, seconds=seconds, by_accept=variant is not None)


async def _rendition(
    request: MediaRequest, media_id: str, file: PublicFile, name: str, on_demand: OnDemand
) -> str:
    """The key of the variant: as the file's row has it, else made, as a fact of the file."""
    accept = accepted(request.scope["headers"])
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

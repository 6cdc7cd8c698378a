"""`/openapi.json` and `/docs`, where the settings allow them (development)."""

from pathlib import Path

from litestar import get
from litestar.response.base import ASGIResponse

from api import files, library_changes, uploads
from api.openapi import document
from api.routes import OPEN, MediaRequest, json_answer

PAGE = (Path(__file__).parent / "docs.html").read_bytes()
SCRIPT = (Path(__file__).parent / "docs.js").read_bytes()
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@get("/openapi.json", access=OPEN, event="media.docs.openapi")
async def openapi(request: MediaRequest) -> ASGIResponse:  # noqa: ARG001 - Litestar's signature
    """The OpenAPI document."""
    return json_answer(document([*uploads.ROUTES, *files.ROUTES, *library_changes.ROUTES]))


@get("/docs", access=OPEN, event="media.docs.page")
async def page(request: MediaRequest) -> ASGIResponse:  # noqa: ARG001
    """The document for people."""
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY}
    return ASGIResponse(body=PAGE, media_type="text/html", headers=headers)


@get("/docs/page.js", access=OPEN, event="media.docs.script")
async def script(request: MediaRequest) -> ASGIResponse:  # noqa: ARG001
    """The page's own script."""
    return ASGIResponse(body=SCRIPT, media_type="text/javascript")


ROUTES = [openapi, page, script]

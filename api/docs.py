"""`/openapi.json` and `/docs`, where the settings allow them (development)."""

from pathlib import Path

from litestar import get
from litestar.response.base import ASGIResponse

from api.openapi import document
from api.public_routes import ROUTES as PUBLIC
from api.routes import OPEN, MediaRequest, json_answer, runtime_of

PAGE = (Path(__file__).parent / "docs.html").read_bytes()
STYLE = (Path(__file__).parent / "docs.css").read_bytes()
SCRIPT = (Path(__file__).parent / "docs.js").read_bytes()
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


@get("/openapi.json", access=OPEN, event="media.docs.openapi")
async def openapi(request: MediaRequest) -> ASGIResponse:
    """The OpenAPI document."""
    return json_answer(document(PUBLIC, runtime_of(request).settings))


@get("/docs", access=OPEN, event="media.docs.page")
async def page(request: MediaRequest) -> ASGIResponse:  # noqa: ARG001 - Litestar's signature
    """The document for people."""
    headers = {"content-security-policy": CONTENT_SECURITY_POLICY}
    return ASGIResponse(body=PAGE, media_type="text/html", headers=headers)


@get("/docs/page.js", access=OPEN, event="media.docs.script")
async def script(request: MediaRequest) -> ASGIResponse:  # noqa: ARG001
    """The page's own script."""
    return ASGIResponse(body=SCRIPT, media_type="text/javascript")


@get("/docs/page.css", access=OPEN, event="media.docs.style")
async def style(request: MediaRequest) -> ASGIResponse:  # noqa: ARG001
    """The page's own style."""
    return ASGIResponse(body=STYLE, media_type="text/css")


ROUTES = [openapi, page, style, script]

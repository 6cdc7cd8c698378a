"""Health and readiness, for the gateway and whoever runs the processes. Nobody is asked who."""

from typing import Literal

import msgspec
from litestar import get, route
from litestar.enums import HttpMethod
from litestar.response.base import ASGIResponse

from adapters.readiness import TOLD_ONLY
from adapters.readiness import Readiness as Probes
from api.routes import OPEN, MediaRequest, answer, json_answer


class Health(msgspec.Struct, frozen=True):
    """The process runs."""

    status: str
    service: str
    version: str


class Readiness(msgspec.Struct, frozen=True):
    """Each dependency, and whether all of them answer."""

    status: Literal["ok", "failed"]
    checks: dict[str, Literal["ok", "failed"]]


HEALTH = b'{"status":"ok","service":"media","version":"1.0.0"}'
NOT_READY = 503


@route("/health", http_method=[HttpMethod.GET, HttpMethod.HEAD], access=OPEN, event="media.health")
async def health(request: MediaRequest) -> ASGIResponse:
    """The process runs."""
    if request.scope["method"] == HttpMethod.HEAD:
        return ASGIResponse(is_head_response=True, headers={"content-length": str(len(HEALTH))})
    return json_answer(HEALTH)


@get("/ready", access=OPEN, event="media.ready")
async def ready(request: MediaRequest) -> ASGIResponse:
    """Each dependency: `ok` or `failed`; 503 when one fails that requests need."""
    probes: Probes = request.app.state["readiness"]
    checks = await probes.check()
    ok = all(passed for name, passed in checks.items() if name not in TOLD_ONLY)
    body = Readiness(
        "ok" if ok else "failed",
        {name: "ok" if passed else "failed" for name, passed in checks.items()},
    )
    return answer(body, status=200 if ok else NOT_READY)


ROUTES = [health, ready]

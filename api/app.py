"""`python -m api.app`: the public app, behind the gateway."""

import sys
from collections.abc import Sequence

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp, ControllerRouterHandler

from adapters.readiness import Readiness
from adapters.runtime import Runtime, open_api_runtime
from api import docs, files, operations, uploads, webhooks
from api.cursors import Cursors
from api.errors import answer_error
from api.metrics import Metrics
from api.process import run
from api.request_log import RequestLog
from api.security import check_caller
from projections.read_models import READ_MODELS

ROUTES = [*uploads.ROUTES, *files.ROUTES, *webhooks.ROUTES, *operations.ROUTES]


def create_app(runtime: Runtime) -> ASGIApp:
    """The public app on an open runtime."""
    return assemble(runtime, [*ROUTES, *(docs.ROUTES if runtime.settings.docs else ())])


def assemble(runtime: Runtime, routes: Sequence[ControllerRouterHandler]) -> ASGIApp:
    """Routes with all that both apps have around them."""
    metrics = Metrics()
    readiness = Readiness(
        runtime.pool,
        runtime.objects,
        redis_url=runtime.settings.redis_url,
        followers=frozenset(READ_MODELS),
    )
    app = Litestar(
        route_handlers=routes,
        before_request=check_caller,
        exception_handlers={Exception: answer_error},
        openapi_config=None,
        logging_config=None,
        request_max_body_size=None,  # api/bodies.py has its own, far lower limit
        state=State(
            {
                "runtime": runtime,
                "cursors": Cursors(runtime.settings.cursor_keys),
                "metrics": metrics,
                "readiness": readiness,
            },
            deep_copy=False,
        ),
    )
    return RequestLog(app, identities=runtime.identities, metrics=metrics)


if __name__ == "__main__":
    sys.exit(run("api", open_api_runtime, create_app, port=lambda settings: settings.port))

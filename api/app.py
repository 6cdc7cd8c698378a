"""`python -m api.app`: the public app, behind the gateway."""

import sys
from collections.abc import Callable, Sequence

from litestar import Litestar
from litestar.datastructures import State
from litestar.types import ASGIApp, ControllerRouterHandler

from adapters.decoder_check import DecoderCheck
from adapters.readiness import Readiness
from adapters.runtime import Runtime, open_api_runtime
from adapters.scanner_check import ScannerCheck
from api import docs
from api.cors import Cors
from api.cursors import Cursors
from api.errors import answer_error
from api.live_library import LiveLibrary
from api.metrics import Metrics
from api.on_demand import OnDemand
from api.process import run
from api.public_routes import ROUTES
from api.purge_method import PurgeMethod
from api.request_log import RequestLog
from api.routes import variants_of
from api.security import check_caller
from api.time_travel import TimeTravel
from projections.public_files import PublicFiles
from projections.read_models import READ_MODELS
from projections.waiting import Checkpoints


def create_app(runtime: Runtime) -> RequestLog:
    """The public app on an open runtime."""
    routes = [*ROUTES, *(docs.ROUTES if runtime.settings.docs else ())]
    checkpoints = Checkpoints(runtime.pool)
    return assemble(
        runtime,
        routes,
        cors=Cors(runtime.settings.allowed_origins),
        inside=PurgeMethod,
        live_library=LiveLibrary(runtime),
        on_demand=OnDemand(runtime.renditions, runtime.settings.presets),
        checkpoints=checkpoints,
        time_travel=TimeTravel(
            runtime.pool,
            checkpoints,
            clock=runtime.clock,
            public_base_url=runtime.settings.public_base_url,
            at_most=runtime.settings.as_of_events,
            variants=variants_of(runtime),
        ),
    )


def assemble(
    runtime: Runtime,
    routes: Sequence[ControllerRouterHandler],
    *,
    cors: Cors | None = None,
    decoders: DecoderCheck | None = None,
    inside: Callable[[ASGIApp], ASGIApp] = lambda app: app,
    scanner: ScannerCheck | None = None,
    **state: object,
) -> RequestLog:
    """Routes with all that both apps have around them; `state` is what only one of them has.

    Without `cors` for no page at all; `decoders` and `scanner` where readiness tells of them;
    `inside` is put directly around the routes.
    """
    metrics = Metrics()
    readiness = Readiness(
        runtime.pool,
        runtime.objects,
        redis_url=runtime.settings.redis_url,
        followers=frozenset(READ_MODELS),
        decoders=decoders,
        scanner=scanner,
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
                "checkpoints": Checkpoints(runtime.pool),
                "public_files": PublicFiles(runtime.pool),
                "cursors": Cursors(runtime.settings.cursor_keys),
                "metrics": metrics,
                "readiness": readiness,
                **state,
            },
            deep_copy=False,
        ),
    )
    return RequestLog(inside(app), identities=runtime.identities, metrics=metrics, cors=cors)


if __name__ == "__main__":
    sys.exit(run("api", open_api_runtime, create_app, port=lambda settings: settings.port))

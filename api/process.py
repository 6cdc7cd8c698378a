"""How an HTTP process begins and ends: settings, logs, uvicorn; SIGTERM and SIGINT drain it.

Used by `python -m api.app` and `python -m api.internal_app`.
"""

import asyncio
import gc
import signal
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import uvicorn

from adapters import event_loop
from adapters.metrics import keep_metrics
from adapters.runtime import Runtime
from adapters.settings import Settings, SettingsError
from adapters.stop_points import stop_point
from adapters.tasks import ended
from adapters.telemetry import configure, get_logger
from adapters.tracing import tracing
from api.before_answer import before_answer
from api.draining_server import FIRST_REQUEST_SECONDS, DrainingServer
from api.http_protocol import EnvelopeProtocol
from api.request_log import RequestLog

DRAIN_SECONDS = 28
"""Longer than an ingest may wait (25 s), shorter than the 30 s after which deployers kill."""
GARBAGE_THRESHOLD = 10_000
"""Objects made and not freed before the collector looks at the young ones; Python's own is 700."""
KEEP_ALIVE_SECONDS = 75
"""Longer than a gateway keeps an idle connection: else it sends into one that just closed."""

Create = Callable[[Runtime], RequestLog]
Open = Callable[[Settings], AbstractAsyncContextManager[Runtime]]


def run(
    process: str,
    open_runtime: Open,
    create: Create,
    *,
    port: Callable[[Settings], int],
) -> int:
    """Serve until asked to stop, finish the requests in flight; the exit code."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there are no log settings yet
        return 2
    configure(settings, process=process)
    log = get_logger()
    try:
        with tracing(settings, process=process):
            return event_loop.run(_serve(settings, open_runtime, create, port(settings)))
    except Exception:
        log.exception("media.process.crashed")
        return 1


def _spare_the_collector() -> None:
    """Requests leave few cycles behind; what start-up made is there to stay and not looked at."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_THRESHOLD, 20, 20)


async def _serve(settings: Settings, open_runtime: Open, create: Create, port: int) -> int:
    log = get_logger()
    async with open_runtime(settings) as runtime:
        app = create(runtime)
        server = DrainingServer(
            uvicorn.Config(
                before_answer(app, stop_point(settings.stop_point)),
                host=settings.host,
                port=port,
                http=EnvelopeProtocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=int(DRAIN_SECONDS - FIRST_REQUEST_SECONDS),
            )
        )

        def stop() -> None:
            log.info("media.process.draining")
            server.should_exit = True
            runtime.draining.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        _spare_the_collector()
        metrics = asyncio.create_task(keep_metrics(settings, app.metrics.registry))
        try:
            await server.serve()
        except SystemExit:  # uvicorn's way to say that it could not listen; it has logged why
            return 1
        finally:
            await ended(metrics)
        log.info("media.process.stopped", status=0)
    return 0

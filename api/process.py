"""How an HTTP process begins and ends: settings, logs, uvicorn; SIGTERM and SIGINT drain it.

Used by `python -m api.app` and `python -m api.internal_app`.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager

import uvicorn
from litestar.types import ASGIApp

from adapters.runtime import Runtime
from adapters.settings import Settings, SettingsError
from adapters.telemetry import configure, get_logger

DRAIN_SECONDS = 25
"""Longer than a complete may take (10 s), shorter than the 30 s after which deployers kill."""
KEEP_ALIVE_SECONDS = 75
"""Longer than a gateway keeps an idle connection: else it sends into one that just closed."""

Open = Callable[[Settings], AbstractAsyncContextManager[Runtime]]


class Server(uvicorn.Server):
    """Leaves the signals to us: uvicorn raises them again at the end, which is no exit 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


def run(
    process: str,
    open_runtime: Open,
    create: Callable[[Runtime], ASGIApp],
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
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(_serve(settings, open_runtime, create, port(settings)))
    except Exception:
        log.exception("media.process.crashed")
        return 1


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - there is none for Windows
    except ImportError:
        return None
    return uvloop.new_event_loop


async def _serve(
    settings: Settings, open_runtime: Open, create: Callable[[Runtime], ASGIApp], port: int
) -> int:
    log = get_logger()
    async with open_runtime(settings) as runtime:
        server = Server(
            uvicorn.Config(
                create(runtime),
                host=settings.host,
                port=port,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )

        def stop() -> None:
            log.info("media.process.draining")
            server.should_exit = True
            runtime.draining.set()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            await server.serve()
        except SystemExit:  # uvicorn's way to say that it could not listen; it has logged why
            return 1
        log.info("media.process.stopped", status=0)
    return 0

"""How a worker process begins and ends: settings, logs, and SIGTERM or SIGINT as a request to stop.

Used by every `python -m workers.<process>`.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from adapters import event_loop
from adapters.metrics import keep_metrics
from adapters.settings import Settings, SettingsError
from adapters.tasks import ended
from adapters.telemetry import configure, get_logger
from adapters.tracing import tracing

LIVENESS_SECONDS = 5.0
"""A health check may take a file older than a few of these for a hang."""

Main = Callable[[Settings, asyncio.Event], Awaitable[int]]


def run(process: str, main: Main) -> int:
    """Run until `main` returns, which it does soon after its event is set; the exit code."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there are no log settings yet
        return 2
    configure(settings, process=process)
    log = get_logger()

    async def until_stopped() -> int:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        log.info("media.process.started")
        living = asyncio.gather(_show_life(settings.liveness_file), keep_metrics(settings))
        try:
            code = await main(settings, stop)
        finally:
            await ended(living)
        log.info("media.process.stopped", status=code)
        return code

    try:
        with tracing(settings, process=process):
            return event_loop.run(until_stopped())
    except Exception:
        log.exception("media.process.crashed")
        return 1


async def _show_life(file: str) -> None:
    """Touch the file as long as the event loop turns."""
    while file:
        await asyncio.to_thread(Path(file).touch)
        await asyncio.sleep(LIVENESS_SECONDS)


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, but not longer than until the process is asked to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()

"""How the two development servers begin and end: `api/dev_edge.py` and `api/dev_gateway.py`."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import uvicorn

from adapters.settings import Settings, SettingsError
from adapters.telemetry import configure
from api.draining_server import Server

CONNECT_SECONDS = 3
ANSWER_SECONDS = 60
DRAIN_SECONDS = 5

Open = Callable[[Settings], AbstractAsyncContextManager[Any]]
"""Opens the ASGI app, and closes it at the end."""


@asynccontextmanager
async def open_upstream() -> AsyncIterator[httpx.AsyncClient]:
    """Connections to what a development server stands before."""
    async with httpx.AsyncClient(
        trust_env=False,
        timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, pool=None),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
    ) as upstream:
        yield upstream


def run(process: str, open_app: Open, *, port: Callable[[Settings], int]) -> int:
    """Serve until SIGTERM or SIGINT, but never in production; the exit code."""
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(error, file=sys.stderr)  # noqa: T201 - there are no log settings yet
        return 2
    if settings.environment == "production":
        print(f"The development {process} does not run in production.", file=sys.stderr)  # noqa: T201
        return 2
    configure(settings, process=process)
    return asyncio.run(_serve(settings, open_app, port(settings)))


async def _serve(settings: Settings, open_app: Open, port: int) -> int:
    async with open_app(settings) as app:
        server = Server(
            uvicorn.Config(
                app,
                host=settings.host,
                port=port,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)  # noqa: FBT003
        try:
            await server.serve()
        except SystemExit:  # uvicorn's way to say that it could not listen; it has logged why
            return 1
    return 0

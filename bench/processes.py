"""Our real processes on a benchmark's own servers."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from adapters.settings import child_environment


@asynccontextmanager
async def processes(
    *modules: str, database_url: str, redis_url: str, namespace: str, **settings: str
) -> AsyncIterator[Mapping[str, int]]:
    """`python -m` each of the modules; their process ids. They must end well when asked to."""
    environment = {
        "MEDIA_ENVIRONMENT": "development",
        "MEDIA_DATABASE_URL": database_url,
        "MEDIA_REDIS_URL": redis_url,
        "MEDIA_REDIS_NAMESPACE": namespace,
        "MEDIA_PUBLIC_BASE_URL": "http://media.test",
        "MEDIA_S3_ENDPOINT": "http://127.0.0.1:9",
        "MEDIA_S3_ACCESS_KEY": "bench",
        "MEDIA_S3_SECRET_KEY": "bench",
        **{f"MEDIA_{name.upper()}": text for name, text in settings.items()},
    }
    running = {
        module: await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            env=child_environment(environment),
            stdout=asyncio.subprocess.DEVNULL,
        )
        for module in modules
    }
    try:
        yield {module: process.pid for module, process in running.items()}
    finally:
        for process in running.values():
            process.send_signal(signal.SIGTERM)
        codes = {module: await process.wait() for module, process in running.items()}
        assert not any(codes.values()), codes

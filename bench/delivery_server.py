"""The delivery routes beside a health check with one query, in one process behind the same layers.

`python -m bench.delivery_server`, with settings in the environment. Started by `bench.delivery`.
"""

import sys

from litestar import get
from litestar.response.base import ASGIResponse

from adapters.runtime import Runtime, open_api_runtime
from api import delivery
from api.app import assemble
from api.on_demand import OnDemand
from api.operations import HEALTH
from api.process import run
from api.request_log import RequestLog
from api.routes import OPEN, MediaRequest, json_answer, runtime_of


@get("/health-with-query", access=OPEN, event="media.bench.health")
async def health(request: MediaRequest) -> ASGIResponse:
    """The process runs, and so does its database."""
    async with runtime_of(request).pool.connection() as connection:
        await (await connection.execute("SELECT 1", binary=True)).fetchone()
    return json_answer(HEALTH)


def create_app(runtime: Runtime) -> RequestLog:
    """Nothing else."""
    return assemble(
        runtime,
        [*delivery.ROUTES, health],
        on_demand=OnDemand(runtime.renditions, runtime.settings.presets),
    )


if __name__ == "__main__":
    sys.exit(run("bench", open_api_runtime, create_app, port=lambda settings: settings.port))

"""The processes the service is made of: one table for `./dev up`, `compose.yaml` and its test."""

import msgspec


class Process(msgspec.Struct, frozen=True, kw_only=True):
    """One process of ours, started as `python -m <module>`."""

    name: str
    module: str
    needs: tuple[str, ...]
    """The servers it talks to: postgres, valkey, s3."""
    port_setting: str | None = None
    """The setting that names the port it listens on."""
    ready_path: str | None = None
    """What answers 200 once it is ready; of others it is enough that they run."""
    production: bool = True
    """False for what stands in for something that production has elsewhere."""


MIGRATE = Process(name="migrate", module="workers.migrate", needs=("postgres",))
"""Runs to its end before the others start."""

PROCESSES = (
    Process(
        name="edge",
        module="api.dev_edge",
        needs=("s3",),
        port_setting="edge_port",
        production=False,
    ),
    Process(
        name="api",
        module="api.app",
        needs=("postgres", "valkey", "s3"),
        port_setting="port",
        ready_path="/ready",
    ),
    Process(
        name="internal",
        module="api.internal_app",
        needs=("postgres", "valkey", "s3"),
        port_setting="internal_port",
        ready_path="/ready",
    ),
    Process(name="projector", module="workers.projector", needs=("postgres", "valkey")),
    Process(name="reactor", module="workers.reactor", needs=("postgres", "valkey")),
    Process(name="publisher", module="workers.publisher", needs=("postgres", "valkey")),
    Process(name="jobs", module="workers.jobs", needs=("postgres", "valkey", "s3")),
    Process(name="webhooks", module="workers.webhooks", needs=("postgres", "valkey", "s3")),
    Process(name="scheduler", module="workers.scheduler", needs=("postgres", "valkey")),
)

WEB = Process(
    name="web",
    module="api.dev_gateway",
    needs=(),
    port_setting="web_port",
    ready_path="/dashboard/media",
    production=False,
)
"""The dashboard behind a stand-in for LogicSpike's gateway; only `./dev up` runs it."""

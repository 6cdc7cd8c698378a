"""`./dev up`: the whole service on embedded servers, in one process tree that ends with Ctrl-C."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from adapters.embedded import (
    BUCKETS,
    LOOPBACK,
    MissingBinary,
    ObjectServer,
    Postgres,
    Valkey,
    free_port,
    http_status,
)
from adapters.metrics import forget_process
from adapters.postgres_migrations import MigrationError, migrate
from adapters.settings import DEVELOPMENT_GATEWAY_KEY, child_environment
from adapters.supervisor import Program, ProgramFailed, Supervisor
from domain.errors import DatabaseUnavailable
from workers import dashboard
from workers.home import Home, HomeTaken, open_home
from workers.output import Output
from workers.ports import Ports, PortTaken, check_ports
from workers.processes import WEB, Process

ROOT = Path(__file__).resolve().parent.parent
READY_SECONDS = 60.0
POLL_SECONDS = 0.2
"""A process that is not ready yet says so each time it is asked."""
RESTART_SECONDS = 1.0
WEB_PORT = 3000
STOP_SECONDS = 30.0
"""Longer than requests and jobs may drain."""
KILLED = 130


class Instance(msgspec.Struct, frozen=True, kw_only=True):
    """The servers and addresses of one running `./dev up`."""

    home: Home
    ports: Ports
    metrics: Path
    """Where the processes keep their numbers, so that the internal app can show all."""
    postgres: Postgres
    valkey: Valkey
    objects: ObjectServer

    @property
    def database_url(self) -> str:
        """The service's database, as its owner."""
        return self.postgres.database_url("media")

    def settings(self) -> dict[str, str]:
        """What every process of ours is configured with."""
        edge = self.ports.url("edge_port")
        return {
            "MEDIA_ENVIRONMENT": "development",
            "MEDIA_DATABASE_URL": self.database_url,
            "MEDIA_REDIS_URL": self.valkey.url,
            "MEDIA_PUBLIC_BASE_URL": edge,
            "MEDIA_DELIVERY_BASE_URL": self.ports.url("port"),
            # The edge keeps copies as a CDN does, and is purged as Cloudflare is.
            "MEDIA_CLOUDFLARE_ZONE_ID": "development",
            "MEDIA_CLOUDFLARE_API_TOKEN": self.objects.secret_key,
            "MEDIA_CLOUDFLARE_API_URL": f"{edge}/client/v4",
            "MEDIA_S3_ENDPOINT": self.objects.endpoint,
            "MEDIA_S3_UPLOAD_ENDPOINT": edge,
            "MEDIA_S3_REGION": "us-east-1",
            "MEDIA_S3_ACCESS_KEY": self.objects.access_key,
            "MEDIA_S3_SECRET_KEY": self.objects.secret_key,
            **{f"MEDIA_S3_{bucket.upper()}_BUCKET": bucket for bucket in BUCKETS},
            "MEDIA_HOST": LOOPBACK,
            "MEDIA_PORT": str(self.ports.port),
            "MEDIA_INTERNAL_PORT": str(self.ports.internal_port),
            "MEDIA_EDGE_PORT": str(self.ports.edge_port),
            "MEDIA_WEB_PORT": str(self.ports.web_port or WEB_PORT),
            "MEDIA_HOME": str(self.home.place),
            "PROMETHEUS_MULTIPROC_DIR": str(self.metrics),
        }

    def environment(self) -> dict[str, str]:
        """The whole environment of a child; what says how to behave may be set by the caller."""
        return child_environment(
            self.settings() | {"PYTHONUNBUFFERED": "1"},
            defaults={
                "MEDIA_DOCS": "true",
                "MEDIA_LOG_FORMAT": "console",
                "MEDIA_GATEWAY_KEYS": DEVELOPMENT_GATEWAY_KEY,
            },
        )

    def own_variables(self) -> dict[str, str]:
        """The part of it that starts one of the processes by hand."""
        return {
            name: text for name, text in self.environment().items() if name.startswith("MEDIA_")
        }

    @property
    def gateway_key(self) -> str:
        """One that the apps accept."""
        return self.environment()["MEDIA_GATEWAY_KEYS"].split(",")[0].strip()

    @property
    def web(self) -> str | None:
        """Where the dashboard is."""
        return None if self.ports.web_port is None else self.ports.url("web_port")

    def run_file(self, pids: Mapping[str, int]) -> dict[str, object]:
        """What run.json says."""
        return {
            "api": self.ports.url("port"),
            "internal": self.ports.url("internal_port"),
            "edge": self.ports.url("edge_port"),
            "web": self.web,
            "gatewayKey": self.gateway_key,
            "database": self.database_url,
            "redis": self.valkey.url,
            "objectStore": {
                "endpoint": self.objects.endpoint,
                "accessKey": self.objects.access_key,
                "secretKey": self.objects.secret_key,
                "buckets": {bucket: bucket for bucket in BUCKETS},
            },
            "pids": dict(pids),
        }


def run(place: Path, ports: Ports, *, ephemeral: bool, restart: bool) -> int:
    """Run until asked to stop, or until a child dies; the exit code."""
    try:
        with open_home(place, ephemeral=ephemeral) as home:
            check_ports(ports)
            return asyncio.run(_up(home, ports, restart=restart))
    except (HomeTaken, PortTaken) as refusal:
        print(refusal, file=sys.stderr)  # noqa: T201 - a command speaks to its caller
        return 1


async def _up(home: Home, ports: Ports, *, restart: bool) -> int:
    output = Output([*(process.name for process in ports.processes), "postgres", "valkey", "s3"])
    supervisor = Supervisor(output.line)
    stop = asyncio.Event()
    killed = asyncio.Event()

    def asked_to_stop() -> None:
        if stop.is_set():
            killed.set()
            supervisor.kill()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, asked_to_stop)

    serving = asyncio.create_task(_serve(home, ports, supervisor, output, restart=restart))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    code = 0
    if serving.done():
        code = 1
        what = _what_happened(serving)
        output.say(what)
    else:
        what = ""
        output.say("Stopping … (Ctrl-C again kills)")
        serving.cancel()
        await asyncio.wait({serving})
    await supervisor.stop()
    # Again, since the lines of those that stopped have pushed it up.
    output.say(f"Stopped: {what.splitlines()[0]}" if what else "Stopped.")
    return KILLED if killed.is_set() else code


def _what_happened(serving: asyncio.Task[None]) -> str:
    problem = serving.exception()
    match problem:
        case ProgramFailed():
            lines = "\n".join(f"    {line}" for line in problem.tail)
            return (
                f"{problem.name} {_ending(problem.code)}. Its last lines:\n{lines}\n"
                "Everything else is stopped now. Nothing acknowledged is lost: "
                "./dev up goes on with the same data\n"
                "(./dev up --restart starts a process that dies again by itself)."
            )
        case MigrationError() | DatabaseUnavailable() | MissingBinary():
            return str(problem)
        case None:
            raise RuntimeError("serving ended by itself")
        case _:
            raise problem


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


async def _serve(
    home: Home, ports: Ports, supervisor: Supervisor, output: Output, *, restart: bool
) -> None:
    """Start everything, then watch it. Raises ProgramFailed when something dies."""
    began = time.monotonic()
    output.say(f"Starting PostgreSQL, Valkey and the S3 server in {_shown(home.data)} …")
    instance = _instance(home, ports)
    servers = (instance.postgres, instance.valkey, instance.objects)
    await asyncio.gather(*(server.start(supervisor) for server in servers))
    if ports.web_port is not None and not dashboard.is_built():
        await supervisor.run(_dashboard_build())
    applied = await migrate(await instance.postgres.ensure_database("media"))
    output.say(f"{len(applied)} new migrations. Starting {len(ports.processes)} processes …")
    programs = {process.name: _program(process, instance) for process in ports.processes}
    pids = {name: await supervisor.start(program) for name, program in programs.items()}
    await _until_ready(instance, supervisor)
    home.announce(instance.run_file(supervisor.pids), instance.own_variables())
    output.say(summary(instance, seconds=time.monotonic() - began))
    while True:
        death = await supervisor.ended()
        if not restart or death.name not in programs:
            raise death
        output.say(f"{death.name} {_ending(death.code)}; it is started again.")
        await asyncio.sleep(RESTART_SECONDS)
        forget_process(instance.metrics, pids[death.name])
        pids[death.name] = await supervisor.start(programs[death.name])
        home.announce(instance.run_file(supervisor.pids), instance.own_variables())


def _instance(home: Home, ports: Ports) -> Instance:
    made = home.secrets()
    return Instance(
        home=home,
        ports=ports,
        metrics=home.metrics_folder(),
        postgres=Postgres(
            directory=home.data / "postgres", port=free_port(), password=made.database_password
        ),
        valkey=Valkey(
            directory=home.data / "valkey", port=free_port(), password=made.redis_password
        ),
        objects=ObjectServer(
            directory=home.data / "objects",
            port=free_port(),
            access_key=made.s3_access_key,
            secret_key=made.s3_secret_key,
        ),
    )


def _program(process: Process, instance: Instance) -> Program:
    return Program(
        name=process.name,
        argv=(sys.executable, "-m", process.module),
        environment=instance.environment(),
        directory=ROOT,
        stop_seconds=STOP_SECONDS,
    )


def _dashboard_build() -> Program:
    return Program(
        name=WEB.name,
        argv=(sys.executable, "-m", dashboard.__name__),
        environment=child_environment({"PYTHONUNBUFFERED": "1"}),
        directory=ROOT,
    )


async def _until_ready(instance: Instance, supervisor: Supervisor) -> None:
    dying = asyncio.create_task(supervisor.ended())
    ready = asyncio.create_task(_all_ready(instance))
    try:
        await asyncio.wait(
            {dying, ready}, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        if dying.done():
            raise dying.result()
        if not ready.done():
            raise ProgramFailed("the service", 0, (f"not ready within {READY_SECONDS:.0f} s",))
    finally:
        dying.cancel()
        ready.cancel()
        await asyncio.gather(dying, ready, return_exceptions=True)


async def _all_ready(instance: Instance) -> None:
    await asyncio.gather(
        *(_ready(one, instance) for one in instance.ports.processes if one.port_setting)
    )


async def _ready(process: Process, instance: Instance) -> None:
    port = getattr(instance.ports, process.port_setting or "")
    while True:
        status = await http_status(port, process.ready_path or "/")
        if status == 200 or (status is not None and process.ready_path is None):  # noqa: PLR2004
            return
        await asyncio.sleep(POLL_SECONDS)


def _shown(path: Path) -> str:
    shorter = os.path.relpath(path)
    return str(path) if shorter.startswith("..") else shorter


def _web_lines(instance: Instance) -> str:
    if instance.web is None:
        return ""
    return f"""
  Dashboard     {instance.web}/dashboard/media  (open this; upper right, choose who you are)
  Blog editor   {instance.web}/blog/editor  (a page that uses the MediaPicker)
"""


def summary(instance: Instance, *, seconds: float) -> str:
    """What a person needs next."""
    api = instance.ports.url("port")
    return f"""
Media Service is ready after {seconds:.1f} s.

  API           {api}  (describes itself at {api}/docs)
  Internal API  {instance.ports.url("internal_port")}
  Uploads, CDN  {instance.ports.url("edge_port")}
  Gateway key   {instance.gateway_key}
  Data          {_shown(instance.home.data)}
{_web_lines(instance)}
  curl {api}/files -H 'x-gateway-key: {instance.gateway_key}' -H 'x-user-id: user_789' \\
    -H 'x-tenant-id: ls_abc123' -H 'x-user-permissions: media:files.read'

The README goes on from here. Ctrl-C ends everything."""

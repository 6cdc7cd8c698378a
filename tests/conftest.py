"""Fixtures of every test: one set of servers a run; a database and buckets of its own a module."""

import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

import aioboto3  # type: ignore[import-untyped]
import msgspec
import psycopg
import pytest
import redis
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from adapters.postgres_migrations import migrate
from adapters.settings import Settings
from tests.kit import written
from tests.kit.clamd import NEEDED, open_scanner, say_what_was_not_tested
from tests.kit.servers import Servers, embedded_cluster, exclusively, open_servers

SERVERS = pytest.StashKey[Servers]()
SCANNER = pytest.StashKey[str]()
TEMPLATE = "media_template"
LONGEST_FIRST = (
    "web", "workers", "journeys", "faults", "tests", "api", "projections", "adapters",
    "application", "domain",
)  # fmt: skip
"""The folders of tests."""
LONG = {"web", "workers", "journeys"}
"""Folders of tests that start processes or a browser, all of them marked as long."""
TOGETHER = {"web", "journeys", "faults"}
"""Folders whose modules share a running `./dev up`."""
counter = itertools.count(1)

# A deadline of 200 ms measures the machine, not the code.
hypothesis_settings.register_profile("media", deadline=None)
hypothesis_settings.load_profile("media")


class ObjectStoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An S3 server and three empty buckets on it."""

    endpoint: str
    access_key: str
    secret_key: str
    buckets: dict[str, str]
    """By role: incoming, public, private."""


def pytest_configure() -> None:
    """Log as the processes do from the first test on."""
    written.log_as_a_process()


class Together(LoadScopeScheduling):  # type: ignore[misc]  # xdist's has no types
    """Gives what shares servers and processes to one of several processes."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        folder = module.split("/")[1]
        return folder if folder in TOGETHER else module


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadScopeScheduling:
    """Hand out whole modules, in the order of the collection."""
    config.option.loadscopereorder = False
    return Together(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what takes long begin first."""
    place = {folder: number for number, folder in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: place.get(item.path.parent.name, len(place)))
    for item in items:
        if item.path.parent.name in LONG:
            item.add_marker(pytest.mark.long)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail the test during which a secret or a forged line was written (docs/security.md)."""
    report = yield
    if report.when == "teardown":
        output = "\n".join(text for name, text in report.sections if not name.endswith(" log"))
        leaks = written.leaks(output)
        if leaks:
            report.outcome = "failed"
            report.longrepr = "Never to be written:\n" + "\n".join(leaks)
    return report


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """xdist: the process that was called holds the servers, and tells its workers where."""
    node.workerinput["servers"] = msgspec.json.encode(servers_of(node.config)).decode()
    node.workerinput["scanner"] = scanner_of(node.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what this machine could not test."""
    say_what_was_not_tested(terminalreporter)


def scanner_of(config: pytest.Config) -> str:
    """The clamd of this run, started by the first who asks; or why there is none."""
    if SCANNER not in config.stash:
        if hasattr(config, "workerinput"):
            config.stash[SCANNER] = str(config.workerinput["scanner"])
        else:
            stack = contextlib.ExitStack()
            config.add_cleanup(stack.close)
            config.stash[SCANNER] = stack.enter_context(open_scanner())
    return config.stash[SCANNER]


def servers_of(config: pytest.Config) -> Servers:
    """The servers of this run, started by the first who asks."""
    if SERVERS not in config.stash:
        if hasattr(config, "workerinput"):
            found = msgspec.json.decode(config.workerinput["servers"], type=Servers)
        else:
            stack = contextlib.ExitStack()
            config.add_cleanup(stack.close)
            found = stack.enter_context(open_servers())
        config.stash[SERVERS] = found
        passwords = [urlsplit(url).password for url in (found.database_url, found.redis_url)]
        written.remember(
            found.s3_access_key, found.s3_secret_key, *(one for one in passwords if one)
        )
    return config.stash[SERVERS]


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest) -> Servers:
    """Where PostgreSQL, Redis and the object store of this run answer."""
    return servers_of(request.config)


@pytest.fixture(scope="session")
def scanner(request: pytest.FixtureRequest) -> str:
    """`clamd://…` of a real clamd that knows the EICAR test file; skips where there is none."""
    found = scanner_of(request.config)
    if not found.startswith("clamd://"):
        pytest.skip(f"{NEEDED}: {found}")
    return found


@pytest.fixture(scope="session")
def worker_number() -> int:
    """0 without xdist, else 1, 2 …"""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw")) + 1


@pytest.fixture(scope="session")
async def template(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of a migrated database, made once a run and copied for each module."""
    run = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        run = run.parent
    made = run / "template.made"
    with exclusively(run / "template.lock"):
        if not made.exists():
            # Its own name, since servers from the environment may serve several runs.
            name = f"{TEMPLATE}_{os.getpid()}"
            drop_database(servers.database_url, name)
            await migrate(create_database(servers.database_url, name))
            made.write_text(name)
    return made.read_text()


@pytest.fixture(scope="module")
def database(servers: Servers, template: str, worker_number: int) -> Iterator[str]:
    """The URL of a migrated database of the module's own, as its owner."""
    name = new_name(worker_number)
    yield create_database(servers.database_url, name, template=template)
    drop_database(servers.database_url, name)


@pytest.fixture
def empty_database(servers: Servers, worker_number: int) -> Iterator[str]:
    """The URL of a database without a table."""
    name = new_name(worker_number)
    yield create_database(servers.database_url, name)
    drop_database(servers.database_url, name)


@pytest.fixture(scope="module")
async def own_cluster() -> AsyncIterator[str]:
    """The superuser's URL of a PostgreSQL server of the module's own.

    For transactions held open, which stop the readers of a whole cluster, and for restores.
    """
    async with embedded_cluster() as cluster:
        yield cluster.url


@pytest.fixture(scope="module")
def redis_url(servers: Servers, worker_number: int) -> str:
    """A numbered database of this xdist worker, empty at the start of each module."""
    url = urlsplit(servers.redis_url)._replace(path=f"/{worker_number % 16}").geturl()
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture(scope="module")
async def object_store_settings(servers: Servers, worker_number: int) -> ObjectStoreSettings:
    """Fresh buckets on the run's S3 server."""
    prefix = new_name(worker_number).replace("_", "-")
    made = ObjectStoreSettings(
        endpoint=servers.s3_endpoint,
        access_key=servers.s3_access_key,
        secret_key=servers.s3_secret_key,
        buckets={role: f"{prefix}-{role}" for role in ("incoming", "public", "private")},
    )
    async with aioboto3.Session().client(
        "s3",
        endpoint_url=made.endpoint,
        aws_access_key_id=made.access_key,
        aws_secret_access_key=made.secret_key,
        region_name="us-east-1",
    ) as client:
        for name in made.buckets.values():
            await client.create_bucket(Bucket=name)
    return made


@pytest.fixture(scope="module")
def settings(
    database: str,
    redis_url: str,
    object_store_settings: ObjectStoreSettings,
    worker_number: int,
) -> Settings:
    """A development configuration on the run's servers."""
    made = Settings(
        environment="development",
        database_url=database,
        redis_url=redis_url,
        redis_namespace=new_name(worker_number),
        public_base_url="http://media.test",
        s3_endpoint=object_store_settings.endpoint,
        s3_region="us-east-1",
        s3_access_key=object_store_settings.access_key,
        s3_secret_key=object_store_settings.secret_key,
        s3_incoming_bucket=object_store_settings.buckets["incoming"],
        s3_public_bucket=object_store_settings.buckets["public"],
        s3_private_bucket=object_store_settings.buckets["private"],
        placement_wait_seconds=1,
        # Tests hurry; those of the limits set their own.
        limit_presign=0,
        limit_list=0,
        limit_bulk_delete=0,
        limit_ingest=0,
        limit_purge_cache=0,
        limit_audit_export=0,
    )
    written.log_as_a_process(made)
    return made


def new_name(worker_number: int) -> str:
    """A name that no other module of any run on these servers has."""
    return f"media_{os.getpid()}_{worker_number}_{next(counter)}"


def create_database(url: str, name: str, *, template: str = "template0") -> str:
    """Make the database; its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                sql.Identifier(name), sql.Identifier(template)
            )
        )
    return urlsplit(url)._replace(path=f"/{name}").geturl()


def drop_database(url: str, name: str) -> None:
    """Remove the database with whoever is still connected to it."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )

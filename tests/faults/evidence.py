"""What a scenario left behind, taken from outside: all that the checker may look at."""

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import msgspec
import psycopg

from adapters.event_reader import PostgresEventReader
from adapters.postgres import open_pool
from adapters.postgres_migrations import MIGRATIONS
from adapters.settings import DEVELOPMENT_GATEWAY_KEY
from projections.comparison import compare
from projections.read_models import READ_MODELS
from tests.faults.history import Entry
from tests.faults.system import BUCKETS, System


class Fact(msgspec.Struct, frozen=True):
    """One row of the event log."""

    position: int
    version: int
    stream: str
    type: str
    owner: str
    actor: str
    correlation_id: str
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """The type without family and version: `upload_completed`."""
        return self.type.split(".")[1]


class Stored(msgspec.Struct, frozen=True):
    """One object."""

    bucket: str
    key: str
    size: int
    sha: str


class Work(msgspec.Struct, frozen=True):
    """A row of the unfinished work."""

    stream: str
    kind: str
    not_before: datetime | None
    failure: str | None


class Told(msgspec.Struct, frozen=True):
    """What a subscriber or a webhook's receiver was told, each message once."""

    id: str
    type: str
    subject: str
    tenant: str


class Evidence(msgspec.Struct, kw_only=True):
    """Of one scenario."""

    tenants: Sequence[str]
    entries: Sequence[Entry]
    facts: Sequence[Fact]
    """Of these workspaces, in the order of the log."""
    order: Sequence[int]
    """Positions of the whole log since the tailing reader began."""
    tail: Sequence[int]
    """Positions as the tailing reader came upon them."""
    differences: Mapping[str, Sequence[str]]
    """By read model: rows that are not those of a replay."""
    library: Mapping[str, Sequence[str]]
    """By workspace: the ids its API lists in the end."""
    stats: Mapping[str, Mapping[str, Any]]
    objects: Sequence[Stored]
    reachable: Mapping[str, int]
    """By key of a public file: what the edge answers to anyone."""
    work: Sequence[Work]
    journal: Sequence[Told]
    hooks: Sequence[Told]
    hooked: str
    """The workspace whose webhook the receiver stands behind; empty for none."""
    hooked_from: int
    """The position its webhook was registered at."""
    api_dies: bool
    """Whether the fault ends connections of clients."""
    recovered: str
    """Empty, or what was not well in time without a hand."""
    taken_at: datetime


class Tail:
    """A reader that follows the log from now on, and remembers what it read in which order."""

    def __init__(self, system: System) -> None:
        self._system = system
        self.began = 0
        self.seen: list[int] = []
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin behind what is there."""
        async with self._system.sql() as one:
            row = await (
                await one.execute("SELECT coalesce(max(position), 0) FROM events")
            ).fetchone()
        self.began = int(row[0]) if row else 0
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Read to the end, then stop."""
        await asyncio.sleep(0.3)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(psycopg.Error):
                async with self._system.sql() as one:
                    while True:
                        last = self.seen[-1] if self.seen else self.began
                        found = await one.execute(
                            "SELECT position FROM events WHERE position > %s"
                            " AND position < (SELECT log_horizon()) ORDER BY position LIMIT 500",
                            (last,),
                        )
                        self.seen += [position for (position,) in await found.fetchall()]
                        await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)


async def facts_of(system: System, tenants: Collection[str]) -> list[Fact]:
    """The log of these workspaces."""
    owners = [f"t:{tenant}" for tenant in tenants]
    async with system.sql() as one:
        found = await one.execute(
            "SELECT position, version, stream, type, owner, actor, correlation_id, data"
            " FROM events WHERE owner = ANY (%s) ORDER BY position",
            (owners,),
        )
        return [Fact(*row) for row in await found.fetchall()]


async def order_since(system: System, position: int) -> list[int]:
    """The positions of the log."""
    async with system.sql() as one:
        found = await one.execute(
            "SELECT position FROM events WHERE position > %s ORDER BY position", (position,)
        )
        return [row[0] for row in await found.fetchall()]


async def differences(system: System) -> dict[str, Sequence[str]]:
    """By read model: its rows that are not those of a replay of the log up to where it stands."""
    pool = await open_pool(system.database_url, role="media_worker", size=2)
    found: dict[str, Sequence[str]] = {}
    async with pool:
        for name, projection in READ_MODELS.items():
            (ddl,) = MIGRATIONS.glob(f"*_{name}.sql")
            compared = await compare(
                projection,
                PostgresEventReader(pool),
                database_url=system.database_url,
                ddl=ddl.read_text(),
            )
            found[name] = [
                f"{one.key}: live {one.live}, replayed {one.rebuilt}" for one in compared.shown
            ]
    return found


def objects_of(system: System, tenants: Collection[str]) -> list[Stored]:
    """Everything in the three buckets under the workspaces' names."""
    found = []
    for bucket in BUCKETS:
        for tenant in tenants:
            root = system.objects.directory / bucket
            for path in sorted((root / tenant).rglob("*")):
                with contextlib.suppress(OSError):
                    if path.is_file():
                        found.append(_stored(bucket, root, path))
    return found


def _stored(bucket: str, root: Path, path: Path) -> Stored:
    content = path.read_bytes()
    sha = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return Stored(bucket, str(path.relative_to(root)), len(content), sha)


async def library_of(system: System, tenant: str) -> tuple[list[str], dict[str, Any]]:
    """What the workspace's API lists and counts."""
    async with httpx.AsyncClient(
        base_url=system.api,
        timeout=20,
        headers={
            "x-gateway-key": DEVELOPMENT_GATEWAY_KEY,
            "x-user-id": "user_auditor",
            "x-tenant-id": tenant,
            "x-user-permissions": "media:files.read",
        },
    ) as http:
        ids: list[str] = []
        cursor = None
        while True:
            parameters = {"limit": "100"} | ({"cursor": cursor} if cursor else {})
            page = (await http.get("/files", params=parameters)).json()
            ids += [item["id"] for item in page["items"]]
            cursor = page["nextCursor"]
            if cursor is None:
                break
        stats: dict[str, Any] = (await http.get("/files/stats")).json()
    return ids, stats


async def reachable(system: System, keys: Iterable[str]) -> dict[str, int]:
    """What anyone is answered who asks for these public keys."""
    async with httpx.AsyncClient(base_url=system.edge, timeout=20) as http:
        return {key: (await http.get(f"/{key}")).status_code for key in keys}


async def unfinished(system: System, tenants: Collection[str]) -> list[Work]:
    """What the service itself takes for unfinished."""
    table = next(name for name in READ_MODELS if name.startswith("unfinished_work"))
    owners = [f"t:{tenant}" for tenant in tenants]
    async with system.sql() as one:
        found = await one.execute(
            f"SELECT stream, kind, not_before, failure FROM {table}"  # noqa: S608
            " WHERE owner = ANY (%s)".encode(),
            (owners,),
        )
        return [Work(*row) for row in await found.fetchall()]


def journal_of(system: System) -> list[Told]:
    """The log of the subscriber that reads the Redis streams."""
    with contextlib.closing(sqlite3.connect(system.journal)) as database:
        rows = database.execute("SELECT id, type, subject FROM journal ORDER BY number").fetchall()
        return [Told(id_, kind, subject or "", "") for id_, kind, subject in rows]


def hooks_of(system: System, tenants: Collection[str]) -> list[Told]:
    """What the webhook's receiver has taken of these workspaces, repeats left out."""
    told = [
        Told(one["id"], one["type"], one["subject"], str(one["data"].get("tenantId")))
        for one in list(system.hooks.taken)
    ]
    return [one for one in told if one.tenant in tenants]


def now() -> datetime:
    """The time, as the log has it."""
    return datetime.now(UTC)

"""A log with followers on a database of its own."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

import psycopg
import pytest
from psycopg import sql

from adapters.event_reader import PostgresEventReader
from adapters.postgres import Pool, open_pool
from adapters.postgres_event_store import PostgresEventStore, append_statement
from adapters.postgres_migrations import MIGRATIONS
from domain.errors import TenantRemoved as WorkspaceGone
from domain.event import Recorded
from domain.tenant import TenantRemoved
from projections.comparison import Compared, compare
from projections.projection import Follower, Projection
from projections.read_models import READ_MODELS
from projections.rebuild import rebuild
from projections.shadow import Progress
from tests.kit.patience import patience

TABLES = (
    "file_list_v2",
    "storage_stats_v1",
    "storage_stats_v1_pending",
    "pending_uploads_v1",
    "audit_trail_v2",
    "unfinished_work_v3",
    "webhooks_v1",
)


class Log:
    """What tests do with a log and its read models."""

    def __init__(self, database: str, api: Pool, worker: Pool) -> None:
        self.database = database
        self.api = api
        """What queries are given: the role media_api."""
        self.worker = worker
        """What followers are given: the role media_worker."""
        self.store = PostgresEventStore(worker)
        self.reader = PostgresEventReader(worker)

    async def append(self, events: Iterable[Recorded]) -> int:
        """Append one transaction per event, removals as they are made; the last position."""
        position = 0
        for event in events:
            if isinstance(event.event, TenantRemoved):
                position = await self.store.append_removal(event)
            else:
                try:
                    position = await self.store.append([event])
                except WorkspaceGone:
                    position = await self._append_as_before(event)
        return await self.settled(position)

    async def _append_as_before(self, event: Recorded) -> int:
        """A completion after a removal: old logs hold some, from before migration 0009."""
        async with await psycopg.AsyncConnection.connect(self.database) as connection:
            cursor = await connection.execute(*append_statement([event], None))
            ((position,),) = await cursor.fetchall()
        return int(position)

    async def settled(self, position: int) -> int:
        """The position, once no transaction of the cluster hides it: other tests write as well."""
        while await self.reader.horizon() <= position:
            await asyncio.sleep(0.005)
        return position

    async def append_together(self, events: Sequence[Recorded]) -> int:
        """Append in one transaction."""
        return await self.settled(await self.store.append(events))

    async def follow(self, *projections: Projection, batch: int = 1000) -> None:
        """Take the read models as far as the log goes."""
        for projection in projections or READ_MODELS.values():
            follower = Follower(projection, self.reader, batch=batch)
            async with self.worker.connection() as connection:
                await follower.start(connection)
                while await follower.step(connection):
                    pass
            await follower.close()

    async def rebuild(
        self, name: str, *, more_ddl: str = "", progress: Progress = lambda *_: None
    ) -> int:
        """Rebuild one read model and switch."""
        (ddl,) = MIGRATIONS.glob(f"*_{name}.sql")
        return await rebuild(
            READ_MODELS[name],
            self.reader,
            database_url=self.database,
            ddl=ddl.read_text() + more_ddl,
            progress=progress,
        )

    async def verify(self, name: str, progress: Progress = lambda *_: None) -> Compared:
        """Compare one read model with the log."""
        (ddl,) = MIGRATIONS.glob(f"*_{name}.sql")
        return await compare(
            READ_MODELS[name],
            self.reader,
            database_url=self.database,
            ddl=ddl.read_text(),
            progress=progress,
        )

    async def schemas(self, prefix: str) -> list[str]:
        """Which schemas of such a name there are."""
        async with self.worker.connection() as connection:
            cursor = await connection.execute(
                "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (prefix,)
            )
            return [name for (name,) in await cursor.fetchall()]

    async def rows(self, table: str, *, schema: str = "public") -> list[tuple[object, ...]]:
        """Every row of a read model's table, in the order of its first columns."""
        statement = sql.SQL("SELECT * FROM {} AS t ORDER BY t::text").format(
            sql.Identifier(schema, table)
        )
        async with self.worker.connection() as connection:
            return await (await connection.execute(statement)).fetchall()

    async def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every read model."""
        return {table: await self.rows(table) for table in TABLES}

    async def execute(self, statement: str, *parameters: object) -> None:
        """A statement as the database's owner."""
        async with await psycopg.AsyncConnection.connect(self.database) as connection:
            await connection.execute(statement.encode(), parameters)


@pytest.fixture
async def log(database: str) -> AsyncIterator[Log]:
    everything = ", ".join(("events", "checkpoints", "removed_tenants", *TABLES))
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await connection.execute(f"TRUNCATE {everything}".encode())
    with patience():
        api = await open_pool(database, role="media_api", size=4)
        worker = await open_pool(database, role="media_worker", size=6)
    yield Log(database, api, worker)
    await api.close()
    await worker.close()

"""What becomes of connections when the server, or the way to it, goes away."""

import asyncio
import os
import socket

import msgspec
import psycopg
import pytest

from adapters.postgres import Pool, connection, open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.postgres_leader import Leader
from adapters.postgres_migrations import migrate
from application.context import Idempotency
from application.ports import KeyClaim, KeyTaken
from domain.errors import DatabaseUnavailable
from tests.kit.log import ALPHA, new_stream, recorded
from tests.kit.scenario import START
from tests.kit.servers import embedded_postgres, supervised, temporary_folder
from tests.workers.processes import Gate

SIZE = 6
CLAIM = KeyClaim(
    owner=ALPHA,
    user_id="user_789",
    idempotency=Idempotency(key="key-1", route="media.upload.presign", fingerprint="f1"),
    outcome=b'{"mediaId": "media_1"}',
    at=START,
)
SOMEONE_WAITS = "SELECT FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted"


@pytest.mark.long
async def test_a_server_whose_packets_vanish_is_given_up_in_bounded_time(database_url: str) -> None:
    async with Gate(database_url) as gate:
        gate.open()
        async with await open_pool(
            gate.url, role="media_api", size=2, transaction_seconds=1
        ) as pool:
            store = PostgresEventStore(pool)
            await store.load([new_stream()])
            gate.freeze()
            async with asyncio.timeout(60):
                with pytest.raises(DatabaseUnavailable):
                    await store.load([new_stream()])
                with pytest.raises(DatabaseUnavailable):
                    await store.append([recorded()])
            gate.thaw()
            pool.timeout = 30
            await store.append([recorded()])


async def test_a_leader_does_not_wait_for_a_vanished_server(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.postgres_leader.SILENCE_SECONDS", 3.0)
    async with Gate(database_url) as gate:
        gate.open()
        leader = Leader(gate.url, name="frozen")
        assert await leader.take_over()
        gate.freeze()
        async with asyncio.timeout(30):
            with pytest.raises(DatabaseUnavailable):
                await leader.still_leads()
            await leader.step_down()


async def test_connections_are_kept_alive_and_commit_durably(database_url: str) -> None:
    async with (
        await open_pool(database_url, role="media_worker", size=1) as pool,
        connection(pool) as one,
    ):
        with socket.socket(fileno=os.dup(one.fileno())) as tcp:
            assert tcp.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 5
            assert tcp.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 10_000
        cursor = await one.execute("SHOW synchronous_commit")
        assert await cursor.fetchone() == ("on",)


async def test_after_a_restart_of_the_server_no_request_meets_a_dead_connection() -> None:
    with temporary_folder() as home:
        postgres = embedded_postgres(home)
        async with supervised() as supervisor:
            await postgres.start(supervisor)
            url = await postgres.ensure_database("media")
            await migrate(url)
            pool = await open_pool(url, role="media_api", size=SIZE)
            # So many at once that each connection of the pool is opened and then idles.
            pool.timeout = 30
            together = asyncio.Barrier(SIZE)
            await asyncio.gather(*(_meet_on(pool, together) for _ in range(SIZE)))
            assert pool.get_stats()["pool_size"] == SIZE
        async with supervised() as supervisor, pool:
            await postgres.start(supervisor)
            store = PostgresEventStore(pool)
            for _ in range(2 * SIZE):
                assert await store.append([recorded()]) > 0
            await asyncio.gather(*(store.load([new_stream()]) for _ in range(2 * SIZE)))


@pytest.mark.long
async def test_the_first_request_after_an_outage_is_answered() -> None:
    with temporary_folder() as home:
        postgres = embedded_postgres(home)
        async with supervised() as supervisor:
            await postgres.start(supervisor)
            url = await postgres.ensure_database("media")
            await migrate(url)
            pool = await open_pool(url, role="media_api", size=2)
            store = PostgresEventStore(pool)
            await store.load([new_stream()])
        async with pool:
            pool.timeout = 0.2
            for _ in range(20):
                with pytest.raises(DatabaseUnavailable):
                    await store.load([new_stream()])
            pool.timeout = 30.0
            async with supervised() as supervisor:
                await postgres.start(supervisor)
                await store.load([new_stream()])


async def _meet_on(pool: Pool, together: asyncio.Barrier) -> None:
    async with connection(pool):
        await together.wait()


async def test_a_commit_whose_answer_is_lost_is_called_unknown_and_its_key_tells(
    database_url: str,
) -> None:
    async with Gate(database_url) as gate:
        gate.open()
        async with (
            await open_pool(gate.url, role="media_api", size=1) as pool,
            await psycopg.AsyncConnection.connect(database_url) as other,
        ):
            store = PostgresEventStore(pool)
            # The statement is prepared by its first use, so that the next is one message.
            await store.append([recorded()], claim=msgspec.structs.replace(CLAIM, user_id="other"))
            async with other.transaction():
                await other.execute("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE")
                appending = asyncio.create_task(store.append([recorded()], claim=CLAIM))
                async with await psycopg.AsyncConnection.connect(
                    database_url, autocommit=True
                ) as watching:
                    while not (await watching.execute(SOMEONE_WAITS)).rowcount:
                        await asyncio.sleep(0.01)
                gate.freeze()
            while (await other.execute("SELECT FROM events")).rowcount < 2:
                await other.commit()
            gate.cut()
            with pytest.raises(DatabaseUnavailable, match=r"unknown.*Idempotency-Key"):
                await appending
            gate.thaw()
            gate.open()
            with pytest.raises(KeyTaken):
                await store.append([recorded()], claim=CLAIM)


async def test_what_was_never_sent_is_not_called_unknown() -> None:
    async with await open_pool(
        "postgresql://media@127.0.0.1:1/media", role="media_api", size=1
    ) as pool:
        pool.timeout = 0.1
        with pytest.raises(DatabaseUnavailable, match=r"does not answer\.$"):
            await PostgresEventStore(pool).append([recorded()])

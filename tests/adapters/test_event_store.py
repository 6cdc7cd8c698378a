import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta

import msgspec
import psycopg
import pytest

from adapters.event_mapper import UnknownEventType
from adapters.postgres import open_pool, owned
from adapters.postgres_event_store import PostgresEventStore, append_statement
from application.context import Idempotency
from application.ports import IngestSource, KeptOutcome, KeyClaim, KeyTaken, StreamChanged
from domain.errors import DatabaseUnavailable, TenantRemoved
from domain.media_file_events import UploadCancelled, UploadExpired
from domain.tenant import TenantRemoved as TenantWasRemoved
from tests.kit.log import ALPHA, BETA, at_positions, event_store, new_stream, recorded
from tests.kit.scenario import COMPLETED, KEY, START

REMOVED = "t:ls_removed"


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresEventStore]:
    async with event_store(database_url, "media_api", size=20) as store:
        yield store


@pytest.fixture
async def worker_store(database_url: str) -> AsyncIterator[PostgresEventStore]:
    async with event_store(database_url, "media_worker") as store:
        yield store


def claim(
    key: str = "key-1", *, owner: str = ALPHA, outcome: bytes = b'{"id": "a"}', **later: float
) -> KeyClaim:
    return KeyClaim(
        owner=owner,
        user_id="user_789",
        idempotency=Idempotency(key=key, route="POST /upload/presign", fingerprint="f1"),
        outcome=outcome,
        at=START + timedelta(**later),
    )


async def kept(store: PostgresEventStore, of: KeyClaim, **later: float) -> KeptOutcome | None:
    return await store.kept_outcome(
        owner=of.owner,
        user_id=of.user_id,
        idempotency=of.idempotency,
        at=START + timedelta(**later),
    )


async def count(url: str) -> int:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return (await connection.execute("SELECT FROM events")).rowcount


async def test_a_stream_is_read_as_it_was_appended(store: PostgresEventStore) -> None:
    stream = new_stream()
    events = [recorded(stream=stream), recorded(COMPLETED, stream=stream, version=2)]
    last = await store.append(events)
    assert await store.load([stream]) == {stream: at_positions(events, last)}


async def test_a_stream_without_events_has_an_empty_history(store: PostgresEventStore) -> None:
    assert await store.load(["media_none", "with\0nul"]) == {"media_none": [], "with\0nul": []}


async def test_a_later_append_has_a_higher_position(store: PostgresEventStore) -> None:
    positions = [await store.append([recorded()]) for _ in range(5)]
    assert positions == sorted(set(positions))


async def test_one_append_may_hold_events_of_several_owners(store: PostgresEventStore) -> None:
    events = [recorded(owner=owner) for owner in (ALPHA, BETA, "u:user_789", ALPHA)]
    last = await store.append(events, claim=claim(owner=BETA))
    histories = await store.load([event.stream for event in events])
    assert [history for (history,) in histories.values()] == at_positions(events, last)


@pytest.mark.parametrize("with_key", [False, True])
async def test_of_fifty_appends_of_one_version_a_single_one_wins(
    store: PostgresEventStore, *, with_key: bool
) -> None:
    stream = new_stream()
    await store.append([recorded(stream=stream)])

    async def append(number: int) -> str:
        own = claim(f"key-{number}") if with_key else None
        try:
            await store.append([recorded(COMPLETED, stream=stream, version=2)], claim=own)
        except StreamChanged:
            return "changed"
        return "won"

    outcomes = Counter(await asyncio.gather(*map(append, range(50))))
    assert outcomes == {"won": 1, "changed": 49}
    assert len((await store.load([stream]))[stream]) == 2


async def test_a_refused_append_writes_none_of_its_events(store: PostgresEventStore) -> None:
    taken, fresh = new_stream(), new_stream()
    await store.append([recorded(stream=taken)])
    with pytest.raises(StreamChanged):
        await store.append([recorded(stream=fresh), recorded(stream=taken)], claim=claim())
    assert await store.load([fresh]) == {fresh: []}
    assert await kept(store, claim()) is None


async def test_a_used_key_tells_what_it_led_to_and_writes_nothing(
    store: PostgresEventStore, database_url: str
) -> None:
    events = [recorded(), recorded()]
    position = await store.append(events, claim=claim(outcome=b'{"b": 1,  "a": [2]}'))
    with pytest.raises(KeyTaken) as taken:
        # The same stream and version too: the key is what is reported.
        await store.append(events, claim=claim(minutes=1))
    assert taken.value.kept == KeptOutcome("f1", b'{"b": 1,  "a": [2]}', position)
    assert await kept(store, claim(), hours=23) == taken.value.kept
    assert await count(database_url) == 2


async def test_of_fifty_commands_with_one_key_a_single_one_is_carried_out(
    store: PostgresEventStore, database_url: str
) -> None:
    async def append(number: int) -> bytes:
        outcome = b'{"number": %d}' % number
        try:
            await store.append([recorded()], claim=claim(outcome=outcome))
        except KeyTaken as taken:
            return taken.kept.outcome
        return outcome

    outcomes = await asyncio.gather(*map(append, range(50)))
    assert len(set(outcomes)) == 1
    assert await count(database_url) == 1


async def test_a_key_is_the_owner_s_the_user_s_and_the_route_s(store: PostgresEventStore) -> None:
    await store.append([recorded()], claim=claim())
    await store.append([recorded(owner=BETA)], claim=claim(owner=BETA))
    other = msgspec.structs.replace(claim(), user_id="user_2")
    await store.append([recorded()], claim=other)


async def test_a_key_can_be_used_again_after_a_day(store: PostgresEventStore) -> None:
    await store.append([recorded()], claim=claim())
    assert await kept(store, claim(), hours=24) is None
    position = await store.append([recorded()], claim=claim(outcome=b'"second"', hours=24))
    assert await kept(store, claim(), hours=25) == KeptOutcome("f1", b'"second"', position)


async def test_of_many_that_replace_an_outworn_key_one_wins(
    store: PostgresEventStore, database_url: str
) -> None:
    await store.append([recorded()], claim=claim())

    async def append() -> str:
        try:
            await store.append([recorded()], claim=claim(hours=25))
        except KeyTaken:
            return "kept"
        return "won"

    assert Counter(await asyncio.gather(*(append() for _ in range(20)))) == {"won": 1, "kept": 19}
    assert await count(database_url) == 2


async def test_a_command_that_changed_nothing_keeps_its_answer_too(
    store: PostgresEventStore, database_url: str
) -> None:
    assert await store.append([], claim=claim()) == 0
    with pytest.raises(KeyTaken) as taken:
        await store.append([], claim=claim())
    assert taken.value.kept.position == 0
    assert await count(database_url) == 0


async def test_a_removed_tenant_takes_no_more_commands(
    store: PostgresEventStore, worker_store: PostgresEventStore
) -> None:
    stream = new_stream()
    await store.append([recorded(stream=stream, owner=REMOVED)])
    removal = recorded(TenantWasRemoved(), stream="tenant_ls_removed", owner=REMOVED)
    position = await worker_store.append_removal(removal)
    assert (await worker_store.load([removal.stream]))[removal.stream][0].position == position
    with pytest.raises(TenantRemoved):
        await store.append([recorded(owner=REMOVED)], claim=claim(owner=REMOVED))
    await store.append([recorded()])
    with pytest.raises(TenantRemoved):
        await worker_store.append([recorded(COMPLETED, stream=stream, version=2, owner=REMOVED)])
    # What follows from the removal is still recorded.
    ending = UploadCancelled(key=KEY, reason="tenant_removed", settles_at=START)
    await worker_store.append([recorded(ending, stream=stream, version=2, owner=REMOVED)])


async def test_a_tenant_is_removed_once(worker_store: PostgresEventStore) -> None:
    removal = recorded(TenantWasRemoved(), stream="tenant_ls_removed", owner=REMOVED)
    await worker_store.append_removal(removal)
    with pytest.raises(StreamChanged):
        await worker_store.append_removal(removal)


async def test_a_removal_comes_after_every_append_that_was_under_way(
    store: PostgresEventStore, worker_store: PostgresEventStore, database_url: str
) -> None:
    under_way = recorded(owner=REMOVED)
    removal = recorded(TenantWasRemoved(), stream="tenant_ls_removed", owner=REMOVED)
    async with (
        await open_pool(database_url, role="media_api", size=1) as pool,
        pool.connection() as connection,
        connection.transaction(),
    ):
        await connection.execute(*append_statement([under_way], None))
        removing = asyncio.create_task(worker_store.append_removal(removal))
        await _until_someone_waits(database_url)
        too_late = asyncio.create_task(store.append([recorded(owner=REMOVED)]))
        await asyncio.sleep(0.05)
    last = await removing
    with pytest.raises(TenantRemoved):
        await too_late
    ((first,),) = (await worker_store.load([under_way.stream])).values()
    assert first.position < last


async def _until_someone_waits(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        waiting = "SELECT FROM pg_locks WHERE relation = 'events'::regclass AND NOT granted"
        # Only Postgres knows: there is nothing in this process to be told by.
        while (await connection.execute(waiting)).rowcount < 1:
            await asyncio.sleep(0.01)


async def test_without_any_where_clause_a_tenant_sees_only_its_own_events(
    store: PostgresEventStore, database_url: str
) -> None:
    await store.append([recorded(), recorded(owner=BETA)], claim=claim())
    async with (
        await open_pool(database_url, role="media_api", size=1) as pool,
        pool.connection() as connection,
    ):
        everything = owned("SELECT owner, c.owner AS asked FROM events")
        cursor = await connection.execute(everything, {"owner": BETA})
        assert await cursor.fetchall() == [(BETA, BETA)]
        for table in (b"events", b"idempotency_keys"):
            assert (await connection.execute(b"TABLE " + table)).rowcount == 0


async def test_the_api_cannot_append_for_an_owner_it_did_not_name(database_url: str) -> None:
    async with (
        await open_pool(database_url, role="media_api", size=1) as pool,
        pool.connection() as connection,
    ):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await connection.execute(
                "INSERT INTO events SELECT 1, 1, now(), 's', 't', 't:other', 'a', 'w', 'c', 'r', "
                "'{}' FROM (SELECT set_config('app.owner', 't:mine', true)) AS o"
            )
        for forbidden in ("UPDATE events SET at = now()", "DELETE FROM events"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(forbidden.encode())


async def test_no_owner_stays_behind_on_a_connection(database_url: str) -> None:
    async with await open_pool(database_url, role="media_api", size=1) as pool:
        await PostgresEventStore(pool).append([recorded()])
        async with pool.connection() as connection:
            cursor = await connection.execute("SELECT current_setting('app.owner', true)")
            assert await cursor.fetchone() in ((None,), ("",))


async def test_a_stream_that_a_newer_version_wrote_is_not_decided_upon(
    store: PostgresEventStore, database_url: str
) -> None:
    event = recorded()
    await store.append([event])
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("UPDATE events SET type = 'media_file.renamed.v9'")
    with pytest.raises(UnknownEventType):
        await store.load([event.stream])


async def test_the_largest_append_is_bounded(store: PostgresEventStore) -> None:
    stream = new_stream()
    expired = UploadExpired(key=KEY, settles_at=START)
    many = [recorded(expired, stream=stream, version=number) for number in range(1, 65_538)]
    with pytest.raises(ValueError, match="too many"):
        await store.append(many)
    last = await store.append(many[:500])
    assert [event.position for event in (await store.load([stream]))[stream]] == list(
        range(last - 499, last + 1)
    )


async def test_a_database_that_is_away_is_said_to_be() -> None:
    async with event_store("postgresql://media@127.0.0.1:1/media") as store:
        store._pool.timeout = 0.2
        with pytest.raises(DatabaseUnavailable):
            await store.append([recorded()])
        with pytest.raises(DatabaseUnavailable):
            await store.load(["media_x"])


def kept_url(stream: str, owner: str = ALPHA) -> IngestSource:
    return IngestSource(owner, stream, "https://a.example/?sig=1", START)


async def sources(url: str) -> list[tuple[str, str]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        cursor = await connection.execute("SELECT owner, media_id FROM ingest_sources ORDER BY 2")
        return await cursor.fetchall()


@pytest.mark.parametrize("key", [None, claim()])
async def test_the_url_of_an_ingest_is_kept_with_its_first_event(
    store: PostgresEventStore, database_url: str, key: KeyClaim | None
) -> None:
    stream = new_stream()
    position = await store.append([recorded(stream=stream)], claim=key, source=kept_url(stream))
    assert [one.position for one in (await store.load([stream]))[stream]] == [position]
    assert (ALPHA, stream) in await sources(database_url)


async def test_a_repeated_ingest_keeps_no_second_url(
    store: PostgresEventStore, database_url: str
) -> None:
    first, again = new_stream(), new_stream()
    await store.append([recorded(stream=first)], claim=claim(), source=kept_url(first))
    before = await sources(database_url)
    with pytest.raises(KeyTaken):
        await store.append([recorded(stream=again)], claim=claim(), source=kept_url(again))
    assert await sources(database_url) == before
    assert await store.load([again]) == {again: []}


async def test_a_removed_tenant_keeps_no_url(
    store: PostgresEventStore, worker_store: PostgresEventStore, database_url: str
) -> None:
    owner = "t:ls_removed_before_its_ingest"
    removal = recorded(TenantWasRemoved(), stream="tenant_ls_removed_before", owner=owner)
    await worker_store.append_removal(removal)
    stream = new_stream()
    with pytest.raises(TenantRemoved):
        await store.append([recorded(stream=stream, owner=owner)], source=kept_url(stream, owner))
    assert (owner, stream) not in await sources(database_url)


async def test_an_append_that_cannot_be_serialized_is_decided_anew(
    store: PostgresEventStore, database_url: str
) -> None:
    """Nothing was written, as after a deadlock; a database that is serializable does this."""
    refuse = """
        CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001'; END $$;
        CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse();
    """
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(refuse.encode())
        try:
            with pytest.raises(StreamChanged):
                await store.append([recorded()])
        finally:
            await connection.execute("DROP TRIGGER refuse ON events")
            await connection.execute("DROP FUNCTION refuse")

"""Scenarios in which a server fails: Postgres, Redis, the object store."""

import asyncio
import signal
from collections.abc import Callable
from functools import partial

from adapters.postgres_event_store import append_statement
from domain.access import Access
from domain.event import Recorded
from domain.media_file_events import UploadRequested
from tests.faults import proxies
from tests.faults.evidence import now
from tests.faults.proxies import Cut, Meddling, StoreProxy
from tests.faults.stage import STRIKE_SECONDS, Act, Scenario, Stage, Strike

CUTS: tuple[Cut, ...] = ("before", "during", "after")
SLEEP_SECONDS = 2.5
LONG_PAUSE_SECONDS = 14.0
"""Longer than any request may take."""

REFUSING = """
CREATE SEQUENCE IF NOT EXISTS faults_refused;
CREATE OR REPLACE FUNCTION faults_refuse() RETURNS trigger
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
BEGIN
  IF random() < 0.2 THEN
    PERFORM nextval('faults_refused');
    RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
  END IF;
  RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER faults_refuse BEFORE INSERT ON events
  FOR EACH STATEMENT EXECUTE FUNCTION faults_refuse();
"""
FORGIVING = "DROP TRIGGER faults_refuse ON events"


async def postgres_stopped(stage: Stage) -> bool:
    """A shutdown, a crash, or a kill; back soon."""
    await stage.rest(0.2, 0.8)
    number = stage.chance.choice((signal.SIGINT, signal.SIGQUIT, signal.SIGKILL))
    with stage.felt() as felt:
        await stage.system.end_server("postgres", number)
        await stage.rest(0.1, 1.0)
        await stage.system.start_server("postgres")
    await stage.rest(0.5, 1.0)
    return felt()


async def postgres_paused(stage: Stage) -> bool:
    """It answers nothing and closes nothing: once for longer than any request may take."""
    await stage.rest(0.2, 0.6)
    seconds = LONG_PAUSE_SECONDS if stage.number == 1 else stage.chance.uniform(0.3, 2.0)
    with stage.felt() as felt:
        stage.system.freeze("postgres")
        await asyncio.sleep(seconds)
        stage.system.thaw("postgres")
    await stage.rest(0.5, 1.0)
    return felt()


async def postgres_dropped(stage: Stage) -> bool:
    """The connection breaks before, in or after a commit."""
    await stage.rest(0.1, 0.4)
    stage.system.postgres_proxy.cut_next_append(CUTS[stage.number % len(CUTS)])
    try:
        async with asyncio.timeout(STRIKE_SECONDS):
            await stage.system.postgres_proxy.struck.wait()
    except TimeoutError:
        return False
    return True


async def refuse(stage: Stage) -> None:
    """One append in five cannot be serialized."""
    async with stage.system.sql() as one:
        await one.execute(REFUSING.encode())


async def refused(stage: Stage) -> bool:
    """Wait until some more were refused."""
    before = await _refusals(stage)
    for _ in range(100):
        await asyncio.sleep(0.1)
        if await _refusals(stage) > before:
            return True
    return False


async def _refusals(stage: Stage) -> int:
    async with stage.system.sql() as one:
        row = await (
            await one.execute("SELECT last_value, is_called FROM faults_refused")
        ).fetchone()
    return int(row[0]) if row and row[1] else 0


async def forgive(stage: Stage) -> None:
    """Take the trigger away."""
    async with stage.system.sql() as one:
        await one.execute(FORGIVING.encode())


async def sleeping_writer(stage: Stage) -> bool:
    """A writer sleeps between its insert and its commit, while others overtake it."""
    client = stage.pick_client()
    op = client.new_op()
    name = f"{op}.png"
    request_id = f"{op}.1"
    media_id = f"media_{stage.chance.getrandbits(64):016x}"
    asked = UploadRequested(
        file_name=name,
        file_size=100,
        mime_type="image/png",
        service_code="blog",
        key=f"{client.tenant}/blog/2026/01/{media_id[6:]}.png",
        is_public=True,
        uploaded_by="user_sleeper",
        sha256=None,
    )
    recorded = Recorded(
        stream=media_id, version=1, position=0, at=now(), owner=f"t:{client.tenant}",
        actor="user:user_sleeper", access=Access.WORKSPACE, command_id=f"cmd_{op}",
        correlation_id=request_id, event=asked,
    )  # fmt: skip
    client.history.write(op, "invoke", "presign", args={"fileName": name})
    async with stage.system.sql() as one, one.transaction():
        ((position,),) = await (await one.execute(*append_statement([recorded], None))).fetchall()
        await asyncio.sleep(SLEEP_SECONDS)
    client.history.write(op, "attempt", "presign", request_id=request_id, status=200)
    result = {"body": {"mediaId": media_id}, "position": str(position)}
    client.history.write(op, "ok", "presign", args={"fileName": name}, status=200, result=result)
    async with stage.system.sql() as one:
        row = await (await one.execute("SELECT max(position) FROM events")).fetchone()
    return row is not None and row[0] > position


async def redis_flushed(stage: Stage) -> bool:
    """Everything in Redis is gone."""
    await stage.rest(0.4, 1.2)
    async with stage.system.redis() as client:
        had = await client.dbsize()
        await client.flushall()
    return bool(had)


async def redis_stopped(stage: Stage) -> bool:
    """Redis is killed, and away for a while."""
    await stage.rest(0.3, 0.8)
    number = stage.chance.choice((signal.SIGTERM, signal.SIGKILL))
    with stage.felt() as felt:
        await stage.system.end_server("valkey", number)
        await stage.rest(0.2, 1.2)
        await stage.system.start_server("valkey")
    return felt()


def refusing_redis(error: str, begin: tuple[str, ...], end: tuple[str, ...]) -> Strike:
    """Redis answers every write with this error for a while."""

    async def strike(stage: Stage) -> bool:
        await stage.rest(0.2, 0.6)
        async with stage.system.redis() as client:
            before = await _errors(client, error)
            await client.execute_command(*begin)
            try:
                for _ in range(50):
                    await stage.rest(0.2, 0.4)
                    if await _errors(client, error) > before:
                        break
            finally:
                await client.execute_command(*end)
            return await _errors(client, error) > before

    return strike


async def _errors(client: object, error: str) -> int:
    found = await client.info("errorstats")  # type: ignore[attr-defined]  # untyped by redis
    return int(found.get(f"errorstat_{error}", {}).get("count", 0))


async def store_stopped(stage: Stage) -> bool:
    """The object store is killed, and away for a while."""
    await stage.rest(0.2, 0.8)
    proxy = stage.system.store_proxy
    before = proxy.missed
    await stage.system.end_server("s3", signal.SIGKILL)
    await stage.rest(0.1, 1.5)
    missed = await stage.sees(lambda: proxy.missed > before)
    await stage.system.start_server("s3")
    return missed


def meddling(make: Callable[[StoreProxy], Meddling]) -> Act:
    """Begin to meddle with what goes to the object store."""

    async def prepare(stage: Stage) -> None:
        stage.system.store_proxy.meddle = make(stage.system.store_proxy)

    return prepare


async def meddled(stage: Stage) -> bool:
    """Wait until something was."""
    before = stage.system.store_proxy.strikes
    for _ in range(100):
        await asyncio.sleep(stage.chance.uniform(0.1, 0.3))
        if stage.system.store_proxy.strikes > before:
            return True
    return False


async def honestly(stage: Stage) -> None:
    """Stop meddling."""
    stage.system.store_proxy.meddle = proxies.honest


def _store(name: str, what: str, make: Callable[..., Meddling], much: float) -> Scenario:
    async def prepare(stage: Stage) -> None:
        chosen = partial(make, chance=stage.chance)
        proxy = stage.system.store_proxy
        proxy.meddle = (
            chosen(proxy, seconds=much) if make is proxies.slow else chosen(proxy, share=much)
        )

    return Scenario(name=name, what=what, prepare=prepare, strike=meddled, heal=honestly)


SERVERS = (
    Scenario(
        name="postgres-stopped",
        what="PostgreSQL shut down, crashed or killed, and started again",
        strike=postgres_stopped,
    ),
    Scenario(
        name="postgres-paused",
        what="PostgreSQL stopped by SIGSTOP, once for 14 s",
        strike=postgres_paused,
    ),
    Scenario(
        name="postgres-dropped",
        what="the connection breaks before, in or after a commit",
        strike=postgres_dropped,
    ),
    Scenario(
        name="serialization",
        what="one append in five fails to serialize",
        prepare=refuse,
        strike=refused,
        heal=forgive,
    ),
    Scenario(
        name="sleeping-writer",
        what="a writer sleeps 2.5 s between insert and commit",
        strike=sleeping_writer,
    ),
    Scenario(name="redis-flushed", what="everything in Redis is gone", strike=redis_flushed),
    Scenario(
        name="redis-stopped", what="Redis killed or stopped for a while", strike=redis_stopped
    ),
    Scenario(
        name="redis-read-only",
        what="Redis became a replica: it refuses every write",
        strike=refusing_redis(
            "READONLY", ("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")
        ),
    ),
    Scenario(
        name="redis-full",
        what="Redis is full: it refuses every write",
        strike=refusing_redis(
            "OOM", ("CONFIG", "SET", "maxmemory", "1"), ("CONFIG", "SET", "maxmemory", "0")
        ),
    ),
    Scenario(
        name="store-stopped",
        what="the object store killed, and away for a while",
        strike=store_stopped,
    ),
    _store(
        "store-failing",
        "the object store answers 500 or 503, one time in two",
        proxies.failing,
        0.5,
    ),
    _store("store-slow", "the object store takes up to 1.5 s", proxies.slow, 1.5),
    _store("store-resetting", "the object store breaks connections", proxies.resetting, 0.3),
    _store(
        "store-forgetting",
        "it acknowledges PUTs and copies it does not store",
        proxies.forgetting,
        0.3,
    ),
    _store("store-stale", "HEAD does not see what is there", proxies.stale, 0.4),
    _store(
        "store-erring-deletes", "it deletes, and says it could not", proxies.erring_deletes, 0.5
    ),
)

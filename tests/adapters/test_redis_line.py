"""One connection for many: each gets its own reply, and a broken one is replaced."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from adapters.redis_line import RedisLine
from tests.workers.processes import until


@pytest.fixture
async def line(redis_url: str) -> AsyncIterator[RedisLine]:
    opened = RedisLine(redis_url)
    yield opened
    opened.hang_up()


async def test_a_thousand_at_once_share_a_connection_and_each_gets_its_own_reply(
    line: RedisLine,
) -> None:
    replies = await asyncio.gather(*(line.ask("ECHO", number) for number in range(1000)))
    assert replies == [str(number).encode() for number in range(1000)]
    assert len(set(await asyncio.gather(*(line.ask("CLIENT", "ID") for _ in range(10))))) == 1


async def test_it_speaks_to_the_database_of_its_url(line: RedisLine, redis_url: str) -> None:
    await line.ask("SET", "line:where", "here")
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        assert await client.get("line:where") == b"here"


async def test_a_refused_command_is_its_own_caller_s_error(line: RedisLine) -> None:
    asked = [line.ask("NO-SUCH-COMMAND"), line.ask("ECHO", "right")]
    found: list[object] = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(found[0], ResponseError)
    assert found[1] == b"right"


async def test_one_who_gives_up_takes_nobody_s_reply(line: RedisLine) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await line.ask("BLPOP", "line:nothing", 1)
    assert await line.ask("ECHO", "mine") == b"mine"


async def test_a_connection_that_the_server_ended_is_opened_again(
    line: RedisLine, redis_url: str
) -> None:
    name = await line.ask("CLIENT", "ID")
    waiting = asyncio.create_task(line.ask("BLPOP", "line:nothing", 30))
    async with redis.asyncio.Redis.from_url(redis_url) as other:

        async def is_blocked() -> bool:
            clients = await other.client_list()
            return any(one["id"] == str(name) and "b" in one["flags"] for one in clients)

        await until(is_blocked)
        await other.execute_command("CLIENT", "KILL", "ID", name)
    with pytest.raises(RedisError):
        await waiting
    assert await line.ask("CLIENT", "ID") != name


async def test_a_wrong_password_is_refused(redis_url: str) -> None:
    where = urlsplit(redis_url)
    wrong = where._replace(netloc=f":wrong@{where.hostname}:{where.port}").geturl()
    line = RedisLine(wrong)
    with pytest.raises(ResponseError):
        await line.ask("PING")
    line.hang_up()


async def test_nobody_there_is_an_error() -> None:
    with pytest.raises(OSError):  # noqa: PT011 - whichever the system gives
        await RedisLine("redis://127.0.0.1:1/0").ask("PING")

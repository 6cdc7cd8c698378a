import asyncio

import msgspec

from adapters.settings import Settings
from tests.kit.library import Library
from tests.workers.processes import Gate, running, until
from workers import jobs, reactor, scheduler


async def test_the_workers_survive_redis_and_postgres_going_away_and_coming_back(
    library: Library, worker_settings: Settings
) -> None:
    async with (
        Gate(worker_settings.redis_url) as redis,
        Gate(worker_settings.database_url) as postgres,
    ):
        redis.open()
        postgres.open()
        settings = msgspec.structs.replace(
            worker_settings, redis_url=redis.url, database_url=postgres.url
        )
        async with running(settings, reactor.main, jobs.main, scheduler.main):
            for gates in ([redis], [postgres], [redis, postgres]):
                before, during = await library.uploaded(), await library.uploaded()
                await library.delete(before)
                await until(lambda id_=before.id: library.has(id_, "objects_purged"))  # type: ignore[misc]
                for gate in gates:
                    gate.cut()
                await library.delete(during)
                await asyncio.sleep(2)
                assert not await library.has(during.id, "objects_purged")
                for gate in gates:
                    gate.open()
                await until(lambda id_=during.id: library.has(id_, "objects_purged"))  # type: ignore[misc]

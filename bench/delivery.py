"""What does a redirect cost beside a health check with one query? `python -m bench.delivery`.

Both in one process, behind the same layers (log line, metrics, errors), on the same pool; only the
query and what is made of its answer differ. The CPU of the process and its PostgreSQL backends is
the fairer figure on a machine that does other things.
"""

import argparse
import asyncio
import random
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import psycopg

from adapters.embedded import free_port
from adapters.settings import child_environment
from bench.http import Bench, Connection, Cost, Request, ratio
from bench.kit import Report, command, own_database
from bench.listing import fill
from tests.kit.up import ROOT

FILES = 100_000
SHOWN = 2_000
CLIENTS = 16
HEALTH = "health with one query"
READY = """
UPDATE file_list_v2 SET
  media_id = 'media_' || left(md5(media_id), 16),
  key = 'ls_bench/blog/2026/04/' || left(md5(media_id), 16) || '.jpg', mime_type = 'image/jpeg',
  renditions = jsonb_build_object(
    'thumb_200 image/webp', jsonb_build_object(
      'recipe', 1, 'bytes', 7000, 'width', 200, 'height', 150,
      'key', 'ls_bench/blog/2026/04/' || left(md5(media_id), 16) || '/thumb_200.r1.webp'),
    'avatar_96 image/webp', jsonb_build_object(
      'recipe', 1, 'bytes', 3000, 'width', 96, 'height', 96,
      'key', 'ls_bench/blog/2026/04/' || left(md5(media_id), 16) || '/avatar_96.r1.webp'))
WHERE media_id IN (SELECT media_id FROM file_list_v2 ORDER BY md5(media_id) LIMIT %s)
RETURNING media_id, key
"""


def variants(files: list[tuple[str, str]]) -> dict[str, Iterator[Request]]:
    """Endless requests of each kind."""
    choose = random.Random(7)

    def asking(path: str) -> Iterator[Request]:
        while True:
            media_id, key = choose.choice(files)
            yield "service", "GET", path.format(id=media_id, key=key), b""

    return {
        HEALTH: asking("/health-with-query"),
        "/m, ready variant": asking("/m/{id}?variant=thumb_200"),
        "/cdn, ready variant": asking("/cdn/{key}?variant=thumb_200"),
        "/cdn, original": asking("/cdn/{key}"),
    }


@asynccontextmanager
async def server(database_url: str) -> AsyncIterator[tuple[str, int]]:
    """The URL of the routes, and their process."""
    port = free_port()
    environment = {
        "MEDIA_ENVIRONMENT": "development",
        "MEDIA_DATABASE_URL": database_url,
        "MEDIA_REDIS_URL": "redis://127.0.0.1:9/0",
        "MEDIA_PUBLIC_BASE_URL": "http://127.0.0.1:9",
        "MEDIA_S3_ENDPOINT": "http://127.0.0.1:9",
        "MEDIA_S3_ACCESS_KEY": "none",
        "MEDIA_S3_SECRET_KEY": "none",
        "MEDIA_PORT": str(port),
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.delivery_server"),
        cwd=ROOT,
        env=child_environment(environment),
        stdout=subprocess.DEVNULL,
    )
    try:
        connection = Connection(f"http://127.0.0.1:{port}", "")
        while True:
            try:
                await connection.open()
                break
            except OSError:
                assert process.returncode is None, "the server died"
                await asyncio.sleep(0.1)
        # Its decoders try themselves out first, for some seconds.
        await asyncio.sleep(10)
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        process.terminate()
        await process.wait()


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goals were reached."""
    report = Report("Delivery")
    rounds, seconds = (3, 1.0) if arguments.quick else (15, 2.0)
    async with (
        own_database() as url,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as connection,
    ):
        await fill(connection, {"t:bench": FILES})
        files = await (await connection.execute(READY, [SHOWN])).fetchall()
        await connection.execute("VACUUM ANALYZE file_list_v2")
        async with server(url) as (address, pid):
            up = {"api": address, "pids": {"api": pid}, "gatewayKey": ""}
            bench = Bench(up, address, pid, connection)
            asking = variants(files)
            costs: dict[str, list[Cost]] = {name: [] for name in asking}
            for number in range(rounds):
                turn = number % len(asking)
                for name in [*asking][turn:] + [*asking][:turn]:
                    cost = await bench.measure(asking[name], CLIENTS, seconds=seconds)
                    if cost is not None:
                        costs[name].append(cost)
    rows = [
        [
            name,
            *(statistics.median(getattr(one, field) for one in taken)
              for field in ("a_second", "p50", "p99", "cpu", "postgres")),
            ratio(taken, costs[HEALTH], "cpu"),
        ]
        for name, taken in costs.items()
    ]  # fmt: skip
    header = ["", "a second", "p50 ms", "p99 ms", "CPU ms", "Postgres", "of CPU"]
    report.table(f"{CLIENTS} clients, {FILES:,} files", header, rows)
    for row in rows[1:]:
        report.goal(f"{row[0]}, of a health check's CPU", float(row[-1]), limit=1, at_most=True)
    report.say(
        "A health check of the service's own, with `SELECT 1` through its pool, behind the same "
        "layers. The last column is the middle of the rounds' ratios."
    )
    return report.finish("delivery", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="three rounds of a second")


if __name__ == "__main__":
    sys.exit(main())

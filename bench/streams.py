"""`python -m bench.streams`: 2,000 browsers that look at libraries, on one process of the app.

Its memory with none and with all of them, and from the answer of an append to the browsers.
"""

import argparse
import asyncio
import resource
import statistics
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

from adapters.embedded import free_port
from adapters.postgres import open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.redis_hints import PositionAnnouncer
from adapters.settings import DEVELOPMENT_GATEWAY_KEY
from adapters.system import utc_now
from bench.kit import Report, command, own_database
from bench.processes import processes
from tests.kit.servers import open_servers
from tests.projections.histories import uploaded

NAMESPACE = "bench-streams"
STREAMS = 2_000
TENANTS = 500
A_SECOND = 50
SECONDS = 10
MEBIBYTE = 1024 * 1024


class Browser:
    """One open stream; notes when each file appears."""

    def __init__(self, tenant: str, user: str) -> None:
        self.tenant = tenant
        self.user = user
        self.arrived: dict[str, float] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, port: int) -> None:
        reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        lines = (
            "GET /files/events HTTP/1.1",
            "host: media",
            f"x-gateway-key: {DEVELOPMENT_GATEWAY_KEY}",
            f"x-user-id: {self.user}",
            f"x-tenant-id: {self.tenant}",
            "x-user-permissions: media:files.read",
        )
        self._writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        await reader.readuntil(b"id: ")
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while line := await reader.readline():
            if line.startswith(b'data: {"id":"'):
                self.arrived[line[13:35].decode()] = time.perf_counter()

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)


def memory(pid: int) -> int:
    """Bytes of the process that are in memory now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


async def until_it_answers(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goal was reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 20_000), hard))
    streams = STREAMS // 4 if arguments.quick else STREAMS
    report = Report("Live libraries")
    async with AsyncExitStack() as stack:
        redis_url = stack.enter_context(open_servers()).redis_url
        url = await stack.enter_async_context(own_database())
        pool = await stack.enter_async_context(await open_pool(url, role="media_worker", size=2))
        announcer = PositionAnnouncer(redis_url, channel=f"{NAMESPACE}:positions")
        stack.push_async_callback(announcer.close)
        port = free_port()
        pids = await stack.enter_async_context(
            processes(
                "api.app",
                "workers.projector",
                database_url=url,
                redis_url=redis_url,
                namespace=NAMESPACE,
                port=str(port),
            )
        )
        pid = pids["api.app"]
        await until_it_answers(port)
        first = Browser("ls_0", "user_first")
        await first.open(port)
        alone = memory(pid)
        browsers = [
            Browser(f"ls_{number % TENANTS}", f"user_{number}") for number in range(streams)
        ]
        start = time.perf_counter()
        for at in range(0, streams, 50):
            await asyncio.gather(*(browser.open(port) for browser in browsers[at : at + 50]))
        opening = time.perf_counter() - start
        await asyncio.sleep(5)
        began = cpu_seconds(pid)
        idle_for = 20 if not arguments.quick else 5
        await asyncio.sleep(idle_for)
        idle_cpu = (cpu_seconds(pid) - began) / idle_for * 100
        idle = memory(pid)
        store = PostgresEventStore(pool)
        answered: dict[str, float] = {}
        for number in range(A_SECOND * SECONDS // (4 if arguments.quick else 1)):
            facts = uploaded(f"t:ls_{number % TENANTS}", number, at=utc_now())
            announcer.announce(await store.append(facts))
            answered[facts[0].stream] = time.perf_counter()
            await asyncio.sleep(1 / A_SECOND)
        expected = sum(
            streams // TENANTS + (number % TENANTS < streams % TENANTS)
            for number in range(len(answered))
        )
        while sum(len(browser.arrived) for browser in browsers) < expected:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        lags = sorted(
            max(at - answered[file], 0) * 1000
            for browser in browsers
            for file, at in browser.arrived.items()
        )
        busy = memory(pid)
        await asyncio.gather(*(browser.close() for browser in [first, *browsers]))
    report.table(
        "Memory of the process, MiB",
        ["streams", "resident", "a stream, KiB"],
        [
            ["1", alone / MEBIBYTE, 0],
            [f"{streams:,} idle", idle / MEBIBYTE, (idle - alone) / streams / 1024],
            [
                f"{streams:,}, {len(answered)} files later",
                busy / MEBIBYTE,
                (busy - alone) / streams / 1024,
            ],
        ],
    )
    report.table(
        "Milliseconds from the answer of an append to the browser",
        ["", "messages", "median", "p99", "longest"],
        [
            [
                f"{A_SECOND} files a second",
                len(lags),
                statistics.median(lags),
                lags[int(len(lags) * 0.99)],
                lags[-1],
            ]
        ],
    )
    report.say(
        f"All were open after {opening:.1f} s. While they are idle, heartbeats and the look at the "
        f"log every 50 ms take {idle_cpu:.1f} % of a core."
    )
    report.goal(
        f"memory with {streams:,} idle streams",
        idle / MEBIBYTE,
        limit=200,
        unit="MiB",
        at_most=True,
    )
    return report.finish("streams", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="a quarter of the streams")


if __name__ == "__main__":
    sys.exit(main())

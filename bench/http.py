"""What does a request cost beside a bare one? `python -m bench.http`.

The real `./dev up`, with its projector, reactor and workers, beside bare Litestar routes in a
process of their own on the same database. Client, servers and PostgreSQL share the cores: the CPU
the server side spends on a request is the fairer figure.
"""

import argparse
import asyncio
import itertools
import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit

import msgspec
import psycopg

from bench.http_stand import DELETABLE, OWNER, cpu_seconds, floor, seed, service
from bench.kit import Report, command
from bench.listing import LONG, SORTS
from tests.kit.http import asked
from tests.projections.histories import media_id

CLIENTS = (1, 16, 64)
FILES = 200_000
OTHER_LIBRARIES = {"small": 10_000, "big": 1_000_000}
"""Files by tenant: a page of each must cost the same."""
BULK = 100
WARM_SECONDS = 0.3
FOLLOWERS = ("projector", "reactor", "publisher", "webhooks", "jobs", "scheduler")

Request: TypeAlias = tuple[str, str, str, bytes]
"""Which server (after an @ for which tenant), method, path, body."""
JSON = msgspec.json.Encoder().encode


class Cost(msgspec.Struct, frozen=True):
    """What one variant did with so many clients in one round."""

    a_second: float
    p50: float
    p99: float
    cpu: float
    """Milliseconds a request, of the HTTP process and of its own PostgreSQL backends."""
    postgres: float
    """The backends' part of it."""
    behind: float
    """Milliseconds a request, of the projector, the reactor and whoever else follows the log."""


class Connection:
    """A client that costs next to nothing: one kept-alive connection, one request at a time."""

    def __init__(self, url: str, headers: str) -> None:
        self._url = urlsplit(url)
        self._headers = headers

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(
            self._url.hostname, self._url.port
        )

    async def ask(self, method: str, path: str, body: bytes) -> bytes:
        """The answer's body. Fails when it is no success."""
        self._writer.write(
            f"{method} {path} HTTP/1.1\r\nhost: {self._url.netloc}\r\n{self._headers}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        _, _, rest = head.partition(b"content-length: ")
        answer = await self._reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
        if not head.startswith((b"http/1.1 2", b"http/1.1 302")):
            raise AssertionError(f"{method} {path}: {head.decode()}{answer.decode()}")
        return answer

    def close(self) -> None:
        self._writer.close()


class Bench:
    """The two servers under one load."""

    def __init__(
        self,
        up: Mapping[str, Any],
        floor_url: str,
        floor_pid: int,
        connection: psycopg.AsyncConnection,
    ) -> None:
        self._urls = {"service": str(up["api"]), "floor": floor_url}
        self._pids = {"service": int(up["pids"]["api"]), "floor": floor_pid}
        self._followers = [int(up["pids"][name]) for name in FOLLOWERS if name in up["pids"]]
        self._connection = connection
        self._headers = (
            f"x-gateway-key: {up['gatewayKey']}\r\nx-user-id: user_789\r\n"
            "x-user-permissions: media:files.read media:files.write\r\nx-tenant-id: {}\r\n"
        )

    async def measure(
        self, requests: Iterator[Request], clients: int, *, seconds: float
    ) -> Cost | None:
        """A closed loop of so many clients; None when there was nothing left to ask."""
        first = next(requests, None)
        if first is None:
            return None
        server, _, tenant = first[0].partition("@")
        headers = self._headers.format(tenant or "search")
        connections = [Connection(self._urls[server], headers) for _ in range(clients)]
        taken: list[float] = []
        queue = itertools.chain([first], requests)

        async def client(connection: Connection, end: float, times: list[float]) -> None:
            while time.perf_counter() < end and (request := next(queue, None)) is not None:
                _, method, path, body = request
                start = time.perf_counter()
                await connection.ask(method, path, body)
                times.append((time.perf_counter() - start) * 1000)

        async def load(duration: float, times: list[float]) -> float:
            start = time.perf_counter()
            end = start + duration
            await asyncio.gather(*(client(one, end, times) for one in connections))
            return time.perf_counter() - start

        await asyncio.gather(*(one.open() for one in connections))
        await load(WARM_SECONDS, [])
        before = await self._cpu(server)
        lasted = await load(seconds, taken)
        http, postgres, behind = (
            (now - then) * 1000 / max(len(taken), 1)
            for now, then in zip(await self._cpu(server), before, strict=True)
        )
        for one in connections:
            one.close()
        if not taken:
            return None
        taken.sort()
        p50, p99 = (taken[int(len(taken) * part)] for part in (0.5, 0.99))
        return Cost(len(taken) / lasted, p50, p99, http + postgres, postgres, behind)

    async def _cpu(self, server: str) -> tuple[float, float, float]:
        name = {"service": "media-api", "floor": "media-floor"}[server]
        cursor = await self._connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE application_name = %s", [name]
        )
        backends = sum([cpu_seconds(pid) for (pid,) in await cursor.fetchall()])
        followers = sum(map(cpu_seconds, self._followers))
        return cpu_seconds(self._pids[server]), backends, followers


def inserting() -> Iterator[Request]:
    """Endless requests to the bare route with a durable INSERT."""
    body = JSON({name: str(value) for name, value in asked().items()})
    return itertools.repeat(("floor", "POST", "/insert", body))


def variants(files: Sequence[str], *, deletable: int = DELETABLE) -> dict[str, Iterator[Request]]:
    """Endless requests of each kind; the deletes end with the uploads."""
    choose = random.Random(7)
    presign = JSON(asked())
    uploads = iter(range(deletable))

    def forever(make: Callable[[], Request]) -> Iterator[Request]:
        return iter(make, None)

    def search() -> Request:
        words, sort = quote(choose.choice(LONG)), choose.choice(SORTS)
        return "service", "GET", f"/files?limit=50&sort={sort}&search={words}", b""

    return {
        "floor: hello": forever(lambda: ("floor", "GET", "/hello", b"")),
        "floor: 50 rows": forever(lambda: ("floor", "GET", f"/rows?owner={OWNER}", b"")),
        "floor: durable INSERT": inserting(),
        "presign": forever(lambda: ("service", "POST", "/upload/presign", presign)),
        "list 50": forever(lambda: ("service", "GET", "/files?limit=50", b"")),
        "search, every sort": forever(search),
        "detail": forever(lambda: ("service", "GET", f"/files/{choose.choice(files)}", b"")),
        "stats": forever(lambda: ("service", "GET", "/files/stats", b"")),
        **{
            f"list 50 of {files:,}": forever(
                lambda tenant=tenant: (f"service@{tenant}", "GET", "/files?limit=50", b"")  # type: ignore[misc]
            )
            for tenant, files in OTHER_LIBRARIES.items()
        },
        "delete": (("service", "DELETE", f"/files/{media_id(n)}", b"") for n in uploads),
        f"bulk delete of {BULK}": (
            ("service", "POST", "/files/bulk-delete", JSON({"ids": [media_id(n) for n in ids]}))
            for ids in iter(lambda: list(itertools.islice(uploads, BULK)), [])
        ),
    }


INSERT = "floor: durable INSERT"
FLOORS = {
    "presign": INSERT,
    "list 50": "floor: 50 rows",
    "search, every sort": "floor: 50 rows",
    "detail": "floor: 50 rows",
    "stats": "floor: 50 rows",
    **{f"list 50 of {files:,}": "floor: 50 rows" for files in OTHER_LIBRARIES.values()},
    "delete": INSERT,
    f"bulk delete of {BULK}": INSERT,
}


def report_costs(
    report: Report, clients: int, costs: Mapping[str, list[Cost]], *, title: str
) -> None:
    """A table of medians beside the floors, and at 16 clients the goals."""
    rows: list[list[str | float]] = []
    for name, rounds in costs.items():
        if not rounds:
            report.say(f"{name}: there was nothing left to ask.")
            continue
        under = costs.get(FLOORS.get(name, ""))
        rows.append(
            [
                name,
                *(statistics.median(getattr(one, field) for one in rounds)
                  for field in ("a_second", "p50", "p99", "cpu", "postgres", "behind")),
                ratio(rounds, under, "a_second") if under else "",
                ratio(rounds, under, "cpu") if under else "",
            ]
        )  # fmt: skip
    header = [
        "",
        "a second",
        "p50 ms",
        "p99 ms",
        "CPU ms",
        "Postgres",
        "behind",
        "of floor",
        "of CPU",
    ]
    report.table(f"{title}, {clients} clients", header, rows)
    if clients != 16:
        return
    by_name = {str(row[0]): row for row in rows}
    for name, column, limit, at_most in (
        ("presign", 7, 0.65, False),
        ("presign", 8, 1.4, True),
        ("list 50", 7, 0.7, False),
        ("delete", 8, 2.0, True),
        (f"bulk delete of {BULK}", 8, 15.0, True),
    ):
        if name not in by_name:
            continue
        value = float(by_name[name][column])
        report.goal(f"{name}, {header[column]}", value, limit=limit, at_most=at_most)
    if "search, every sort" not in by_name:
        return
    small, big = (costs[f"list 50 of {files:,}"] for files in OTHER_LIBRARIES.values())
    report.goal(
        "p99 of a page, big library / small", ratio(big, small, "p99"), limit=1.3, at_most=True
    )
    found = by_name["search, every sort"]
    report.goal("search", float(found[1]), limit=200, unit="a second")
    report.goal("its p99", float(found[3]), limit=100, unit="ms", at_most=True)


def ratio(rounds: list[Cost], under: list[Cost], field: str) -> float:
    """The middle of the rounds' ratios."""
    pairs = zip(rounds, under, strict=False)
    return statistics.median(
        float(getattr(one, field)) / float(getattr(two, field)) for one, two in pairs
    )


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goals were reached."""
    report = Report("HTTP")
    rounds, seconds, files = (1, 1.0, 20_000) if arguments.quick else (5, 1.5, FILES)
    libraries = {
        f"t:{tenant}": 1000 if arguments.quick else n for tenant, n in OTHER_LIBRARIES.items()
    }
    with service() as up:
        deletable = DELETABLE // 10 if arguments.quick else DELETABLE
        known = await seed(str(up["database"]), files, libraries, deletable=deletable)
        async with (
            floor(str(up["database"])) as (url, pid),
            await psycopg.AsyncConnection.connect(str(up["database"]), autocommit=True) as watch,
        ):
            bench = Bench(up, url, pid, watch)
            asking = variants(known, deletable=deletable)
            deletes = [INSERT, *(name for name in asking if "delete" in name)]
            others = [name for name in asking if name not in deletes[1:]]
            # Deletes come last: their purges would keep the workers busy beside all the others.
            for title, names in (("Requests", others), ("Deletes", deletes)):
                for clients in CLIENTS:
                    costs: dict[str, list[Cost]] = {name: [] for name in names}
                    for number in range(rounds):
                        turn = number % len(names)
                        for name in names[turn:] + names[:turn]:
                            cost = await bench.measure(asking[name], clients, seconds=seconds)
                            if cost is not None:
                                costs[name].append(cost)
                    report_costs(report, clients, costs, title=title)
    one, five, fifteen = os.getloadavg()
    report.say(
        f"{files:,} files of one owner. CPU is milliseconds a request of the HTTP process and its"
        " own PostgreSQL backends, whose part stands beside it; `behind` is what projector, reactor"
        " and workers spend meanwhile, on the same cores; the last two columns are multiples of the"
        " floor, a bare Litestar route with psycopg as it comes. Limits count each request."
        " Deleted are uploads that were not completed, one event a stream: what workers do for the"
        " bytes of others would be measured beside every row. The"
        " machine's load at the end was"
        f" {one:.1f}, {five:.1f}, {fifteen:.1f}."
    )
    return report.finish("http", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="one round of a second, fewer files")


if __name__ == "__main__":
    sys.exit(main())

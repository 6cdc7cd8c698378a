"""What do completes and ingests cost beside the object store's own work? `python -m bench.uploads`.

The real `./dev up`. The floor does by hand, with aioboto3 and httpx, what each cannot do without: a
complete looks at an object, reads it and copies it; an ingest fetches it and stores it. Beside the
completes stands a bare Litestar route with one durable INSERT, too, as beside all other requests.
"""

import argparse
import asyncio
import itertools
import secrets
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aioboto3  # type: ignore[import-untyped]
import httpx
import psycopg

from bench.http import CLIENTS, JSON, Bench, Cost, Request, inserting, ratio
from bench.http_floor import TABLE
from bench.http_stand import floor, service
from bench.kit import Report, command
from tests.kit.http import asked
from tests.kit.http_source import HttpSource, http_source, response
from tests.kit.samples import picture

TENANT = "uploads"
AT_ONCE = 16
INGESTED_MIME = "image/jpeg"


def photo() -> bytes:
    """A JPEG of a size that blogs use."""
    return bytes(picture(1200, 800).jpegsave_buffer(Q=82))


class Uploads:
    """Pending uploads with their bytes in place, and the store they are in."""

    def __init__(self, up: Mapping[str, Any], http: httpx.AsyncClient, store: Any) -> None:
        self._up = up
        self._http = http
        self._store = store
        self._buckets = up["objectStore"]["buckets"]
        self._headers = {
            "x-gateway-key": str(up["gatewayKey"]),
            "x-user-id": "user_789",
            "x-tenant-id": TENANT,
            "x-user-permissions": "media:files.read media:files.write",
        }

    async def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request to the service, which must succeed."""
        headers = self._headers | options.pop("headers", {})
        url = f"{self._up['api']}{path}"
        return (
            await self._http.request(method, url, headers=headers, **options)
        ).raise_for_status()

    async def pending(self, body: bytes) -> str:
        """The id of an upload whose bytes are there."""
        wanted = asked(contentType=INGESTED_MIME, fileName="photo.jpg", fileSize=len(body))
        presigned = (await self.ask("POST", "/upload/presign", json=wanted)).json()
        stored = await self._http.put(
            presigned["uploadUrl"], content=body, headers=presigned["headers"]
        )
        stored.raise_for_status()
        return str(presigned["mediaId"])

    async def least_of_a_complete(self, body: bytes) -> Callable[[], Awaitable[None]]:
        """HEAD, GET and copy of an object of its own."""
        key = f"bench/{secrets.token_hex(8)}.jpg"
        incoming = self._buckets["incoming"]
        await self._store.put_object(Bucket=incoming, Key=key, Body=body, ContentType=INGESTED_MIME)

        async def work() -> None:
            await self._store.head_object(Bucket=incoming, Key=key)
            got = await self._store.get_object(Bucket=incoming, Key=key)
            assert len(await got["Body"].read()) == len(body)
            source = {"Bucket": incoming, "Key": key}
            await self._store.copy_object(
                Bucket=self._buckets["public"], Key=key, CopySource=source
            )

        return work

    async def least_of_an_ingest(self, url: str) -> None:
        """Fetch and store."""
        got = (await self._http.get(url)).raise_for_status()
        key = f"bench/{secrets.token_hex(8)}.jpg"
        await self._store.put_object(
            Bucket=self._buckets["public"], Key=key, Body=got.content, ContentType=INGESTED_MIME
        )

    async def ingested(self, urls: Iterable[str]) -> None:
        """Return when all of them are in the library."""
        urls = list(urls)
        before = (await self.ask("GET", "/files/stats")).json()["totalFiles"]
        await at_once(
            AT_ONCE,
            (
                lambda url=url: self.ask(  # type: ignore[misc]
                    "POST",
                    "/upload/ingest-url",
                    json={"url": url, "serviceCode": "blog"},
                    headers={"prefer": "respond-async"},
                )
                for url in urls
            ),
        )
        wanted = before + len(urls)
        while (await self.ask("GET", "/files/stats")).json()["totalFiles"] < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def at_once(clients: int, works: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
    """Do all of them, so many at a time: their results."""
    queue, results = iter(works), list[Any]()

    async def client() -> None:
        for work in queue:
            results.append(await work())

    await asyncio.gather(*(client() for _ in range(clients)))
    return results


@asynccontextmanager
async def opened(up: Mapping[str, Any]) -> AsyncIterator[Uploads]:
    """The clients of the floor and of the service."""
    where = up["objectStore"]
    session = aioboto3.Session(
        aws_access_key_id=where["accessKey"], aws_secret_access_key=where["secretKey"]
    )
    limits = httpx.Limits(max_connections=AT_ONCE)
    async with (
        httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as http,
        session.client("s3", endpoint_url=where["endpoint"], region_name="auto") as store,
    ):
        yield Uploads(up, http, store)


async def completes(
    report: Report, uploads: Uploads, bench: Bench, body: bytes, *, rounds: int, seconds: float
) -> None:
    """Completes at some numbers of clients, each round beside its floors."""
    rows: list[list[str | float]] = []
    for clients in CLIENTS:
        costs, inserts, floors = list[Cost](), list[Cost](), list[float]()
        for _ in range(rounds):
            # More than can be completed meanwhile.
            ids = await at_once(AT_ONCE, itertools.repeat(lambda: uploads.pending(body), 350))
            cost = await bench.measure(_completing(ids), clients, seconds=seconds)
            insert = await bench.measure(inserting(), clients, seconds=seconds)
            assert cost is not None
            assert insert is not None
            costs.append(cost)
            inserts.append(insert)
            works = await at_once(
                AT_ONCE, itertools.repeat(lambda: uploads.least_of_a_complete(body), 200)
            )
            began = time.perf_counter()
            await at_once(clients, works)
            floors.append(len(works) / (time.perf_counter() - began))
        paired = zip(costs, floors, strict=True)
        rows.append(
            [
                f"{clients} clients",
                *(statistics.median(getattr(one, field) for one in costs)
                  for field in ("a_second", "p50", "p99", "cpu")),
                statistics.median(floors),
                statistics.median(cost.a_second / floor for cost, floor in paired),
                ratio(costs, inserts, "a_second"),
                ratio(costs, inserts, "cpu"),
            ]
        )  # fmt: skip
    report.table(
        "Completes",
        ["", "a second", "p50 ms", "p99 ms", "CPU ms", "floor", "of floor", "of INSERT", "of CPU"],
        rows,
    )


def _completing(ids: Iterable[str]) -> Iterator[Request]:
    return (
        (f"service@{TENANT}", "PATCH", "/upload/complete", JSON({"mediaId": one})) for one in ids
    )


async def ingests(
    report: Report, uploads: Uploads, source: HttpSource, body: bytes, *, rounds: int, files: int
) -> None:
    """Ingests from the request until the last is in the library, each round beside its floor."""
    ours, floors = list[float](), list[float]()
    for number in range(rounds):
        paths = [f"/{number}/{one}.jpg" for one in range(files)]
        for path in paths:
            source.answers[path] = response(body, headers=[("Content-Type", INGESTED_MIME)])
        urls = [source.url(path) for path in paths]
        began = time.perf_counter()
        await uploads.ingested(urls)
        ours.append(files / (time.perf_counter() - began))
        began = time.perf_counter()
        fetching = (lambda url=url: uploads.least_of_an_ingest(url) for url in urls)
        await at_once(AT_ONCE, fetching)
        floors.append(files / (time.perf_counter() - began))
    of_floor = statistics.median(our / floor for our, floor in zip(ours, floors, strict=True))
    report.table(
        "Ingests",
        ["", "a second", "floor", "of floor"],
        [[f"{files} at a time", statistics.median(ours), statistics.median(floors), of_floor]],
    )


async def run(arguments: argparse.Namespace) -> int:
    """Measure and print; nothing here has a goal."""
    report = Report("Completes and ingests")
    rounds, seconds, files = (1, 0.5, 40) if arguments.quick else (3, 2.0, 200)
    body = photo()
    async with http_source() as source:
        with service(MEDIA_PERMITTED_SOURCES=source.pair, MEDIA_LIMIT_INGEST="0") as up:
            url = str(up["database"])
            async with (
                opened(up) as uploads,
                await psycopg.AsyncConnection.connect(url, autocommit=True) as watch,
                floor(url) as (floor_url, floor_pid),
            ):
                await watch.execute(TABLE)
                bench = Bench(up, floor_url, floor_pid, watch)
                await completes(report, uploads, bench, body, rounds=rounds, seconds=seconds)
                await ingests(report, uploads, source, body, rounds=rounds, files=files)
    report.say(
        f"A JPEG of {len(body) / 1024:.0f} KiB. A complete looks at the object, reads and decodes"
        " it in a sandbox, copies and records it; meanwhile the workers inspect what was completed"
        " before and make its thumbnail, on the same cores. Its floor is HEAD, GET and copy by"
        " aioboto3, that of an ingest GET by httpx and PUT by aioboto3. CPU is milliseconds of the"
        " HTTP process and its PostgreSQL backends; decoders are processes of their own. The last"
        " two columns are multiples of a bare Litestar route with a durable INSERT."
    )
    return report.finish("uploads", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="one short round")


if __name__ == "__main__":
    sys.exit(main())

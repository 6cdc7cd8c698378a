"""Do a page and the sums cost the same in a large library as in a small one; is search quick?

`python -m bench.listing`: pages of 50 out of 10,000 and 1,000,000 files for every sort, and 16
clients searching among 200,000.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import msgspec
import psycopg

from adapters.postgres import Pool, open_pool
from bench.kit import Report, command, interleaved, own_database
from projections.file_list import recent
from projections.file_pages import FileQuery, Sort, page
from projections.folded_name import search_text
from projections.storage_stats import stats

SORTS: tuple[Sort, ...] = (
    "-createdAt", "createdAt", "fileName", "-fileName", "fileSize", "-fileSize",
)  # fmt: skip
FILTERS = {
    "no filter": FileQuery(),
    "image": FileQuery(categories=("image",)),
    "document": FileQuery(categories=("document",)),
    "store": FileQuery(services=("store",)),
    "store, video": FileQuery(services=("store",), categories=("video",)),
    "rare type": FileQuery(mime_types=("image/avif",)),
}
LONG = (
    "holiday", "img_00", "img_123456", "invoice", "ferien", "äpfel", "отчёт", "no such name",
    ".webp", "a-b", "2024", "zzz",
)  # fmt: skip
MANY = ("holiday", "invoice", "отчёт", "2024")
"""Tens of thousands of names each, which lie together in the order of names."""
SHORT = ("a", "5", "ä", "q", "~", "zz")
CLIENTS = 16
PUBLIC_BASE_URL = "https://media.example"

# One rare type and one rare word in a thousand files; the rest spread evenly.
FILL = """
INSERT INTO file_list_v2
SELECT %(owner)s, 'media_' || md5(%(owner)s || n), service, name, lower(name),
       translate(lower(name), %(odd)s, %(even)s), (n * 7919::bigint) %% 10000000 + 1, type,
       split_part(CASE type WHEN 'application/pdf' THEN 'document/' ELSE type END, '/', 1),
       'key/' || n, true, 'user_' || n %% 50, at, at
FROM generate_series(1, %(files)s) AS n,
LATERAL (SELECT timestamptz '2024-01-01' + n * interval '7 seconds') AS a (at),
LATERAL (SELECT (ARRAY['blog', 'content', 'store', 'newsletter', 'avatar'])[1 + n %% 5])
  AS s (service),
LATERAL (SELECT CASE WHEN n %% 1000 = 0 THEN 'image/avif' ELSE
  (ARRAY['image/jpeg', 'image/webp', 'image/png', 'video/mp4', 'application/pdf', 'image/jpeg'])
  [1 + (n / 5) %% 6] END) AS t (type),
LATERAL (SELECT CASE WHEN n %% 1000 = 1 THEN 'Äpfel a-b ' ELSE
  (ARRAY['IMG_', 'Holiday ', 'Invoice 2024-', 'photo ', 'scan-', 'Отчёт '])[1 + n %% 6]
  END || lpad(((n * 104729::bigint) %% 1000003)::text, 6, '0') || '.webp') AS m (name)
"""


SUMS = """
INSERT INTO storage_stats_v1
SELECT owner, service_code, category, count(*), sum(file_size) FROM file_list_v2
WHERE owner = %(owner)s GROUP BY owner, service_code, category
"""


async def fill(connection: psycopg.AsyncConnection, owners: Mapping[str, int]) -> None:
    """Give each owner so many files, in the read models alone. Outside of a transaction."""
    for owner, files in owners.items():
        parameters = {"owner": owner, "files": files, "odd": ODD, "even": search_text(ODD)}
        await connection.execute(FILL, parameters)
        await connection.execute(SUMS, {"owner": owner})
    await connection.execute("VACUUM ANALYZE file_list_v2")


ODD = "_. -äотчё"
"""What the names hold beside a-z and 0-9."""
OWNERS = {"t:small": 10_000, "t:search": 200_000, "t:large": 1_000_000}
QUICK_PART = 20
"""The short form's libraries are so many times smaller."""


async def timed(call: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    await call()
    return (time.perf_counter() - start) * 1000


async def listings(pool: Pool, report: Report, *, rounds: int) -> None:
    rows: list[list[str | float]] = []
    ratios = []
    for name, query in FILTERS.items():
        for sort in SORTS:
            one = msgspec.structs.replace(query, sort=sort, limit=50)
            deep = await deep_query(pool, one)
            calls = {
                "small": partial(listed, pool, "t:small", one),
                "large": partial(listed, pool, "t:large", one),
                "deep": partial(listed, pool, "t:large", deep),
            }
            times = await interleaved(
                {key: partial(timed, call) for key, call in calls.items()}, rounds=rounds
            )
            rows.append([f"{name}, {sort}", *(times.median(key) for key in calls)])
            ratios.append(times.ratio("large", "small"))
    report.table(
        "Milliseconds for a page of 50 files",
        ["filter and sort", "of 10,000", "of 1,000,000", "of 1,000,000, page 6"],
        rows,
    )
    ratio = statistics.median(ratios)
    report.goal("a page of 1,000,000 / of 10,000", ratio, limit=1.3, at_most=True)


async def sums(pool: Pool, report: Report, *, rounds: int) -> None:
    """The statistics of a small and of a large library."""

    async def asked(owner: str) -> None:
        await stats(pool, owner)
        await recent(pool, owner, public_base_url=PUBLIC_BASE_URL)

    owners = ("t:small", "t:large")
    times = await interleaved(
        {owner: partial(timed, partial(asked, owner)) for owner in owners}, rounds=rounds
    )
    report.table(
        "Milliseconds for the statistics, with the 8 newest files",
        ["of 10,000", "of 1,000,000"],
        [[f"{times.median('t:small'):.2f}", times.median("t:large")]],
    )
    ratio = times.ratio("t:large", "t:small")
    report.goal("statistics of 1,000,000 / of 10,000", ratio, limit=1.3, at_most=True)


async def listed(pool: Pool, owner: str, query: FileQuery) -> object:
    return await page(pool, owner, query, public_base_url=PUBLIC_BASE_URL)


async def deep_query(pool: Pool, query: FileQuery) -> FileQuery:
    """The same query, five pages on."""
    for _ in range(5):
        answer = await page(pool, "t:large", query, public_base_url=PUBLIC_BASE_URL)
        query = msgspec.structs.replace(query, after=answer.found.next_key or query.after)
    return query


async def searches(
    pool: Pool, needles: Sequence[str], sorts: Sequence[Sort], *, seconds: float
) -> list[float]:
    """Milliseconds of every search that so many clients made at once, sorted."""
    taken: list[float] = []
    end = time.perf_counter() + seconds

    async def client(seed: int) -> None:
        choose = random.Random(seed)
        while time.perf_counter() < end:
            query = FileQuery(search=choose.choice(needles), sort=choose.choice(sorts), limit=50)
            taken.append(await timed(partial(listed, pool, "t:search", query)))

    await asyncio.gather(*(client(seed) for seed in range(CLIENTS)))
    return sorted(taken)


async def searched(pool: Pool, report: Report, *, seconds: float) -> None:
    groups = {
        "3 characters and more, newest first": (LONG, SORTS[:1]),
        "3 characters and more, every sort": (LONG, SORTS),
        "words that many names share, by name": (MANY, ("fileName", "-fileName")),
        "1 or 2 characters, newest first": (SHORT, SORTS[:1]),
        "1 or 2 characters, every sort": (SHORT, SORTS),
    }
    rows: list[list[str | float]] = []
    for name, (needles, sorts) in groups.items():
        taken = await searches(pool, needles, sorts, seconds=seconds)
        p50, p99 = (taken[int(len(taken) * part)] for part in (0.5, 0.99))
        rows.append([name, len(taken) / seconds, p50, p99])
    report.table(
        f"Searches among 200,000 files, {CLIENTS} clients",
        ["", "a second", "p50 ms", "p99 ms"],
        rows,
    )
    mixed = rows[1]
    report.goal("3 characters, every sort", float(mixed[1]), limit=200, unit="a second")
    report.goal("its p99", float(mixed[3]), limit=100, unit="ms", at_most=True)
    await whole_pages(pool, report)


async def whole_pages(pool: Pool, report: Report) -> None:
    """What a client does that wants a page full: it follows the cursor of a short one."""
    rows: list[list[str | float]] = []
    for needle in MANY:
        query = FileQuery(search=needle, sort="fileName", limit=50)
        looks = await looks_for_a_page(pool, query)
        times = [await timed(partial(looks_for_a_page, pool, query)) for _ in range(9)]
        rows.append([needle, str(looks), statistics.median(times)])
    report.table(
        "50 files by name of a word that many names share, one client",
        ["", "requests", "ms in all"],
        rows,
    )


async def looks_for_a_page(pool: Pool, query: FileQuery) -> int:
    """Ask on until 50 files are found; how often it asked."""
    found = looks = 0
    while True:
        looks += 1
        answer = await page(pool, "t:search", query, public_base_url=PUBLIC_BASE_URL)
        found += len(answer.found.items)
        if found >= query.limit or answer.found.next_key is None:
            return looks
        query = msgspec.structs.replace(query, after=answer.found.next_key)


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goals were reached."""
    report = Report("Listing and search")
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(own_database())
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            part = QUICK_PART if arguments.quick else 1
            await fill(connection, {owner: files // part for owner, files in OWNERS.items()})
        pool = await open_pool(url, role="media_api", size=CLIENTS)
        await stack.enter_async_context(pool)
        await listings(pool, report, rounds=5 if arguments.quick else 40)
        await sums(pool, report, rounds=20 if arguments.quick else 400)
        await searched(pool, report, seconds=1 if arguments.quick else 15)
    return report.finish("listing", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="a twentieth of the files, short rounds")


if __name__ == "__main__":
    sys.exit(main())

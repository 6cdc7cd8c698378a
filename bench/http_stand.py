"""What `bench.http` measures: the whole service with its seeds, and the floor beside it."""

import asyncio
import contextlib
import io
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from adapters.embedded import free_port
from adapters.postgres import open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.settings import child_environment
from adapters.system import utc_now
from bench.http_floor import TABLE
from bench.listing import fill
from tests.kit.up import ROOT, Up
from tests.projections.histories import uploaded

OWNER = "t:search"
DELETABLE = 150_000
UNREACHED = {f"MEDIA_LIMIT_{name}": "100000" for name in ("PRESIGN", "LIST", "BULK_DELETE")}
"""Limits nobody reaches: each request is counted all the same, as in production."""

SOME_WITH_IDS_OF_OURS = """
UPDATE file_list_v2 SET media_id = left(media_id, 22)
WHERE media_id IN (
  SELECT media_id FROM file_list_v2 WHERE owner = 't:search' ORDER BY md5(media_id) LIMIT 1000
)
RETURNING media_id
"""


def cpu_seconds(pid: int) -> float:
    """What the process has used so far; 0 when it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def service(*, web: bool = False, **settings: str) -> Iterator[Mapping[str, Any]]:
    """The whole of it, as `./dev up` runs it, on servers and data of its own."""
    with tempfile.TemporaryDirectory(prefix="media-http-") as folder:
        # PostgreSQL runs as another user when we are root.
        Path(folder).chmod(0o711)
        up = Up(Path(folder) / "home", "--ephemeral", web=web, settings=UNREACHED | settings)
        try:
            yield up.until_ready()
        finally:
            # It shows all it has written, for tests: here that would be a line for each request.
            with contextlib.redirect_stdout(io.StringIO()):
                up.end()


@asynccontextmanager
async def floor(database_url: str) -> AsyncIterator[tuple[str, int]]:
    """The bare routes' URL and process."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.http_floor", str(port)),
        cwd=ROOT,
        env=child_environment({}),
        stdin=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(f"{database_url}\n".encode())
        await process.stdin.drain()
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert process.returncode is None, "the floor died"
                await asyncio.sleep(0.05)
            else:
                writer.close()
                break
        yield f"http://127.0.0.1:{port}", process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def seed(
    database_url: str, files: int, others: Mapping[str, int], *, deletable: int = DELETABLE
) -> list[str]:
    """One owner's files in the read model, whose ids are given, and pending uploads to be deleted.

    Completed ones would give the workers a job each, for minutes.
    """
    async with await open_pool(database_url, role="media_worker", size=1) as pool:
        store = PostgresEventStore(pool)
        for first in range(0, deletable, 5000):
            numbers = range(first, first + 5000)
            await store.append([uploaded(OWNER, n, at=utc_now())[0] for n in numbers])
    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        await connection.execute(TABLE)
        await fill(connection, {OWNER: files, **others})
        caught_up = "SELECT FROM follower_lag() WHERE behind_seconds > 0"
        while await (await connection.execute(caught_up)).fetchall():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        found = await (await connection.execute(SOME_WITH_IDS_OF_OURS)).fetchall()
        await connection.execute("VACUUM ANALYZE")
        return [one for (one,) in found]

"""`python -m bench.renditions`: thumbnails a second against ipx, and when an upload is looked into.

ipx (npm, sharp on libvips) is installed into a scratch folder and serves the same file from the
same disk. Both make every picture anew; ours in a jailed process for each.
"""

import argparse
import asyncio
import contextlib
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aioboto3  # type: ignore[import-untyped]
import httpx
import msgspec
import pyvips  # type: ignore[import-untyped]

from adapters.decode_sandbox import DecodeSandbox
from adapters.postgres import open_pool
from adapters.runtime import open_jobs_runtime
from adapters.sandbox_proof import SandboxProof
from adapters.settings import Settings
from application.derivation import order_of
from application.ports import ObjectHeaders
from application.rendering import Order, Rendered
from application.uploads import CompleteUpload, RequestUpload
from bench.kit import Report, command, interleaved, own_database
from bench.processes import processes
from domain.media_file import MediaFile
from domain.rendition import DEFAULT_PRESETS
from projections import file_list
from tests.kit.library import Library
from tests.kit.servers import open_servers

WIDTH, HEIGHT = 4_000, 3_000
AT_ONCE = 4
"""Requests in flight: twice the cores of the machine the figures are of."""
PEER = Path(__file__).with_name("renditions_peer.mjs")
PART_BYTES = 1 << 20
THUMBNAIL = Order(
    mime_type="image/jpeg",
    pictures=(order_of("thumb_200", DEFAULT_PRESETS["thumb_200"], "webp"),),
)
INSPECTION = msgspec.structs.replace(THUMBNAIL, facts=True)


def photograph() -> bytes:
    """12 megapixels with as much detail as a camera's, about 3 MB."""
    noise = pyvips.Image.gaussnoise(WIDTH // 6, HEIGHT // 6, mean=128, sigma=40, seed=5).resize(6)
    picture = noise.bandjoin([noise.rot180(), noise.fliphor()]).cast("uchar")
    return bytes(picture.copy(interpretation="srgb").write_to_buffer(".jpg", Q=88))


async def parts(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while part := await asyncio.to_thread(file.read, PART_BYTES):
            yield part


async def a_second(one: object, count: int) -> float:
    """How many a second, AT_ONCE in flight."""
    assert callable(one)
    turns = asyncio.Semaphore(AT_ONCE)

    async def turn() -> None:
        async with turns:
            await one()

    began = time.perf_counter()
    await asyncio.gather(*(turn() for _ in range(count)))
    return count / (time.perf_counter() - began)


@asynccontextmanager
async def peer(
    folder: Path, *, wanted: bool
) -> AsyncIterator[tuple[httpx.AsyncClient, str] | None]:
    """ipx on a free port, and its versions; None where it is not wanted or cannot be installed."""
    npm, node = shutil.which("npm"), shutil.which("node")
    with tempfile.TemporaryDirectory(prefix="media-bench-") as scratch:
        if not wanted or npm is None or node is None or not await _installed(npm, scratch):
            yield None
            return
        shutil.copy(PEER, scratch)
        server = await asyncio.create_subprocess_exec(
            node, PEER.name, str(folder), cwd=scratch, stdout=asyncio.subprocess.PIPE
        )
        assert server.stdout is not None
        try:
            port, vips, sharp = (await server.stdout.readline()).decode().split()
            base = f"http://127.0.0.1:{port}"
            async with httpx.AsyncClient(base_url=base, trust_env=False, timeout=60) as client:
                yield client, f"libvips {vips} (sharp {sharp})"
        finally:
            server.terminate()
            await server.wait()


async def _installed(npm: str, folder: str) -> bool:
    argv = (npm, "install", "--no-audit", "--no-fund", "--silent", "ipx", "sharp")
    install = await asyncio.create_subprocess_exec(*argv, cwd=folder)
    return await install.wait() == 0


async def thumbnails(report: Report, *, count: int, rounds: int, beside: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="media-bench-") as name:
        folder = Path(name)
        path = folder / "photograph.jpg"
        path.write_bytes(photograph())
        async with DecodeSandbox(servers=2) as sandbox, peer(folder, wanted=beside) as other:
            proof = SandboxProof(sandbox, decoders=2)

            async def ours(order: Order) -> None:
                made = await proof.render(parts(path), order)
                assert isinstance(made, Rendered), made

            async def theirs() -> None:
                assert other is not None
                answer = await other[0].get("/s_200x200,fit_inside,f_webp,q_80/photograph.jpg")
                answer.raise_for_status()
                assert answer.headers["content-type"] == "image/webp"

            variants = {
                "ours, thumbnail": lambda: a_second(lambda: ours(THUMBNAIL), count),
                "ours, with inspection": lambda: a_second(lambda: ours(INSPECTION), count),
            }
            versions = f"libvips {'.'.join(str(pyvips.version(part)) for part in range(3))}"
            report.say(f"{path.stat().st_size:,} bytes, {WIDTH} by {HEIGHT}. Ours: {versions}.")
            if other is None:
                report.say("Without ipx: the short form, no npm, or no network.")
            else:
                report.say(f"ipx: {other[1]}.")
                variants["ipx"] = lambda: a_second(theirs, count)
            await interleaved(variants, rounds=1)
            before = _memory(sandbox)
            samples = await interleaved(variants, rounds=rounds)
            grown = (_memory(sandbox) - before) / 1024
            rows = [(name, samples.median(name)) for name in variants]
            report.table("Pictures a second", ("who", "a second"), rows)
            if other is not None:
                ratio = samples.ratio("ours, thumbnail", "ipx")
                report.goal("Thumbnails a second, ours to ipx", ratio, limit=1)
            made = count * (rounds + 1) * 2
            report.goal(
                f"Memory grown over {made} pictures, worker and fork servers",
                max(grown, 0), limit=20, unit="MiB", at_most=True,
            )  # fmt: skip


def _memory(sandbox: DecodeSandbox) -> int:
    """KiB: our largest so far, and what the fork servers hold."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for pid in sandbox.pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            held += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
    return held


async def inspections(report: Report, *, samples: int) -> None:
    """From the answer of complete until the list shows what the file is."""
    body = photograph()
    async with AsyncExitStack() as stack:
        servers = stack.enter_context(open_servers())
        database = await stack.enter_async_context(own_database())
        buckets = {
            role: f"bench-{os.getpid()}-{role}" for role in ("incoming", "public", "private")
        }
        s3 = {
            "s3_endpoint": servers.s3_endpoint, "s3_region": "us-east-1",
            "s3_access_key": servers.s3_access_key, "s3_secret_key": servers.s3_secret_key,
            **{f"s3_{role}_bucket": name for role, name in buckets.items()},
        }  # fmt: skip
        async with aioboto3.Session().client(
            "s3", endpoint_url=servers.s3_endpoint, region_name="us-east-1",
            aws_access_key_id=servers.s3_access_key, aws_secret_access_key=servers.s3_secret_key,
        ) as client:  # fmt: skip
            for name in buckets.values():
                await client.create_bucket(Bucket=name)
        own = {
            "environment": "development", "database_url": database, "redis_url": servers.redis_url,
            "redis_namespace": "bench-renditions", "public_base_url": "http://media.test",
        }  # fmt: skip
        settings = msgspec.convert(own | s3, Settings)
        await stack.enter_async_context(
            processes(
                "workers.projector",
                "workers.reactor",
                "workers.jobs",
                database_url=database,
                redis_url=servers.redis_url,
                namespace="bench-renditions",
                **s3,
            )
        )
        runtime = await stack.enter_async_context(open_jobs_runtime(settings))
        pool = await open_pool(database, role="media_api", size=2)
        stack.push_async_callback(pool.close)
        library, taken = Library(runtime), []
        for number in range(samples + 2):
            began = await _completed(library, body)
            while not await _shown(pool, began.id):  # noqa: ASYNC110 - as a page that polls
                await asyncio.sleep(0.005)
            if number > 1:
                taken.append(time.perf_counter() - began.at)
    report.table(
        "From complete to the list, seconds",
        ("what", "median", "worst"),
        [("dimensions, hash, colour and thumbnail", statistics.median(taken), max(taken))],
    )
    report.goal(
        "Inspection of an upload visible in the list, median", statistics.median(taken), limit=1,
        unit="s", at_most=True,
    )  # fmt: skip


class Began(msgspec.Struct):
    id: str
    at: float


async def _completed(library: Library, body: bytes) -> Began:
    command = RequestUpload(
        file_name="photograph.jpg", content_type="image/jpeg", file_size=len(body),
        service_code="blog",
    )  # fmt: skip
    pending = (await library.runtime.uploads.request_upload(command, library.context())).file
    headers = ObjectHeaders("image/jpeg", "no-store", "inline")
    await library.runtime.objects.write("incoming", pending.key, body, headers=headers)
    complete = CompleteUpload(media_id=pending.id)
    done = await library.runtime.uploads.complete_upload(complete, library.context())
    assert isinstance(done, MediaFile)
    return Began(done.id, time.perf_counter())


async def _shown(pool: object, media_id: str) -> bool:
    answer = await file_list.by_id(
        pool, "t:ls_abc123", media_id, public_base_url="http://media.test"  # type: ignore[arg-type]
    )  # fmt: skip
    return answer.found is not None and answer.found.sha256 is not None


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goals were reached."""
    report = Report("Renditions")
    count, rounds, samples = (8, 3, 5) if arguments.quick else (30, 7, 30)
    await thumbnails(report, count=count, rounds=rounds, beside=not arguments.quick)
    await inspections(report, samples=samples)
    return report.finish("renditions", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="a minute, without the peer")


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench.signing`: one presigned upload URL, ours against aioboto3's own, in one run."""

import argparse
import base64
import hashlib
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import aioboto3  # type: ignore[import-untyped]
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]

from adapters.sigv4 import Presigner
from bench.kit import Report, command

ENDPOINT, REGION = "https://account.r2.cloudflarestorage.com", "auto"
ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "an-example-secret"
GOAL_MICROSECONDS = 40
ROUNDS = 9
AT = datetime(2026, 4, 29, 10, tzinfo=UTC)
DIGEST = base64.b64encode(hashlib.sha256(b"hello").digest()).decode()


def key_of(number: int) -> str:
    return f"ls_abc123/blog/2026/04/{number:016}.webp"


def sign_ours(presigner: Presigner, number: int) -> str:
    return presigner.sign(
        "PUT",
        f"/incoming/{key_of(number)}",
        headers={
            "Content-Type": "image/webp",
            "Content-Length": "245000",
            "If-None-Match": "*",
            "x-amz-checksum-sha256": DIGEST,
        },
        at=AT,
        lifetime=3600,
    )


async def microseconds(sign: Callable[[int], Awaitable[object]], count: int) -> float:
    """The processor time of one URL, so that what else the machine does counts little."""
    begun = time.process_time()
    for number in range(count):
        await sign(number)
    return (time.process_time() - begun) / count * 1e6


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goal was reached."""
    presigner = Presigner(ENDPOINT, region=REGION, access_key=ACCESS_KEY, secret_key=SECRET_KEY)
    session = aioboto3.Session()
    async with session.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=AioConfig(signature_version="s3v4", s3={"addressing_style": "path"}),
    ) as client:

        async def ours(number: int) -> str:
            return sign_ours(presigner, number)

        async def theirs(number: int) -> object:
            return await client.generate_presigned_url(
                "put_object",
                Params={
                    "Bucket": "incoming",
                    "Key": key_of(number),
                    "ContentType": "image/webp",
                    "ContentLength": 245_000,
                    "IfNoneMatch": "*",
                    "ChecksumSHA256": DIGEST,
                },
                ExpiresIn=3600,
            )

        measured: dict[str, list[float]] = {"ours": [], "aioboto3": []}
        for _ in range(1 if arguments.quick else ROUNDS):
            measured["ours"].append(await microseconds(ours, 2000))
            measured["aioboto3"].append(await microseconds(theirs, 100))
    mine, other = (statistics.median(measured[name]) for name in ("ours", "aioboto3"))
    report = Report("Signing")
    rows: list[list[str | float]] = [["ours", mine], ["aioboto3's own", other]]
    report.table("Processor time of one presigned upload URL", ["", "µs"], rows)
    report.goal("one URL", mine, limit=GOAL_MICROSECONDS, unit="µs", at_most=True)
    return report.finish("signing", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="one round")


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench.log_lines`: what one request's log line costs, beside the standard library's."""

import argparse
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from adapters.settings import Settings
from adapters.telemetry import configure, get_logger
from bench.kit import Report, command

LINES = 2_000
ROUNDS = 15
GOAL = 1.5
FIELDS: dict[str, object] = {
    "requestId": "req_abcdefghijklmnop",
    "tenantId": "ls_abc123",
    "userId": "user_789",
    "mediaId": "media_xK9mQ2pLw3RtYb8c",
    "mimeType": "image/webp",
    "fileSize": 245_000,
    "position": "4294967296",
    "durationMs": 4.2,
    "status": 200,
}


class PlainJson(logging.Formatter):
    """The least a JSON line takes with the standard library; nothing is redacted."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        fields = {"level": record.levelname, "event": record.msg, "at": self.formatTime(record)}
        return json.dumps(fields | record.__dict__["fields"])


def microseconds(write: Callable[[], object]) -> float:
    begun = time.process_time()
    for _ in range(LINES):
        write()
    return (time.process_time() - begun) / LINES * 1e6


def best_of(rounds: int) -> dict[str, float]:
    """Microseconds of one line, for each of those that write it."""
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        settings = Settings(
            environment="development",
            database_url="postgresql://media:database-password@127.0.0.1/media",
            redis_url="redis://:redis-password@127.0.0.1/0",
            public_base_url="http://127.0.0.1:8787",
            s3_endpoint="http://127.0.0.1:9000",
            s3_access_key="s3-access-key",
            s3_secret_key="s3-secret-key",  # noqa: S106 - of no server
        )
        configure(settings, process="api", stream=nowhere)
        ours = get_logger()
        theirs = logging.getLogger("plain")
        theirs.propagate = False
        output = logging.StreamHandler(nowhere)
        output.setFormatter(PlainJson())
        theirs.addHandler(output)
        url = FIELDS | {"url": "https://bucket.example/x?X-Amz-Signature=deadbeef"}
        writers: dict[str, Callable[[], object]] = {
            "ours": lambda: ours.info("media.upload.presign", **FIELDS),
            "ours, with a URL to be redacted": lambda: ours.info("media.upload.presign", **url),
            "the standard library, redacting nothing": lambda: theirs.info(
                "media.upload.presign", extra={"fields": FIELDS}
            ),
        }
        # The least of many rounds: what the code takes when nobody disturbs it.
        return {
            name: min(microseconds(write) for _ in range(rounds)) for name, write in writers.items()
        }


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goal was reached."""
    best = best_of(1 if arguments.quick else ROUNDS)
    report = Report("Log lines")
    report.table("Processor time of one line", ["", "µs"], list(best.items()))
    plain = best["the standard library, redacting nothing"]
    report.goal(
        "ours / the standard library, redacting nothing",
        best["ours"] / plain,
        limit=GOAL,
        at_most=True,
    )
    return report.finish("log-lines", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="one round")


if __name__ == "__main__":
    sys.exit(main())

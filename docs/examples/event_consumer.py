# ruff: noqa: INP001, T201 - a program of its own, to copy
"""A subscriber to the Media Service, to copy: each event takes effect once, in order.

    python event_consumer.py GROUP DATABASE REDIS_URL INTERNAL_URL [NAMESPACE]

Its effect is a table of the library in SQLite; put yours into `take_effect`. The position and the
ids seen are written in the same transaction as the effect, so whenever this is killed, it goes on
as if nothing had happened. For order, one consumer of a group works at a time.
Needs the packages httpx and redis. The contract: docs/subscribing.md.
"""

import contextlib
import json
import signal
import sqlite3
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import redis

CONSUMER = "one"
COUNT = 100
BLOCK_MS = 1_000
RETRY_SECONDS = 1.0

TABLES = """
CREATE TABLE IF NOT EXISTS checkpoint (position INTEGER NOT NULL);
INSERT INTO checkpoint SELECT 0 WHERE NOT EXISTS (SELECT * FROM checkpoint);
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, position INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS seen_position ON seen (position);
CREATE TABLE IF NOT EXISTS library (media_id TEXT PRIMARY KEY, tenant_id TEXT, file_name TEXT);
CREATE TABLE IF NOT EXISTS journal (number INTEGER PRIMARY KEY, type TEXT, subject TEXT, id TEXT);
"""

Event = dict[str, Any]


def take_effect(database: sqlite3.Connection, event: Event) -> None:
    """What this subscriber is for. Within the transaction that also remembers the event."""
    data = event["data"]
    match event["type"]:
        case "media.uploaded":
            database.execute(
                "INSERT INTO library VALUES (?, ?, ?)",
                (data["mediaId"], data["tenantId"], data["fileName"]),
            )
        case "media.deleted":
            database.execute("DELETE FROM library WHERE media_id = ?", (data["mediaId"],))
    database.execute(
        "INSERT INTO journal (type, subject, id) VALUES (?, ?, ?)",
        (event["type"], event["subject"], event["id"]),
    )


class Consumer:
    """Reads the stream as long as it is whole, and the log where it is not."""

    def __init__(
        self, group: str, database: str, redis_url: str, internal_url: str, namespace: str
    ) -> None:
        self.group = group
        self.stream = f"{namespace}:events"
        self.database = sqlite3.connect(database, isolation_level=None)
        self.database.executescript(TABLES)
        self.redis = redis.Redis.from_url(redis_url, decode_responses=True, socket_timeout=10)
        self.log = httpx.Client(base_url=internal_url, timeout=30)

    @property
    def position(self) -> int:
        """Up to where everything has taken effect."""
        return int(self.database.execute("SELECT position FROM checkpoint").fetchone()[0])

    def apply(self, events: Iterable[Event], reached: int | None = None) -> None:
        """Let the events take effect, those seen before left out, all or none of them."""
        with self.transaction():
            for event in events:
                position = int(event["sequence"])
                new = self.database.execute(
                    "INSERT INTO seen VALUES (?, ?) ON CONFLICT DO NOTHING", (event["id"], position)
                )
                if new.rowcount:
                    take_effect(self.database, event)
                reached = max(reached or 0, position)
            if reached is not None:
                self.database.execute(
                    "UPDATE checkpoint SET position = max(position, ?)", (reached,)
                )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """One transaction, or nothing."""
        self.database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def catch_up(self) -> None:
        """Read the log from our position to its end."""
        more = True
        while more:
            answer = self.log.get(
                "/internal/events", params={"after": self.position, "limit": 1000}
            )
            page = answer.raise_for_status().json()
            self.apply(page["items"], int(page["next"]))
            more = page["more"]

    def join(self) -> None:
        """Make the group where it is not there, and let it begin where our effects end.

        It is not there at the first start, and after a loss of Redis. That our own database is
        older than the group, because it came from a backup, does no harm then.
        """
        position = f"{self.position}-0"
        try:
            self.redis.xgroup_create(self.stream, self.group, id=position, mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
            self.redis.xgroup_setid(self.stream, self.group, id=position)

    def read(self, start: str) -> bool:
        """Take what the group has for us from `start` on; False when there is nothing."""
        found: Any = self.redis.xreadgroup(
            self.group, CONSUMER, {self.stream: start}, count=COUNT, block=BLOCK_MS
        )
        entries = [(id_, fields) for _, some in found or [] for id_, fields in some]
        # Asked after the entries: what is whole now was whole then, since `from` only rises.
        whole_from = self.redis.hget(f"{self.stream}:range", "from")
        if whole_from is None or self.position < int(str(whole_from)) - 1:
            self.catch_up()
        else:
            # What the stream no longer holds cannot come again.
            self.database.execute("DELETE FROM seen WHERE position < ?", (int(str(whole_from)),))
        # An entry that was trimmed while it was ours comes without its fields; the log had it.
        events = [json.loads(fields["event"]) for _, fields in entries if fields]
        if events:
            self.apply(events)
        if entries:
            self.redis.xack(self.stream, self.group, *(id_ for id_, _ in entries))
        return bool(entries)

    def run(self) -> None:
        """Go on for ever, through outages of Redis and of the service."""
        while True:
            try:
                self.join()
                # First what we had taken and not acknowledged when we were stopped.
                while self.read("0"):
                    pass
                while True:
                    self.read(">")
            except (redis.RedisError, httpx.HTTPError, OSError) as error:
                print(f"waits: {type(error).__name__}", file=sys.stderr, flush=True)
                time.sleep(RETRY_SECONDS)


def main() -> None:
    """Run until SIGTERM or Ctrl-C."""
    group, database, redis_url, internal_url, *namespace = sys.argv[1:]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        Consumer(group, database, redis_url, internal_url, (namespace or ["media"])[0]).run()


if __name__ == "__main__":
    main()

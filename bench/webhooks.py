"""`python -m bench.webhooks`: do webhooks keep up with 1,000 appends a second?

From the answer of an append until a receiver on this machine has the signed message, with the
sender as a process of its own; some workspaces have a webhook, all write. Beside it the floor: the
same message sent by itself, past the same guard, to the same receiver.
"""

import argparse
import asyncio
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from adapters.guarded_http import GuardedFetcher
from adapters.postgres import Pool, open_pool
from adapters.postgres_event_store import PostgresEventStore
from adapters.postgres_webhooks import PostgresWebhookTargets
from adapters.redis_hints import PositionAnnouncer
from adapters.system import RandomIdentities, utc_now
from adapters.webhook_sender import WebhookSender, new_secret, origin_of
from application.context import Context
from application.media import Media
from application.webhook_delivery import Message
from application.webhooks import RegisterWebhook, Target, Webhooks
from bench.fanout import A_SECOND, WRITERS, Writers
from bench.kit import Report, command, own_database
from bench.processes import processes
from domain.access import Caller
from tests.kit.receiver import Receiver, receiver
from tests.kit.servers import open_servers

NAMESPACE = "bench-webhooks"
WORKSPACES = 50
"""Who write, as `bench.fanout` spreads them."""
SECONDS = 20
WARM_SECONDS = 2
LATEST_SECONDS = 60
POSTS = 200


class Arrivals:
    """When the receiver had each file's first message."""

    def __init__(self, hooks: Receiver) -> None:
        self.at: dict[str, float] = {}
        hooks.decide = self._note

    def _note(self, _headers: dict[str, str], message: dict[str, Any]) -> int:
        self.at.setdefault(message["subject"], time.perf_counter())
        return 204


async def register(pool: Pool, hooks: Receiver, announcer: PositionAnnouncer, count: int) -> None:
    """One webhook each for the first workspaces."""
    identities = RandomIdentities()
    permitted = frozenset({hooks.pair})
    webhooks = Webhooks(
        Media(PostgresEventStore(pool), announce=announcer.announce),
        PostgresWebhookTargets(pool),
        identities,
        origin_of=partial(origin_of, permitted=permitted),
        new_secret=new_secret,
    )
    for number in range(count):
        context = Context(
            caller=Caller("user_1", f"ls_{number}", frozenset()),
            at=utc_now(),
            command_id=identities.command_id(),
            correlation_id="bench",
        )
        command = RegisterWebhook(url=hooks.url(), event_types=["media.uploaded"])
        await webhooks.register(command, context)


async def floor(hooks: Receiver) -> list[float]:
    """Milliseconds of one signed message after the other, past the guard."""
    sender = WebhookSender(GuardedFetcher(permitted=frozenset({hooks.pair})), utc_now)
    target = Target(hooks.url(), new_secret())
    taken = []
    for number in range(POSTS):
        body = b'{"id":"%d","subject":"floor_%d","type":"media.uploaded"}' % (number, number)
        start = time.perf_counter()
        await sender.send(target, Message(str(number), body), previous=None)
        taken.append((time.perf_counter() - start) * 1000)
    return sorted(taken)


async def settle(arrivals: Arrivals, wanted: set[str]) -> int:
    """Wait for what is still under way; how many messages never came."""
    deadline = time.perf_counter() + LATEST_SECONDS
    while (missing := len(wanted - arrivals.at.keys())) and time.perf_counter() < deadline:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    return missing


def p99(values: Sequence[float]) -> float:
    """Of sorted values."""
    return values[int(len(values) * 0.99)]


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goal was reached."""
    seconds = SECONDS / 4 if arguments.quick else SECONDS
    report = Report("Webhooks")
    async with AsyncExitStack() as stack:
        redis_url = stack.enter_context(open_servers()).redis_url
        url = await stack.enter_async_context(own_database())
        pool = await stack.enter_async_context(
            await open_pool(url, role="media_worker", size=WRITERS)
        )
        hooks = await stack.enter_async_context(receiver())
        announcer = PositionAnnouncer(redis_url, channel=f"{NAMESPACE}:positions")
        stack.push_async_callback(announcer.close)
        await register(pool, hooks, announcer, arguments.webhooks)
        alone = await floor(hooks)
        arrivals, writers = Arrivals(hooks), Writers(pool, announcer)
        told = {f"t:ls_{number}" for number in range(arguments.webhooks)}
        where = {"database_url": url, "redis_url": redis_url, "namespace": NAMESPACE}
        async with processes("workers.webhooks", **where, permitted_receivers=hooks.pair):
            await writers.at(100, WARM_SECONDS)
            await settle(arrivals, subscribed(writers, told))
            warm = set(writers.answered)
            rate = await writers.at(A_SECOND, seconds)
            wanted = subscribed(writers, told) - warm
            missing = await settle(arrivals, wanted)
        lags = sorted(
            max(arrivals.at[subject] - writers.answered[subject], 0) * 1000
            for subject in wanted & arrivals.at.keys()
        )
        report.table(
            "Milliseconds from the answer of an append to the receiver",
            ["", "messages", "a second", "median", "p99", "longest"],
            [
                [
                    f"{arguments.webhooks} of {WORKSPACES} workspaces have a webhook",
                    len(lags),
                    len(lags) / seconds,
                    statistics.median(lags),
                    p99(lags),
                    lags[-1],
                ],
                [
                    "one message after the other, nothing else (floor)",
                    len(alone),
                    1000 / statistics.mean(alone),
                    statistics.median(alone),
                    p99(alone),
                    alone[-1],
                ],
            ],
        )
        report.goal("appends a second meanwhile", rate, limit=0.95 * A_SECOND, unit="")
        report.goal("messages that never came", missing, limit=0, unit="", at_most=True)
        report.goal("p99 of the lag", p99(lags), limit=250, unit="ms", at_most=True)
    return report.finish("webhooks", write=arguments.report)


def subscribed(writers: Writers, owners: set[str]) -> set[str]:
    """The files of the owners."""
    return {subject for subject, owner in writers.owners.items() if owner in owners}


def main() -> int:
    """Read the command line and run."""
    return command(
        run,
        __doc__,
        quick="a quarter of the time",
        options=lambda parser: parser.add_argument(
            "--webhooks", type=int, default=10, help="workspaces that have one, to 50"
        ),
    )


if __name__ == "__main__":
    sys.exit(main())

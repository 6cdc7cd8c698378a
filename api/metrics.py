"""Prometheus metrics of one process: requests by route and status, and how long they took."""

from functools import cache
from typing import get_args

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram

from application.upload_reports import Outcome

DURATION_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds; spec 8.2 alerts on a presign over 0.5."""


class Metrics:
    """The numbers of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        # What the adapters of the process count.
        self.registry.register(REGISTRY)
        self._requests = Counter(
            "media_requests",
            "Answered requests.",
            ["route", "status"],
            registry=self.registry,
        )
        self._durations = Histogram(
            "media_request_seconds",
            "Time from the request's head to the end of its answer.",
            ["route"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self._reports = Counter(
            "media_upload_reports",
            "PUTs of browsers that went wrong, as they tell.",
            ["stage", "outcome"],
            registry=self.registry,
        )
        self._limited = Counter(
            "media_limit_reached",
            "Requests refused with 429.",
            ["limit"],
            registry=self.registry,
        )
        self._not_counted = Counter(
            "media_limit_not_counted",
            "Requests let through uncounted because Redis was away.",
            ["limit"],
            registry=self.registry,
        )
        # `labels` takes a lock and builds a key: once per route and status is enough.
        self._count = cache(lambda route, status: self._requests.labels(route, status).inc)
        self._observe = cache(lambda route: self._durations.labels(route).observe)
        # From 0, so that the first report is seen as an increase.
        for outcome in get_args(Outcome):
            self._reports.labels("put", outcome)

    def record(self, route: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self._count(route, status)()
        self._observe(route)(seconds)

    def limit_reached(self, limit: str) -> None:
        """One request was refused."""
        self._limited.labels(limit).inc()

    def limit_not_counted(self, limit: str) -> None:
        """One request passed without being counted."""
        self._not_counted.labels(limit).inc()

    def upload_report(self, stage: str, outcome: str) -> None:
        """Count one report of a client."""
        self._reports.labels(stage, outcome).inc()

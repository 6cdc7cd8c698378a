"""Prometheus metrics of one process: requests by route and status, and how long they took."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

DURATION_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
"""Seconds; spec 8.2 alerts on a presign over 0.5."""


class Metrics:
    """The numbers of one app."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
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
        self._positions = Gauge(
            "media_follower_position",
            "Log position a follower has reached.",
            ["follower"],
            registry=self.registry,
        )
        self._lags = Gauge(
            "media_follower_lag_seconds",
            "Age of the oldest event a follower has not taken.",
            ["follower"],
            registry=self.registry,
        )
        self._writer = Gauge(
            "media_oldest_writer_seconds",
            "Age of the oldest writing transaction of the cluster: followers wait for it.",
            registry=self.registry,
        )
        self._failures = Gauge(
            "media_failed_purges",
            "Removals of bytes that an operator must look at.",
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

    def follower(self, name: str, *, position: int, lag_seconds: float) -> None:
        """Where a follower stands."""
        self._positions.labels(name).set(position)
        self._lags.labels(name).set(lag_seconds)

    def work(self, *, oldest_writer_seconds: float, failed_purges: int) -> None:
        """What stands in the way."""
        self._writer.set(oldest_writer_seconds)
        self._failures.set(failed_purges)

    def text(self) -> bytes:
        """The exposition text."""
        return generate_latest(self.registry)

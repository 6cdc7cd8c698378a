"""Whether what the HTTP apps depend on answers, and how far behind the followers are."""

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
import redis.asyncio

from adapters.decoder_check import DecoderCheck
from adapters.postgres import Pool, connection
from adapters.scanner_check import ScannerCheck
from adapters.telemetry import get_logger
from application.ports import ObjectStore, SandboxUnavailable
from application.scan_ports import ScannerUnavailable

CHECK_SECONDS = 2.0
"""How long one dependency may take to answer."""
TOLD_ONLY = frozenset({"scanner"})
"""What is away without making a process unfit: uploads wait, and all else works."""
MAX_LAG_SECONDS = 30.0
"""A read model further behind than this fails the check; normal is a few milliseconds."""


class FollowerLag(msgspec.Struct, frozen=True):
    """Where one follower stands."""

    follower: str
    position: int
    behind_seconds: float
    next_type: str | None
    """The stored type of the event it stands before; None when it has taken all."""


async def follower_lags(pool: Pool) -> list[FollowerLag]:
    """All followers that ever ran, less the builds beside them. Raises DatabaseUnavailable."""
    async with connection(pool) as one:
        cursor = await one.execute(
            "SELECT follower, reached, behind_seconds, next_type FROM follower_lag()"
            # One that was stopped waits for whoever goes on with it, and is nobody's alarm.
            " WHERE follower !~ '^(rebuild|verify)_'"
        )
        return [FollowerLag(*row) for row in await cursor.fetchall()]


async def oldest_writer_seconds(pool: Pool) -> float:
    """Age of the oldest writing transaction we may see: it holds every follower back."""
    async with connection(pool) as one:
        cursor = await one.execute(
            "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)::float8"
            " FROM pg_stat_activity WHERE backend_xid IS NOT NULL"
        )
        row = await cursor.fetchone()
    return float(row[0]) if row else 0.0


class Readiness:
    """The checks of `GET /ready`."""

    def __init__(
        self,
        pool: Pool,
        objects: ObjectStore,
        *,
        redis_url: str,
        followers: frozenset[str],
        decoders: DecoderCheck | None = None,
        scanner: ScannerCheck | None = None,
    ) -> None:
        self._pool = pool
        self._objects = objects
        self._redis_url = redis_url
        self._followers = followers
        self._decoders = decoders
        self._scanner = scanner

    async def check(self) -> dict[str, bool]:
        """Each dependency and whether it answers. Never raises; takes at most CHECK_SECONDS."""
        checks: dict[str, Callable[[], Awaitable[None]]] = {
            "postgres": self._postgres,
            "redis": self._redis,
            "objectStore": self._object_store,
            "projections": self._projections,
        }
        if self._decoders is not None:
            checks["decoders"] = self._decode
        if self._scanner is not None:
            checks["scanner"] = self._scan
        results = await asyncio.gather(*(_passes(name, check) for name, check in checks.items()))
        return dict(zip(checks, results, strict=True))

    async def _postgres(self) -> None:
        async with connection(self._pool) as one:
            await one.execute("SELECT 1")

    async def _redis(self) -> None:
        client = redis.asyncio.Redis.from_url(self._redis_url, retry=None)
        try:
            await client.ping()
        finally:
            await client.aclose()

    async def _object_store(self) -> None:
        # A key nobody has: the answer is that there is nothing, from a store that works.
        await self._objects.head("incoming", "ready")

    async def _projections(self) -> None:
        lags = {lag.follower: lag for lag in await follower_lags(self._pool)}
        late = []
        for name in sorted(self._followers):
            lag = lags.get(name)
            if lag is None:
                late.append(f"{name} has never started")
            elif lag.behind_seconds >= MAX_LAG_SECONDS:
                # Of a type its version does not know, it is what the follower waits for.
                late.append(f"{name} stands before {lag.next_type}")
        if late:
            raise TimeoutError(", ".join(late))

    async def _decode(self) -> None:
        if self._decoders is not None and self._decoders.trouble is not None:
            raise SandboxUnavailable(self._decoders.trouble)

    async def _scan(self) -> None:
        if self._scanner is not None and self._scanner.trouble is not None:
            raise ScannerUnavailable(self._scanner.trouble)


async def _passes(name: str, check: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong, the answer is "no"
        get_logger().warning(
            "media.not_ready", dependency=name, error=f"{type(error).__name__}: {error}"
        )
        return False
    return True

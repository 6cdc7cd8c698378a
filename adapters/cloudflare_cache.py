"""The `CdnCache` port on Cloudflare's purge by URL, and `NoCdn` where nothing keeps copies.

`POST /zones/{zone}/purge_cache` takes 30 to 500 addresses a call and 800 to 3,000 a second, by
plan; beyond that it answers 429. The runtime opens one per process.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import httpx
import msgspec

from adapters.settings import Settings
from adapters.telemetry import get_logger
from application.cdn_ports import CdnUnavailable

CONNECT_SECONDS = 3
ANSWER_SECONDS = 10
ATTEMPTS = 4
BACKOFF_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 20
"""Of a Retry-After that is honoured here; a longer one is left to the job's own retries."""
MAX_ANSWER_BYTES = 64 * 1024
MAX_TOLD = 200
"""Characters of Cloudflare's own words that an error repeats."""


class NoCdn:
    """No cache is configured, so that none has to be told."""

    name = "none"

    async def purge(self, urls: Sequence[str]) -> None:
        """Nothing."""


class CloudflareCache:
    """One zone."""

    name = "cloudflare"

    def __init__(self, settings: Settings, client: httpx.AsyncClient) -> None:
        self._client = client
        self._url = f"{settings.cloudflare_api_url}/zones/{settings.cloudflare_zone_id}/purge_cache"
        self._token = settings.cloudflare_api_token
        self._a_call = settings.cloudflare_purge_urls
        self._pace = Pace(settings.cloudflare_urls_per_second)
        # A cache keeps a copy for each page's origin that asked (Cloudflare's default cache key).
        self._origins = settings.allowed_origins

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """With connections of its own, closed at the end."""
        async with httpx.AsyncClient(
            trust_env=False,
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        ) as client:
            yield cls(settings, client)

    async def purge(self, urls: Sequence[str]) -> None:
        """Have the copies dropped, in calls as large as the plan allows. Raises CdnUnavailable."""
        files: list[object] = list(urls)
        files += [{"url": url, "headers": {"Origin": one}} for one in self._origins for url in urls]
        for start in range(0, len(files), self._a_call):
            await self._call(files[start : start + self._a_call])

    async def _call(self, files: Sequence[object]) -> None:
        """One call, repeated while trying again can help."""
        body = msgspec.json.encode({"files": files})
        for attempt in range(1, ATTEMPTS + 1):
            await self._pace.take(len(files))
            wait, why = await self._attempt(body)
            if not why:
                return
            get_logger().warning("media.cdn.purge_failed", attempt=attempt, error=why)
            if wait is None or wait > LONGEST_WAIT_SECONDS or attempt == ATTEMPTS:
                raise CdnUnavailable(why)
            backoff = BACKOFF_SECONDS * 2 ** (attempt - 1)
            await asyncio.sleep(max(wait, backoff) * random.uniform(1, 1.25))  # noqa: S311 - jitter

    async def _attempt(self, body: bytes) -> tuple[float | None, str]:
        """How long to wait before another try (None: it cannot help) and why it failed, if so."""
        headers = {
            "authorization": f"Bearer {self._token}",
            "content-type": "application/json",
        }
        try:
            async with self._client.stream(
                "POST", self._url, content=body, headers=headers
            ) as answer:
                said = await _read(answer)
        except httpx.HTTPError as error:
            return 0, f"Cloudflare does not answer: {type(error).__name__}"
        errors = _errors(said)
        if answer.is_success and errors is None:
            return 0, "Cloudflare's answer is not what its API promises."
        if answer.is_success and not errors:
            return None, ""
        why = f"Cloudflare answers {answer.status_code}: {errors or 'nothing more'}"
        if answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            return _seconds(answer.headers.get("retry-after")), why
        return (0 if answer.is_server_error else None), why


class Pace:
    """So many a second, with bursts of as many; of one process."""

    def __init__(self, a_second: float) -> None:
        self._a_second = a_second
        self._free_at = 0.0

    async def take(self, count: int) -> None:
        """Wait until `count` more may go."""
        clock = asyncio.get_running_loop().time
        now = clock()
        begins = max(self._free_at, now - 1)
        self._free_at = begins + count / self._a_second
        await asyncio.sleep(max(self._free_at - now, 0) if self._free_at > now else 0)


async def _read(answer: httpx.Response) -> bytes:
    """The body up to a limit: the rest says nothing we need."""
    said = b""
    async for part in answer.aiter_bytes():
        said += part
        if len(said) > MAX_ANSWER_BYTES:
            break
    return said[:MAX_ANSWER_BYTES]


def _errors(said: bytes) -> str | None:
    """What the envelope complains of, "" for success; None when it is no envelope."""
    try:
        envelope: Any = msgspec.json.decode(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(envelope, dict) or not isinstance(envelope.get("success"), bool):
        return None
    if envelope["success"]:
        return ""
    listed = envelope.get("errors")
    told = [
        f"{one.get('code')} {one.get('message')}"
        for one in (listed if isinstance(listed, list) else ())
        if isinstance(one, dict)
    ]
    return ("; ".join(told) or "no reason")[:MAX_TOLD]


def _seconds(retry_after: str | None) -> float:
    """Of the header in its numeric form; a second where it says nothing of use."""
    text = retry_after or ""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 1.0  # noqa: PLR2004

"""What the development edge keeps of public files, as a CDN does, and its purge by URL.

So that a file which is deleted and not purged is seen to live on here too, and not first in
production. Small, in memory, of this process alone.
"""

import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx
import msgspec

from adapters.settings import Settings
from api.dev_http import Answer, Request

LARGEST_BYTES = 1024 * 1024
"""Of one body: a larger one is fetched anew each time."""
ALL_BYTES = 32 * 1024 * 1024
MAX_CALL_BYTES = 1024 * 1024
FILES_A_CALL = 500
API = "/client/v4/"
_MAX_AGE = re.compile("max-age=([0-9]{1,9})")


class Kept(msgspec.Struct, frozen=True):
    """A whole answer of the object store."""

    stored: httpx.Headers
    body: bytes
    at: float
    until: float

    @property
    def age(self) -> int:
        """Seconds since it was fetched."""
        return int(time.monotonic() - self.at)


class KeptAnswers:
    """The newest of them, by path and query, up to ALL_BYTES."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._bytes = 0

    def get(self, address: str) -> Kept | None:
        """The answer, unless it is too old."""
        kept = self._kept.get(address)
        if kept is None or kept.until <= time.monotonic():
            self.drop(address)
            return None
        self._kept.move_to_end(address)
        return kept

    def keep(self, address: str, stored: httpx.Headers, body: bytes, cache_control: str) -> None:
        """Keep it for as long as its header says, in place of what nobody asked for of late."""
        found = _MAX_AGE.search(cache_control)
        if found is None or len(body) > LARGEST_BYTES:
            return
        self.drop(address)
        now = time.monotonic()
        self._kept[address] = Kept(stored, body, now, now + int(found[1]))
        self._bytes += len(body)
        while self._bytes > ALL_BYTES:
            self.drop(next(iter(self._kept)))

    def drop(self, address: str) -> None:
        """Forget it, if it is there."""
        kept = self._kept.pop(address, None)
        self._bytes -= 0 if kept is None else len(kept.body)


class PurgeApi:
    """As much of Cloudflare's API as `adapters/cloudflare_cache.py` calls."""

    def __init__(self, settings: Settings, kept: KeptAnswers) -> None:
        self._token = settings.cloudflare_api_token
        self._path = f"{API}zones/{settings.cloudflare_zone_id}/purge_cache"
        self._kept = kept

    async def answer(self, request: Request) -> Answer:
        """Drop what the body names, for whoever has the token."""
        given = request.headers.get("authorization", "").encode()
        if not self._token or not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            return _envelope(403, 10000, "Authentication error")
        if request.raw_path != self._path or request.method != "POST":
            return _envelope(404, 7003, "Could not route to this path")
        body = b""
        async for part in request.body():
            body += part
            if len(body) > MAX_CALL_BYTES:
                return _envelope(413, 10027, "The body is too large")
        files = _files(body)
        if files is None or not 1 <= len(files) <= FILES_A_CALL:
            return _envelope(400, 1012, f"Name 1 to {FILES_A_CALL} files")
        for url in files:
            parts = urlsplit(url)
            self._kept.drop(_address(parts.path, parts.query))
        return _envelope(200)


def address_of(request: Request) -> str:
    """What an answer is kept under."""
    return _address(request.raw_path, request.query)


def _address(path: str, query: str) -> str:
    return f"{path}?{query}" if query else path


def _files(body: bytes) -> list[str] | None:
    """The URLs of a call, each alone or in an object that also names an origin."""
    try:
        files = msgspec.json.decode(body)["files"]
        if not isinstance(files, list):
            return None
        return [one if isinstance(one, str) else str(one["url"]) for one in files]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError, TypeError):
        return None


def _envelope(status: int, code: int = 0, message: str = "") -> Answer:
    errors = [{"code": code, "message": message}] if code else []
    said: Mapping[str, object] = {"success": not errors, "errors": errors, "messages": []}
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return Answer(status, headers, msgspec.json.encode(said))

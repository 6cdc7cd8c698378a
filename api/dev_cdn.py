"""Stands where the CDN stands in front of the public bucket, for `api/dev_edge.py`.

Headers come from key and type, since the local S3 server forgets what was stored with an object.
"""

import re
from collections.abc import Mapping
from contextlib import AsyncExitStack
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

import httpx

from adapters.settings import Settings
from adapters.sigv4 import Presigner
from adapters.system import utc_now
from api.dev_cache import LARGEST_BYTES, Kept, KeptAnswers, address_of
from api.dev_http import Answer, Request, fetch, plain
from domain.media_type import MEDIA_TYPES, MediaType

TYPES_BY_EXTENSION = {media_type.extension: media_type for media_type in MEDIA_TYPES.values()}
CONTENT_SECURITY_POLICY: Mapping[str, str] = {
    "image/svg+xml": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    # Without `sandbox` and with `object-src`: else browsers do not show a PDF at all.
    "application/pdf": "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'",
}
MAX_KEY_BYTES = 1024
"""S3's limit."""
URL_SECONDS = 60
SINGLE_RANGE = re.compile("bytes=([0-9]{0,18})-([0-9]{0,18})")


class PublicFiles:
    """GET and HEAD of `/{key}` from the public bucket, and from no other."""

    def __init__(self, settings: Settings, upstream: httpx.AsyncClient, kept: KeptAnswers) -> None:
        self._kept = kept
        self._bucket = settings.s3_public_bucket
        self._upstream = upstream
        self._presigner = Presigner(
            settings.s3_endpoint,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
        )

    async def answer(self, request: Request, stack: AsyncExitStack) -> Answer:
        """The file with its headers, a part of it, or 304, 404, 416."""
        if request.method not in {"GET", "HEAD"}:
            return plain(405, "Only signed requests may write.", allow="GET, HEAD, OPTIONS")
        found = _key_of(request.raw_path)
        if found is None:
            return plain(404, "No such file.")
        key, media_type = found
        kept = self._kept.get(address_of(request))
        stored = await self._look(key, stack) if kept is None else kept.stored
        if isinstance(stored, Answer):
            return stored
        headers = _served_headers(media_type, stored)
        headers["cf-cache-status"] = "MISS" if kept is None else "HIT"
        if kept is not None:
            headers["age"] = str(kept.age)
        if _is_known(request.headers, stored):
            return Answer(304, {k: v for k, v in headers.items() if k != "content-type"})
        size = int(stored["content-length"])
        part = _part_asked(request, stored.get("etag", ""), size)
        if part is None:
            headers["content-length"] = str(size)
            answer = await self._send(200, headers, request, key, stack, kept=kept)
            return await self._keep(request, stored, answer)
        start, end = part
        if start > end:
            return plain(416, "Beyond the end.", content_range=f"bytes */{size}")
        headers["content-length"] = str(end - start + 1)
        headers["content-range"] = f"bytes {start}-{end}/{size}"
        return await self._send(206, headers, request, key, stack, part=part, kept=kept)

    async def _look(self, key: str, stack: AsyncExitStack) -> httpx.Headers | Answer:
        """What the object store says of the file, or what there is to answer without it."""
        stored = await fetch(self._upstream, self._request("HEAD", key), stack)
        if stored.status_code == httpx.codes.NOT_FOUND:
            return plain(404, "No such file.")
        if stored.status_code != httpx.codes.OK:
            return plain(502, "The object store does not answer.")
        return stored.headers

    async def _keep(self, request: Request, stored: httpx.Headers, answer: Answer) -> Answer:
        """Keep a whole small body on its way."""
        response = answer.body
        if answer.status != httpx.codes.OK or not isinstance(response, httpx.Response):
            return answer
        if request.method != "GET" or int(answer.headers["content-length"]) > LARGEST_BYTES:
            return answer
        body = await response.aread()
        control = answer.headers["cache-control"]
        self._kept.keep(address_of(request), stored, body, control)
        return Answer(answer.status, answer.headers, body)

    async def _send(
        self,
        status: int,
        headers: Mapping[str, str],
        request: Request,
        key: str,
        stack: AsyncExitStack,
        *,
        part: tuple[int, int] | None = None,
        kept: Kept | None = None,
    ) -> Answer:
        if request.method == "HEAD":
            return Answer(status, headers)
        if kept is not None:
            start, end = part or (0, len(kept.body))
            return Answer(status, headers, kept.body[start : end + 1])
        asked = {"range": f"bytes={part[0]}-{part[1]}"} if part else {}
        response = await fetch(self._upstream, self._request("GET", key, asked), stack)
        # rclone sends a part with 200, and its Content-Range.
        if response.is_success and response.headers.get("content-range") == headers.get(
            "content-range"
        ):
            return Answer(status, headers, response)
        if response.status_code == httpx.codes.NOT_FOUND:
            return plain(404, "No such file.")
        return plain(502, "The object store does not answer.")

    def _request(
        self, method: str, key: str, headers: Mapping[str, str] | None = None
    ) -> httpx.Request:
        url = self._presigner.sign(
            method, f"/{self._bucket}/{key}", at=utc_now(), lifetime=URL_SECONDS
        )
        return httpx.Request(method, url, headers=headers)


def _key_of(raw_path: str) -> tuple[str, MediaType] | None:
    """Key and type of a path that can name a public file at all."""
    try:
        key = unquote(raw_path, errors="strict").removeprefix("/")
    except UnicodeDecodeError:
        return None
    media_type = TYPES_BY_EXTENSION.get(key.rpartition(".")[2])
    odd = not key.isprintable() or "\\" in key or {"", ".", ".."} & set(key.split("/"))
    if media_type is None or odd or len(key.encode()) > MAX_KEY_BYTES:
        return None
    return key, media_type


def _served_headers(media_type: MediaType, stored: httpx.Headers) -> dict[str, str]:
    disposition = stored.get("content-disposition", media_type.disposition)
    if media_type.disposition == "attachment" and not disposition.startswith("attachment"):
        disposition = "attachment"
    headers = {
        "content-type": media_type.mime_type,
        "cache-control": media_type.cache_control,
        "content-disposition": disposition,
        "accept-ranges": "bytes",
        "x-content-type-options": "nosniff",
    }
    if media_type.mime_type in CONTENT_SECURITY_POLICY:
        headers["content-security-policy"] = CONTENT_SECURITY_POLICY[media_type.mime_type]
    for name in ("etag", "last-modified"):
        if name in stored:
            headers[name] = stored[name]
    return headers


def _is_known(asked: httpx.Headers, stored: httpx.Headers) -> bool:
    """Whether the client already has this version (RFC 9110, 13.2.2)."""
    if "if-none-match" in asked:
        tags = {tag.strip().removeprefix("W/") for tag in asked["if-none-match"].split(",")}
        return "*" in tags or stored.get("etag", "") in tags
    try:
        since = parsedate_to_datetime(asked["if-modified-since"])
        return parsedate_to_datetime(stored["last-modified"]) <= since
    except (KeyError, TypeError, ValueError):
        return False


def _part_asked(request: Request, etag: str, size: int) -> tuple[int, int] | None:
    """First and last byte; None for the whole, the first after the last when there are none."""
    match = SINGLE_RANGE.fullmatch(request.headers.get("range", ""))
    if request.method != "GET" or match is None or match.group(0) == "bytes=-":
        return None
    if request.headers.get("if-range", etag) != etag:
        return None
    first, last = match.groups()
    if not first:
        return max(0, size - int(last)) if int(last) else size, size - 1
    if last and int(last) < int(first):
        return None
    return int(first), min(int(last or size), size - 1)

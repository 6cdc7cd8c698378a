"""Receives what an ingest's URL leads to: its bytes, and what type and name they have.

Called by `application/ingest.py`.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

import msgspec

from application.ports import HEAD_BYTES, ContentInspector
from application.source_ports import FetchedSource, SourceFetcher
from application.uploads import checked_file_name
from domain import ingest
from domain.errors import (
    FileTooLarge,
    RedirectLoop,
    SourceUnavailable,
    SsrfBlocked,
    UnsupportedMime,
)
from domain.media_file import MediaFile
from domain.media_type import MEDIA_TYPES, MediaType, ServiceRules, UploadRules

IN_MEMORY_BYTES = 1024 * 1024
"""Of a source being received; what is over stands on disk."""
WHOLE_ANSWERS = frozenset({200, 203})
"""Of the 2xx: others come without a body, or with a part of one that nobody asked for."""
REFUSALS = (SsrfBlocked, RedirectLoop, SourceUnavailable, FileTooLarge, UnsupportedMime)
"""What a source is to blame for."""


class Received(msgspec.Struct, frozen=True):
    """A source whose bytes are all here."""

    body: BinaryIO
    media_type: MediaType
    file_name: str
    size: int
    sha256: str


class SourceReceiver:
    """Takes in no more than the service accepts, wherever the bytes come from."""

    def __init__(
        self, fetcher: SourceFetcher, inspector: ContentInspector, rules: UploadRules
    ) -> None:
        self._fetcher = fetcher
        self._inspector = inspector
        self._rules = rules

    def check(self, url: str) -> str:
        """The URL as an event may show it, if its text lets it be called. Raises SsrfBlocked."""
        return self._fetcher.check(url)

    @asynccontextmanager
    async def receive(self, file: MediaFile, url: str | None) -> AsyncIterator[Received]:
        """All the source has to give; its bytes live as long as the block.

        Raises one of REFUSALS.
        """
        if url is None:
            raise SourceUnavailable("The address of the source is not kept any more.")
        rules = self._rules.of(file.service_code)
        with SpooledTemporaryFile(max_size=IN_MEMORY_BYTES) as spool:
            body = cast("BinaryIO", spool)
            async with self._fetcher.get(url, max_bytes=rules.largest_bytes) as source:
                if source.status not in WHOLE_ANSWERS:
                    raise SourceUnavailable(f"The source answers {source.status}.")
                media_type, size, sha256 = await self._take(source, rules, body)
                name = file.file_name or ingest.source_file_name(
                    media_type,
                    disposition=source.headers.get("content-disposition", ""),
                    url=source.url,
                )
            # The connection is closed before the bytes go on to the store.
            yield Received(body, media_type, checked_file_name(name), size, sha256)

    async def _take(
        self, source: FetchedSource, rules: ServiceRules, body: BinaryIO
    ) -> tuple[MediaType, int, str]:
        content_type = source.headers.get("content-type", "")
        digest = hashlib.sha256()
        size, head, limit = 0, b"", rules.largest_bytes
        media_type: MediaType | None = None
        async for piece in source:
            size += len(piece)
            if media_type is None:
                head = (head + piece)[:HEAD_BYTES]
                if len(head) == HEAD_BYTES:
                    # As soon as it is known, so that a wrong source is not read to its end.
                    media_type = self._accepted(head, content_type, rules)
                    limit = rules.max_bytes[media_type.category]
            if size > limit:
                raise FileTooLarge(limit)
            digest.update(piece)
            body.write(piece)
        if media_type is None:
            media_type = self._accepted(head, content_type, rules)
            if size > (limit := rules.max_bytes[media_type.category]):
                raise FileTooLarge(limit)
        return media_type, size, digest.hexdigest()

    def _accepted(self, head: bytes, content_type: str, rules: ServiceRules) -> MediaType:
        declared = ingest.declared_type(content_type)
        found = None
        for mime_type in sorted(MEDIA_TYPES, key=lambda one: one != declared):
            if self._inspector.is_of_type(head, mime_type):
                found = MEDIA_TYPES[mime_type]
                break
        return ingest.accepted_type(found, content_type=content_type, rules=rules)

"""The facts about copies of a file in caches, as they are stored. Never edited."""

from datetime import datetime
from typing import ClassVar

from domain.event import Event


class CachePurgeRequested(Event, frozen=True, kw_only=True):
    """Someone asked for the copies of the file in caches to be dropped."""

    TYPE: ClassVar[str] = "media_file.cache_purge_requested.v1"
    reason: str
    """`user`, or `retry` for an operator's."""


class CachePurged(Event, frozen=True, kw_only=True):
    """The caches were told to drop what they keep under any address the file ever had."""

    TYPE: ClassVar[str] = "media_file.cache_purged.v1"
    urls: tuple[str, ...]
    """Every one, in full; empty when the file was never public. Of queries only `variant`."""
    cdn: str
    """Who was told: `cloudflare`, or `none` where no cache is configured."""
    again_at: datetime | None
    """They are told once more then: an answer that was under way when the bytes went may still
    have been kept. None for the last time."""


class CachePurgeFailed(Event, frozen=True, kw_only=True):
    """Telling the caches was tried as often as allowed, in vain; an operator must look."""

    TYPE: ClassVar[str] = "media_file.cache_purge_failed.v1"
    error: str


CACHE_EVENTS: tuple[type[Event], ...] = (CachePurgeRequested, CachePurged, CachePurgeFailed)

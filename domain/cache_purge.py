"""What caches may hold of a file, and when they are to be told to drop it. Pure.

A fact that hides the file, shows it again or replaces a rendition → CachePurged, twice where
bytes went (CachePurgeFailed → CachePurgeRequested between).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Self
from urllib.parse import quote

import msgspec

from domain.cache_events import CachePurged, CachePurgeFailed, CachePurgeRequested
from domain.event import Event, Recorded
from domain.media_file_events import FileDeleted, UploadCompleted, UploadRequested
from domain.placement_events import FileRestored, VisibilityChanged
from domain.rendition_events import PosterStored, RenditionsRemoved, RenditionStored

UNDER_WAY = timedelta(seconds=60)
"""How long an answer that began before the bytes went may take to reach a cache that keeps it:
a CDN reads 10 MB from a bucket within seconds."""


class CachedFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file's addresses and whether a purge of them is due, as its events tell it."""

    id: str = ""
    key: str = ""
    is_public: bool = False
    """Whether everybody may fetch it now."""
    was_public: bool = False
    """Whether everybody could fetch it at any time."""
    rendition_keys: tuple[str, ...] = ()
    """Of every rendition there ever was."""
    presets: tuple[str, ...] = ()
    """Of those renditions."""
    due: bool = False
    hides: bool = False
    """Whether the purge that is due follows the removal of bytes."""
    settles_at: datetime | None = None
    """Until then something that began before the file was hidden may still write its object."""
    not_before: datetime | None = None
    """Of a second pass."""
    asked_by: int = 0
    """Version of the fact that calls for the purge that is due."""
    failed: bool = False

    @classmethod
    def from_history(cls, history: Iterable[Recorded]) -> Self:
        """Fold a stream."""
        file = cls()
        for recorded in history:
            file = file.evolve(recorded)
        return file

    def evolve(self, recorded: Recorded) -> Self:
        """The state after one more event."""
        match recorded.event:
            case UploadRequested(key=key):
                return self._but(id=recorded.stream, key=key)
            case UploadCompleted(is_public=is_public):
                return self._but(is_public=is_public, was_public=is_public)
            case RenditionStored(key=key, preset=preset):
                keys = _with(self.rendition_keys, key)
                return self._but(rendition_keys=keys, presets=_with(self.presets, preset))
            case PosterStored(key=key):
                return self._but(rendition_keys=_with(self.rendition_keys, key))
            case CachePurged(again_at=again_at):
                return self._but(due=again_at is not None, not_before=again_at, failed=False)
            case CachePurgeFailed():
                return self._but(failed=True)
        return self._after_what_calls_for_a_purge(recorded)

    def _after_what_calls_for_a_purge(self, recorded: Recorded) -> Self:
        match recorded.event:
            case FileDeleted(is_public=True, settles_at=settles_at):
                return self._begun(recorded, hides=True, settles_at=settles_at, is_public=False)
            case FileDeleted():
                return self._but(is_public=False)
            case VisibilityChanged(is_public=False, settles_at=settles_at):
                return self._begun(recorded, hides=True, settles_at=settles_at, is_public=False)
            case FileRestored(is_public=True) | VisibilityChanged():
                return self._begun(recorded, hides=False, is_public=True, was_public=True)
            case RenditionsRemoved(keys=keys) if keys:
                return self._begun(recorded, hides=True)
            case CachePurgeRequested():
                return self._begun(recorded, hides=self.due and self.hides)
        return self

    def _but(self, **changes: object) -> Self:
        return msgspec.structs.replace(self, **changes)

    def _begun(
        self,
        recorded: Recorded,
        *,
        hides: bool,
        settles_at: datetime | None = None,
        **changes: object,
    ) -> Self:
        due = {"due": True, "hides": hides, "not_before": None, "failed": False}
        # Of two facts the later one may settle earlier.
        settles = max((at for at in (self.settles_at, settles_at) if at), default=None)
        return self._but(asked_by=recorded.version, settles_at=settles, **due, **changes)

    @property
    def objects(self) -> Sequence[str]:
        """The keys under which the public bucket may hold something of the file."""
        return [self.key, *self.rendition_keys] if self.key else []

    def urls(
        self, *, public_base_url: str, delivery_base_url: str, presets: Iterable[str]
    ) -> tuple[str, ...]:
        """Every address anything public of the file ever had; none if it never was public."""
        if not self.was_public:
            return ()
        stable = [f"{delivery_base_url}/cdn/{quote(self.key)}", f"{delivery_base_url}/m/{self.id}"]
        names = dict.fromkeys((*presets, *self.presets))
        return (
            *(f"{public_base_url}/{quote(key)}" for key in self.objects),
            *stable,
            *(f"{url}?variant={quote(name)}" for url in stable for name in names),
        )

    def request_purge(self, *, reason: str) -> list[Event]:
        """Decide to have the caches told once more."""
        return [CachePurgeRequested(reason=reason)]

    def record_purge(self, *, urls: tuple[str, ...], cdn: str, at: datetime) -> list[Event]:
        """Decide that the caches were told. [] when nothing is due (yet)."""
        if not self.is_due(at):
            return []
        twice = self.hides and self.not_before is None and bool(urls) and cdn != "none"
        again_at = max(at, self.settles_at or at) + UNDER_WAY if twice else None
        return [CachePurged(urls=urls, cdn=cdn, again_at=again_at)]

    def is_due(self, at: datetime) -> bool:
        """Whether the caches are to be told now."""
        return self.due and (self.not_before is None or at >= self.not_before)

    def record_failure(self, *, error: str) -> list[Event]:
        """Decide that the caches could not be told."""
        if not self.due or self.failed:
            return []
        return [CachePurgeFailed(error=error)]

    def retry(self) -> list[Event]:
        """Decide to try again what had failed."""
        return [CachePurgeRequested(reason="retry")] if self.failed else []


def _with(known: tuple[str, ...], one: str) -> tuple[str, ...]:
    return known if one in known else (*known, one)

"""What the application needs of the caches before the bucket's domain. Filled by `adapters/`."""

from collections.abc import Sequence
from typing import Protocol


class CdnUnavailable(Exception):
    """The caches could not be told, after bounded retries: try again later."""


class CdnCache(Protocol):
    """The caches of the bucket's domain and of the delivery routes."""

    @property
    def name(self) -> str:
        """Who is told, as `CachePurged` records it."""
        ...

    async def purge(self, urls: Sequence[str]) -> None:
        """Have every copy kept under these addresses dropped, all of them or CdnUnavailable."""
        ...

"""What an ingest needs of the world beside `ports.py`, as Protocols: sources, and their URLs."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol


class FetchedSource(Protocol):
    """A source's answer, whose body is still to come: iterate once, in pieces of bounded size.

    Iterating raises FileTooLarge or SourceUnavailable.
    """

    @property
    def url(self) -> str:
        """Where the bytes come from, after redirects."""
        ...

    @property
    def status(self) -> int:
        """2xx."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in any case."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The bytes."""
        ...


class SourceFetcher(Protocol):
    """Requests to URLs that a user chose."""

    def check(self, url: str) -> str:
        """The URL without its query and fragment, if its text lets it be called at all.

        Looks nothing up. Raises SsrfBlocked.
        """
        ...

    def get(self, url: str, *, max_bytes: int) -> AbstractAsyncContextManager[FetchedSource]:
        """GET the URL, over at most so many bytes and a bounded time.

        Raises SsrfBlocked, RedirectLoop, SourceUnavailable or FileTooLarge.
        """
        ...


class IngestSources(Protocol):
    """The URLs of ingests that are not fetched yet: they may hold secrets, so no event has them."""

    async def url_of(self, owner: str, media_id: str) -> str | None:
        """The URL that came with the ingest's first event; None when it was forgotten."""
        ...

    async def forget(self, owner: str, media_id: str) -> None:
        """Remove the URL, now that nobody needs it."""
        ...

    async def forget_older_than(self, before: datetime) -> int:
        """Remove the URLs of all owners kept since before the time; how many."""
        ...

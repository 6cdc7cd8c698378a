"""The URLs of ingests under way, as `IngestSources` of `application/source_ports.py`.

For the role media_worker. `postgres_event_store.py` writes them, in the statement that begins the
ingest.
"""

from datetime import datetime

from adapters.postgres import Pool, connection

_URL = "SELECT url FROM ingest_sources WHERE owner = %s AND media_id = %s"
_FORGET = "DELETE FROM ingest_sources WHERE owner = %s AND media_id = %s"
_FORGET_OLD = "DELETE FROM ingest_sources WHERE at < %s"


class PostgresIngestSources:
    """A table that is empty while nothing is being fetched."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def url_of(self, owner: str, media_id: str) -> str | None:
        """The URL, or None when it was forgotten. Raises DatabaseUnavailable."""
        async with connection(self._pool) as one:
            row = await (await one.execute(_URL, (owner, media_id))).fetchone()
        return None if row is None else str(row[0])

    async def forget(self, owner: str, media_id: str) -> None:
        """Remove the URL. Raises DatabaseUnavailable."""
        async with connection(self._pool) as one:
            await one.execute(_FORGET, (owner, media_id))

    async def forget_older_than(self, before: datetime) -> int:
        """Remove the URLs of all owners kept since before the time; how many."""
        async with connection(self._pool) as one:
            return (await one.execute(_FORGET_OLD, (before,))).rowcount

"""Builds that are broken on purpose, one for each invariant: the checker must turn red on them.

`python -m tests.faults.broken FAULT MODULE`. What is broken is replaced here, never in the product.
"""

import itertools
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from tests.faults.faulty import main

# Imports stand in the functions: a process loads what its own fault needs, after faulty.py.
# ruff: noqa: PLC0415


def loses(_: str) -> None:
    """One append in four is acknowledged, and is not in the log."""
    from adapters.postgres_event_store import PostgresEventStore

    real, number = PostgresEventStore._execute, itertools.count(1)

    async def execute(self: PostgresEventStore, statement: str, parameters: Any) -> int:
        if next(number) % 4:
            return await real(self, statement, parameters)
        async with self._pool.connection() as one, one.transaction(force_rollback=True):
            found = await (await one.execute(statement, parameters)).fetchall()
            return int(max(position for (position,) in found))

    PostgresEventStore._execute = execute  # type: ignore[method-assign]


def repeats(_: str) -> None:
    """Idempotency-Keys are ignored, and one append in three says that it failed."""
    from adapters.postgres_event_store import PostgresEventStore
    from domain.errors import DatabaseUnavailable

    real, number = PostgresEventStore.append, itertools.count(1)

    async def append(self: PostgresEventStore, events: Any, **options: Any) -> int:
        if not events:
            return 0
        position = await real(self, events, source=options.get("source"))
        if next(number) % 3 == 0:
            raise DatabaseUnavailable("broken on purpose")
        return position

    PostgresEventStore.append = append  # type: ignore[method-assign]


def refuses(_: str) -> None:
    """A delete is carried out, and refused."""
    from application.deletion import Deletion
    from domain.errors import MediaNotFound

    real = Deletion.delete_file

    async def delete_file(self: Deletion, media_id: str, context: Any) -> Any:
        await real(self, media_id, context)
        raise MediaNotFound(media_id)

    Deletion.delete_file = delete_file  # type: ignore[method-assign]


def deletes_twice(_: str) -> None:
    """A deleted file is deleted once more: a transition that must not be."""
    from domain.media_file import MediaFile

    real = MediaFile.delete
    MediaFile.delete = lambda self, **how: real(self, **how) * 2  # type: ignore[method-assign]


def goes_back(_: str) -> None:
    """Some events get a position that readers have passed."""
    from adapters import postgres_event_store as store

    real, number = store.append_statement, itertools.count(1)

    def append_statement(events: Any, claim: Any, source: Any = None) -> Any:
        statement, parameters = real(events, claim, source)
        if next(number) % 3 == 0:
            back = f"({store.POSITION} - {30 * 65536})"
            statement = statement.replace(store.POSITION, back)
        return statement, parameters

    store.append_statement = append_statement


def forgets_rows(_: str) -> None:
    """The file list leaves out one batch in three."""
    from projections.file_list import FileListProjection

    real, number = FileListProjection.fold, itertools.count(1)

    def fold(self: FileListProjection, batch: Any) -> Sequence[Any]:
        return real(self, batch) if next(number) % 3 else ()

    FileListProjection.fold = fold  # type: ignore[method-assign]


def does_not_wait(_: str) -> None:
    """A query answers with what it has, whatever position it was sent."""
    from projections.waiting import Checkpoints

    async def wait_for(self: Checkpoints, follower: str, position: int, **_: Any) -> int:
        return position

    Checkpoints.wait_for = wait_for  # type: ignore[method-assign]


def lags(_: str) -> None:
    """The projector takes half a second for a batch."""
    from projections.file_list import FileListProjection

    real = FileListProjection.fold

    def fold(self: FileListProjection, batch: Any) -> Sequence[Any]:
        time.sleep(0.5)
        return real(self, batch)

    FileListProjection.fold = fold  # type: ignore[method-assign]


def skips(_: str) -> None:
    """A page leaves out its last file."""
    from projections import file_pages

    real = file_pages.page

    async def page(*arguments: Any, **options: Any) -> Any:
        found = await real(*arguments, **options)
        if len(found.found.items) > 1:
            found.found.items.pop()
        return found

    file_pages.page = page


def opens_doors(_: str) -> None:
    """A file of another workspace is found by its id."""
    from api import files

    real = files.visible_owners

    def owners(caller: Any) -> list[str]:
        own = real(caller)
        return [*own, own[0][:-1] + ("b" if own[0].endswith("a") else "a")]

    files.visible_owners = owners


def keeps_objects(_: str) -> None:
    """Deleted objects stay in the bucket."""
    from adapters.r2_object_store import R2ObjectStore

    async def delete(self: R2ObjectStore, bucket: Any, keys: Any) -> None:
        return

    R2ObjectStore.delete = delete  # type: ignore[method-assign]


def drops_jobs(_: str) -> None:
    """Fetches are taken from the queue, and nothing is done."""
    from application.ingest import Ingest

    async def fetch_source(self: Ingest, media_id: str, context: Any) -> None:
        return

    Ingest.fetch_source = fetch_source  # type: ignore[method-assign]


def loses_envelopes(_: str) -> None:
    """Errors have a shape of their own."""
    from api import errors

    real = errors.envelope

    def envelope(refusal: Any) -> Any:
        made = real(refusal)
        return errors.Envelope(made.error, made.code, 500)

    errors.envelope = envelope


def dies(_: str) -> None:
    """The process ends as soon as it has begun."""
    sys.exit(3)


def keeps_silent(_: str) -> None:
    """One announcement in four never reaches a stream."""
    from adapters.redis_streams import EventStreams

    real, number = EventStreams.publish, itertools.count(1)

    async def publish(self: EventStreams, entries: Any, **how: Any) -> None:
        await real(self, [one for one in entries if next(number) % 4], **how)

    EventStreams.publish = publish  # type: ignore[method-assign]


BROKEN: dict[str, Callable[[str], None]] = {
    "loses": loses,
    "repeats": repeats,
    "refuses": refuses,
    "deletes-twice": deletes_twice,
    "goes-back": goes_back,
    "forgets-rows": forgets_rows,
    "does-not-wait": does_not_wait,
    "lags": lags,
    "skips": skips,
    "opens-doors": opens_doors,
    "keeps-objects": keeps_objects,
    "drops-jobs": drops_jobs,
    "loses-envelopes": loses_envelopes,
    "dies": dies,
    "keeps-silent": keeps_silent,
}

if __name__ == "__main__":
    main(BROKEN)

"""What became of the files of a library, in the order of the log. Read by `GET /files/events`.

No read model of its own: which files changed stands in the log, what they look like now in
`file_list_v2`. Never further than that has come, so that whatever is told can be listed already.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from domain.event import Event
from domain.media_file_events import FileDeleted, UploadCompleted
from domain.placement_events import FilePurgeRequested, FileRestored
from domain.tenant import TenantRemoved
from projections.file_list import UPLOADED, FileListProjection
from projections.file_resource import FILE_COLUMNS, FileResource, from_row
from projections.projection import checkpoint_of
from projections.reading import Answer, Pool, connection, fetch_owned, owned
from projections.variants import NONE as NO_VARIANTS
from projections.variants import Variants

Kind = Literal["added", "changed", "removed", "reset"]

FOLLOWER = FileListProjection.name


def kind_of(event: type[Event]) -> Kind:
    """What a fact that `file_list_v2` knows means to a library. `reset`: all of it is gone."""
    if event in (UploadCompleted, FileRestored):
        return "added"
    if event in (FileDeleted, FilePurgeRequested):
        return "removed"
    return "reset" if event is TenantRemoved else "changed"


class Change(msgspec.Struct, frozen=True):
    """One fact about one file, or with `reset` about all the owner's."""

    owner: str
    media_id: str
    position: int
    kind: Kind


class Changes(msgspec.Struct, frozen=True):
    """Changes of all owners, oldest first."""

    found: Sequence[Change]
    reached: int
    """There is no other change up to here."""
    more: bool


class FileChange(msgspec.Struct, frozen=True):
    """What a client is to do: show the file as it is now, or no longer."""

    position: int
    kind: Kind
    media_id: str
    file: FileResource | None
    """None once it is removed."""


async def list_position(pool: Pool) -> int:
    """How far the file list has come. Raises DatabaseUnavailable."""
    async with connection(pool) as one:
        return await checkpoint_of(one, FOLLOWER)


_ALL = """
SELECT c.position, change.*
FROM (SELECT position FROM checkpoints WHERE follower = %(follower)s) AS c
LEFT JOIN LATERAL library_changes(%(after)s, c.position, %(types)s, %(at_most)s) AS change ON true
ORDER BY change.position
"""


async def changes_of_all(
    pool: Pool, after: int, kinds: Mapping[str, Kind], *, at_most: int
) -> Changes:
    """What changed for anyone: ids alone. `kinds` says what each stored type means."""
    parameters = {
        "follower": FOLLOWER,
        "after": after,
        "types": list(kinds),
        "at_most": at_most,
    }
    async with connection(pool) as one:
        cursor = await one.execute(_ALL, parameters, binary=True, prepare=True)
        rows = await cursor.fetchall()
    found = [
        Change(owner, stream, position, kinds[type_])
        for _, owner, stream, position, type_ in rows
        if owner is not None
    ]
    if len(found) == at_most:
        return Changes(found, found[-1].position, more=True)
    # The list's position may be taken back by a restore, what was told may not.
    return Changes(found, max(after, rows[0][0] if rows else 0), more=False)


_ONE = owned(
    FOLLOWER,
    """
    SELECT owner, stream, position, type FROM events
    WHERE owner = c.owner AND position > %(after)s AND position <= c.position
      AND type = ANY (%(types)s)
      -- The condition of events_owner_position (migration 0016), word for word: it needs it.
      AND type NOT IN (
        'media_file.upload_requested.v1', 'media_file.verification_deferred.v1',
        'media_file.upload_rejected.v1', 'media_file.upload_expired.v1',
        'media_file.upload_cancelled.v1', 'media_file.objects_purged.v1',
        'media_file.purge_failed.v1', 'media_file.purge_retried.v1'
      )
    ORDER BY position LIMIT %(at_most)s
    """,
)
_LISTED = owned(
    FOLLOWER,
    f"SELECT {FILE_COLUMNS} FROM file_list_v2"  # noqa: S608 - text of ours
    " WHERE owner = c.owner AND media_id = ANY (%(ids)s) AND deleted_at IS NULL",
)


async def changes_of(
    pool: Pool, owner: str, after: int, kinds: Mapping[str, Kind], *, at_most: int
) -> Answer[Sequence[Change]]:
    """The owner's changes behind the position, up to where the list stands."""
    parameters = {"owner": owner, "after": after, "types": list(kinds), "at_most": at_most}
    answer = await fetch_owned(pool, _ONE, parameters)
    found = [
        Change(owner, stream, position, kinds[type_])
        for owner, stream, position, type_ in answer.found
    ]
    return Answer(found, answer.position)


async def shown(
    pool: Pool,
    owner: str,
    changes: Iterable[Change],
    *,
    public_base_url: str,
    variants: Variants = NO_VARIANTS,
) -> list[FileChange]:
    """The owner's changes as a client is told them: one per file, with the file as listed now."""
    last: dict[str, Change] = {}
    added = set()
    for change in changes:
        last[change.media_id] = change
        if change.kind == "added":
            added.add(change.media_id)
    answer = await fetch_owned(pool, _LISTED, {"owner": owner, "ids": list(last)})
    listed = {
        row[0]: from_row(row, status=UPLOADED, public_base_url=public_base_url, variants=variants)
        for row in answer.found
    }
    told = []
    for media_id, change in sorted(last.items(), key=lambda one: one[1].position):
        file = listed.get(media_id)
        kind: Kind = "added" if media_id in added else "changed"
        told.append(
            FileChange(change.position, "removed" if file is None else kind, media_id, file)
        )
    return told

"""Rows of `file_list_v2` as a batch of facts leaves them, and the statements that write them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any, Protocol

import msgspec

from projections.columns import Column
from projections.projection import Statement

TYPES: Mapping[str, str] = {
    "owner": "text",
    "media_id": "text",
    "service_code": "text",
    "file_name": "text",
    "folded_name": "text",
    "search_text": "text",
    "file_size": "bigint",
    "mime_type": "text",
    "category": "text",
    "key": "text",
    "is_public": "boolean",
    "uploaded_by": "text",
    "created_at": "timestamptz",
    "updated_at": "timestamptz",
    "deleted_at": "timestamptz",
    "deleted_by": "text",
    "bin_until": "timestamptz",
    "width": "integer",
    "height": "integer",
    "duration_ms": "bigint",
    "sha256": "text",
    "placeholder": "text",
    "dominant_color": "text",
    "page_count": "integer",
    "inspection": "text",
    "renditions": "text",
}
"""Every column, and the type it is sent as. JSON travels as text."""

ANEW = ""
"""A key among renditions that says: these replace all there were, and do not join them."""
_MERGED = (
    f"CASE WHEN new.renditions::jsonb ? '{ANEW}' THEN new.renditions::jsonb - '{ANEW}'"
    f" ELSE file.renditions || new.renditions::jsonb END"
)
_IDENTITY = ("owner", "media_id")

_DELETE = """
DELETE FROM file_list_v2 AS file USING unnest(%b::text[], %b::text[]) AS gone (owner, media_id)
WHERE file.owner = gone.owner AND file.media_id = gone.media_id
"""

_DELETE_OWNERS = "DELETE FROM file_list_v2 WHERE owner = ANY (%b::text[])"

Values = dict[str, Any]


class LibraryRows(Protocol):
    """What facts do to the rows of a library."""

    def add(self, row: Values) -> None:
        """The file joins the library, with these columns."""
        ...

    def change(self, owner: str, media_id: str, **values: object) -> None:
        """These columns of the file have these values now; nothing where it is not listed."""
        ...

    def remove(self, owner: str, media_id: str) -> None:
        """The file is in no list any more."""
        ...

    def remove_owner(self, owner: str) -> None:
        """Nor is any of the owner's, who will have no more."""
        ...


def joined(before: object, renditions: Mapping[str, object]) -> dict[str, object]:
    """What renditions that join those before, or replace them, amount to."""
    kept = before if isinstance(before, dict) and ANEW not in renditions else {}
    return {key: one for key, one in {**kept, **renditions}.items() if key != ANEW}


class FileRows:
    """What a batch makes of the list. Facts are told in their order; the sums are written."""

    def __init__(self) -> None:
        self._added: dict[str, Values] = {}
        self._changed: dict[str, Values] = {}
        self._gone: dict[str, str] = {}
        self._owners: dict[str, None] = {}

    def add(self, row: Values) -> None:
        """The file joins the library, with these columns."""
        self._added[row["media_id"]] = row

    def change(self, owner: str, media_id: str, **values: object) -> None:
        """These columns of the file have these values now; nothing where it is not listed."""
        row = self._added.get(media_id)
        if row is None:
            row = self._changed.setdefault(media_id, {"owner": owner, "media_id": media_id})
        renditions = values.get("renditions")
        if isinstance(renditions, dict) and ANEW not in renditions:
            before = row.get("renditions")
            values["renditions"] = {**(before if isinstance(before, dict) else {}), **renditions}
        row.update(values)

    def remove(self, owner: str, media_id: str) -> None:
        """The file is in no list any more."""
        self._changed.pop(media_id, None)
        if self._added.pop(media_id, None) is None:
            self._gone[media_id] = owner

    def remove_owner(self, owner: str) -> None:
        """Nor is any of the owner's, who will have no more."""
        self._owners[owner] = None
        self._added = {id_: row for id_, row in self._added.items() if row["owner"] != owner}

    def statements(self) -> Sequence[Statement]:
        """One for all owners removed, one for all files; one for each set of columns written."""
        statements = []
        if self._owners:
            statements.append(Statement(_DELETE_OWNERS, (list(self._owners),)))
        if self._gone:
            statements.append(Statement(_DELETE, (list(self._gone.values()), list(self._gone))))
        for names, columns in _by_columns(self._changed):
            statements.append(Statement(_update(names), columns))
        for names, columns in _by_columns(self._added):
            statements.append(Statement(_insert(names), columns, _upsert(names)))
        return statements


def _by_columns(
    rows: Mapping[str, Values],
) -> Iterator[tuple[tuple[str, ...], Sequence[Column]]]:
    alike: defaultdict[tuple[str, ...], list[Values]] = defaultdict(list)
    for row in rows.values():
        alike[tuple(row)].append(_sent(row) if "renditions" in row else row)
    for present, group in alike.items():
        # In one order, so that there are few different statements.
        names = tuple(name for name in TYPES if name in present)
        yield names, [Column(map(itemgetter(name), group)) for name in names]


def _sent(row: Values) -> Values:
    return {**row, "renditions": msgspec.json.encode(row["renditions"]).decode()}


@cache
def _new(names: tuple[str, ...]) -> str:
    # In the select list rows stream; in FROM each column is gathered whole before the first row.
    values = ", ".join(f"unnest(%b::{TYPES[name]}[]) AS {name}" for name in names)
    return f"(SELECT {values}) AS new"


def _values(names: tuple[str, ...]) -> str:
    casts = {"renditions": f"::jsonb - '{ANEW}'"}
    return ", ".join(f"new.{name}{casts.get(name, '')}" for name in names)


@cache
def _insert(names: tuple[str, ...]) -> str:
    # What slipped in after its tenant's removal never shows.
    return (
        f"INSERT INTO file_list_v2 ({', '.join(names)}) SELECT {_values(names)} FROM {_new(names)}"  # noqa: S608 - text of ours
        " WHERE NOT EXISTS (SELECT FROM removed_tenants AS removed WHERE removed.owner = new.owner)"
    )


@cache
def _upsert(names: tuple[str, ...]) -> str:
    changes = ", ".join(f"{name} = excluded.{name}" for name in names if name not in _IDENTITY)
    return f"{_insert(names)} ON CONFLICT (media_id) DO UPDATE SET {changes}"


@cache
def _update(names: tuple[str, ...]) -> str:
    changes = ", ".join(
        f"{name} = {_MERGED if name == 'renditions' else f'new.{name}'}"
        for name in names
        if name not in _IDENTITY
    )
    return (
        f"UPDATE file_list_v2 AS file SET {changes} FROM {_new(names)}"  # noqa: S608 - text of ours
        " WHERE file.owner = new.owner AND file.media_id = new.media_id"
    )

"""Rows turned into columns, as `unnest` takes them, and how these travel to PostgreSQL.

psycopg calls Python three times for every item of an array, which was more than half of a replay.
"""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import psycopg
from psycopg.abc import Buffer, DumperKey
from psycopg.adapt import PyFormat
from psycopg.types.array import BaseListDumper, ListBinaryDumper

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Of PostgreSQL's times."""
NULL = b"\xff\xff\xff\xff"
BOOLEANS = {True: b"\0\0\0\1\1", False: b"\0\0\0\1\0", None: NULL}
MICROSECOND = timedelta(microseconds=1)

_head = struct.Struct("!iiIii").pack
_length = struct.Struct("!i").pack
_whole = struct.Struct("!iq").pack


class Column(list[Any]):
    """The values of one column, all of one type, or None."""

    def __init__(self, values: Iterable[object]) -> None:
        super().__init__(values)
        self.kind: type | None = next((type(item) for item in self if item is not None), None)
        # Now, while the database is at the batch before, and not when it waits for this one.
        self.encoded = _encoded(self) if self.kind in _TYPES else None
        """What travels; None where psycopg is to see to it."""


def columns(rows: Sequence[Sequence[object]]) -> list[Column]:
    """Rows turned into columns."""
    return [Column(column) for column in zip(*rows, strict=True)]


def _encoded(column: Column) -> bytes:
    """The array in PostgreSQL's binary form: one dimension that begins at 1."""
    item_oid, _, encode = _TYPES[column.kind]  # type: ignore[index]  # one of them
    head = _head(1, int(None in column), item_oid, len(column), 1)
    return b"".join([head, *encode(column)])


# All loops are in C where a column has no None: a replay sends ten million values in a minute.


def _texts(items: Sequence[str | None]) -> Iterable[bytes]:
    if None in items:
        encoded = [None if item is None else item.encode() for item in items]
        return [NULL if one is None else _length(len(one)) + one for one in encoded]
    whole = [*map(str.encode, items)]  # type: ignore[arg-type]  # none is None
    return chain.from_iterable(zip(map(_length, map(len, whole)), whole, strict=True))


def _integers(items: Sequence[int | None]) -> Iterable[bytes]:
    if None in items:
        return [NULL if item is None else _whole(8, item) for item in items]
    return map(_whole, repeat(8), items)


def _booleans(items: Sequence[bool | None]) -> Iterable[bytes]:
    return map(BOOLEANS.__getitem__, items)


def _times(items: Sequence[datetime | None]) -> Iterable[bytes]:
    return _integers([None if at is None else (at - EPOCH) // MICROSECOND for at in items])


_Encode = Callable[[Sequence[Any]], Iterable[bytes]]
_TYPES: Mapping[type, tuple[int, int, _Encode]] = {
    str: (25, 1009, _texts),
    int: (20, 1016, _integers),
    bool: (16, 1000, _booleans),
    datetime: (1184, 1185, _times),
}
"""The ids of the type and of its array (pg_type.dat), and how the items travel."""


class ColumnDumper(ListBinaryDumper):
    """Columns of the types above; others as psycopg sends lists."""

    def get_key(self, obj: Column, format: PyFormat) -> DumperKey:  # type: ignore[override]  # noqa: A002 - theirs
        """What tells apart columns that need different dumpers."""
        if obj.encoded is None or obj.kind is None:
            return super().get_key(obj, format)
        return type(self), obj.kind

    def upgrade(self, obj: Column, format: PyFormat) -> BaseListDumper:  # type: ignore[override]  # noqa: A002 - theirs
        """The dumper of such columns."""
        if obj.encoded is None or obj.kind is None:
            return super().upgrade(obj, format)
        dumper = type(self)(self.cls, self._tx)
        dumper.oid = _TYPES[obj.kind][1]
        return dumper

    def dump(self, obj: Column) -> Buffer | None:  # type: ignore[override]
        """What the column holds ready."""
        return super().dump(obj) if obj.encoded is None else obj.encoded


psycopg.adapters.register_dumper(Column, ColumnDumper)

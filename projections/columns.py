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


def columns(rows: Sequence[Sequence[object]]) -> list[Column]:
    """Rows turned into columns."""
    return [Column(column) for column in zip(*rows, strict=True)]


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


def _type_of(column: Sequence[object]) -> type | None:
    return next((type(item) for item in column if item is not None), None)


class ColumnDumper(ListBinaryDumper):
    """Columns of the types above; others as psycopg sends lists."""

    encoded: tuple[int, _Encode] | None = None
    """The id of the items' type and how they travel; None where psycopg knows."""

    def get_key(self, obj: list[Any], format: PyFormat) -> DumperKey:  # noqa: A002 - theirs
        """What tells apart columns that need different dumpers."""
        kind = _type_of(obj)
        if kind is None or kind not in _TYPES:
            return super().get_key(obj, format)
        return type(self), kind

    def upgrade(self, obj: list[Any], format: PyFormat) -> BaseListDumper:  # noqa: A002 - theirs
        """The dumper of such columns."""
        kind = _type_of(obj)
        if kind is None or kind not in _TYPES:
            return super().upgrade(obj, format)
        dumper = type(self)(self.cls, self._tx)
        item_oid, dumper.oid, encode = _TYPES[kind]
        dumper.encoded = item_oid, encode
        return dumper

    def dump(self, obj: list[Any]) -> Buffer | None:
        """The array in PostgreSQL's binary form: one dimension that begins at 1."""
        if self.encoded is None:
            return super().dump(obj)
        item_oid, encode = self.encoded
        head = _head(1, int(None in obj), item_oid, len(obj), 1)
        return b"".join([head, *encode(obj)])


psycopg.adapters.register_dumper(Column, ColumnDumper)

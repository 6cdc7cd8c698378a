"""Page cursors: opaque, signed, bound to the query they came from."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from typing import TypeVar

import msgspec
from itsdangerous import BadSignature, Signer

from domain.errors import InvalidCursor
from projections.file_pages import FileQuery, PageKey

K = TypeVar("K")

MAX_CURSOR_LENGTH = 4096
"""A name has 255 characters, of at most 4 bytes once folded; then base64."""


class Cursors:
    """Writes and reads cursors with the configured keys, of which the newest is the last."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._signer = Signer(
            list(keys),
            salt="media.files.cursor",
            key_derivation="hmac",
            digest_method=hashlib.sha256,
        )

    def write(self, key: PageKey, owner: str, query: FileQuery) -> str:
        """The cursor of the page of files that begins behind the key."""
        return self.sign(key, filters_of(owner, query))

    def read(self, cursor: str, owner: str, query: FileQuery) -> PageKey:
        """The key. Raises InvalidCursor for a cursor of another query, altered, or not ours."""
        return self.unsign(cursor, filters_of(owner, query), PageKey)

    def sign(self, key: object, filters: object) -> str:
        """A cursor that holds the key and works with these filters alone."""
        payload = msgspec.json.encode((_binding(filters), key))
        return self._signer.sign(urlsafe_b64encode(payload)).decode()

    def unsign(self, cursor: str, filters: object, kind: type[K]) -> K:
        """The key of a cursor of `sign`. Raises InvalidCursor."""
        try:
            payload = urlsafe_b64decode(self._signer.unsign(cursor[:MAX_CURSOR_LENGTH]))
            binding, raw = msgspec.json.decode(payload, type=tuple[str, msgspec.Raw])
            if binding == _binding(filters):
                return msgspec.json.decode(raw, type=kind)
        except (BadSignature, ValueError, msgspec.MsgspecError):
            raise InvalidCursor("This cursor is not one of ours.") from None
        raise InvalidCursor("This cursor belongs to another query.")


def _binding(filters: object) -> str:
    return hashlib.sha256(msgspec.json.encode(filters)).hexdigest()[:32]


def filters_of(owner: str, query: FileQuery) -> tuple[object, ...]:
    """What a list of files is a list of: all but the page."""
    return (
        owner,
        sorted(set(query.services)),
        sorted(set(query.categories)),
        sorted(set(query.mime_types)),
        query.search,
        query.sort,
        # A page of the library keeps the binding it had before there was a bin.
        *(("bin",) if query.in_bin else ()),
    )

"""Page cursors: opaque, signed, bound to the query they came from. Used by `GET /files`."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence

import msgspec
from itsdangerous import BadSignature, Signer

from domain.errors import InvalidCursor
from projections.file_pages import FileQuery, PageKey

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
        """The cursor of the page that begins behind the key."""
        payload = msgspec.json.encode((_binding(owner, query), key))
        return self._signer.sign(urlsafe_b64encode(payload)).decode()

    def read(self, cursor: str, owner: str, query: FileQuery) -> PageKey:
        """The key. Raises InvalidCursor for a cursor of another query, altered, or not ours."""
        try:
            payload = urlsafe_b64decode(self._signer.unsign(cursor[:MAX_CURSOR_LENGTH]))
            binding, key = msgspec.json.decode(payload, type=tuple[str, PageKey])
        except (BadSignature, ValueError, msgspec.MsgspecError):
            raise InvalidCursor("This cursor is not one of ours.") from None
        if binding != _binding(owner, query):
            raise InvalidCursor("This cursor belongs to another query.")
        return key


def _binding(owner: str, query: FileQuery) -> str:
    filters = (
        owner,
        sorted(set(query.services)),
        sorted(set(query.categories)),
        sorted(set(query.mime_types)),
        query.search,
        query.sort,
        # A page of the library keeps the binding it had before there was a bin.
        *(("bin",) if query.in_bin else ()),
    )
    return hashlib.sha256(msgspec.json.encode(filters)).hexdigest()[:32]

"""Strict reading of headers, query parameters and ids: given once, well formed, or refused."""

import re
from collections.abc import Iterable, Sequence
from urllib.parse import unquote_to_bytes

from domain.errors import InvalidField, MediaNotFound
from domain.object_key import is_media_id

Headers = Iterable[tuple[bytes, bytes]]

MAX_POSITION = 2**63 - 1
_SHOWN = {b"idempotency-key": "Idempotency-Key", b"media-position": "Media-Position"}
"""Headers in the spelling of the contract, for `details.field`."""
_NUMBER = re.compile(r"[0-9]{1,19}")
MAX_SHOWN_ID = 64
"""Characters of a refused id that are repeated in the answer."""


def header(headers: Headers, name: bytes) -> str | None:
    """The header's value, or None without one. Raises InvalidField when it comes twice."""
    found = None
    for key, value in headers:
        if key == name:
            if found is not None:
                raise InvalidField(_SHOWN.get(name, name.decode()), "given more than once")
            found = value.decode("latin-1")
    return found


def query_parameters(query_string: bytes, known: frozenset[str]) -> dict[str, str]:
    """The known parameters, decoded. Unknown ones are ignored.

    Raises InvalidField for one that comes twice, is no UTF-8 or holds a control character.
    """
    found: dict[str, str] = {}
    for part in query_string.split(b"&") if query_string else ():
        raw_name, _, raw_value = part.partition(b"=")
        name = unquote_to_bytes(raw_name.replace(b"+", b" ")).decode("latin-1")
        if name not in known:
            continue
        if name in found:
            raise InvalidField(name, "given more than once")
        try:
            value = unquote_to_bytes(raw_value.replace(b"+", b" ")).decode()
        except UnicodeDecodeError:
            raise InvalidField(name, "is not UTF-8") from None
        if any(character < " " or "\x7f" <= character < "\xa0" for character in value):
            raise InvalidField(name, "no control characters")
        found[name] = value
    return found


def whole_number(name: str, text: str, *, least: int, most: int) -> int:
    """A number in ASCII digits. Raises InvalidField."""
    if _NUMBER.fullmatch(text) is None or not least <= int(text) <= most:
        raise InvalidField(name, f"a whole number from {least} to {most}")
    return int(text)


def several(name: str, text: str, allowed: Sequence[str]) -> tuple[str, ...]:
    """One value or several by comma. Raises InvalidField for one that is not allowed."""
    values = tuple(text.split(","))
    if any(value not in allowed for value in values):
        raise InvalidField(name, f"of {', '.join(allowed)}; several by comma")
    return values


def known_id(text: str) -> str:
    """The id of a file. Raises MediaNotFound for what cannot be one."""
    if not is_media_id(text):
        raise MediaNotFound(text[:MAX_SHOWN_ID])
    return text

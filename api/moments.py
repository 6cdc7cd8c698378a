"""Places in the past, as callers name them: a time, or a position of the log."""

import re
from datetime import UTC, datetime

from api.parameters import MAX_POSITION, whole_number
from domain.errors import InvalidField

_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
WHAT = "a time as 2026-04-29T10:00:00Z, or a position of the log"


def moment(name: str, text: str) -> int | datetime:
    """A position, or an aware time in UTC. Raises InvalidField."""
    if text.isascii() and text.isdecimal():
        return whole_number(name, text, least=0, most=MAX_POSITION)
    if _TIME.fullmatch(text) is None:
        # An unescaped + arrives as a space.
        raise InvalidField(name, f"{WHAT} (a + of an offset as %2B)")
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidField(name, WHAT) from None

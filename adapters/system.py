"""The machine's clock and randomness: the only places where time and chance come in."""

import secrets
import time
from datetime import UTC, datetime

from domain.object_key import ID_ALPHABET, ID_LENGTH

_PAIRS = [first + second for second in ID_ALPHABET for first in ID_ALPHABET]
"""Two characters at a time take half as many divisions of large numbers."""


def utc_now() -> datetime:
    """The time in UTC, in whole milliseconds, which is what events and answers carry."""
    now = datetime.now(UTC)  # noqa: TID251 - this is the clock
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


class RandomIdentities:
    """Ids nobody can guess."""

    def nanoid(self) -> str:
        """16 characters of 62: 95 bits, from 128 random ones, so that no character is likelier."""
        number = int.from_bytes(secrets.token_bytes(16))
        pairs = []
        for _ in range(ID_LENGTH // 2):
            number, index = divmod(number, len(_PAIRS))
            pairs.append(_PAIRS[index])
        return "".join(pairs)

    def command_id(self) -> str:
        """The id of one command: the milliseconds since 1970 and 64 random bits, in hexadecimal.

        Later ones sort behind earlier ones, so that an index on them grows at its end.
        """
        return f"cmd_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(8)}"

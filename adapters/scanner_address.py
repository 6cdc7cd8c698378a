"""Where the malware scanner listens, as the settings name it."""

import re
from typing import Self

import msgspec

ADDRESS = re.compile(r"clamd://(?P<host>[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):(?P<port>[0-9]{1,5})")


class ScannerAddress(msgspec.Struct, frozen=True):
    """Where clamd listens."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The address in `clamd://host:port`. Raises ValueError with a sentence."""
        found = ADDRESS.fullmatch(text)
        if found is None or not 0 < int(found["port"]) < 1 << 16:
            raise ValueError(
                f"{text!r} is no scanner; write clamd://host:port, as clamd://av:3310."
            )
        return cls(found["host"].strip("[]"), int(found["port"]))

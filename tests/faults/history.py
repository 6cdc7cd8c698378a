"""What each client did and was told: one JSON line for each invoke, attempt and outcome."""

import time
from pathlib import Path
from typing import Any, Literal

import msgspec

Kind = Literal["invoke", "attempt", "ok", "fail", "info"]
"""An operation is invoked, attempted once or more, and ends: ok (it happened), fail (it did not),
info (nobody can say)."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line."""

    at: float
    """Seconds of this machine's monotonic clock, the same for all clients."""
    client: str
    tenant: str
    op: str
    """One operation; its attempts send `x-request-id: <op>.<number>`."""
    kind: Kind
    f: str
    """What it is: presign, put, complete, ingest, list, get, delete, bulk_delete, …"""
    args: dict[str, Any] = {}
    status: int = 0
    """Of an attempt: what HTTP said, 0 for nothing."""
    seconds: float = 0
    request_id: str = ""
    error: str = ""
    """Of an attempt: why there was no answer, or what is wrong with the answer's shape."""
    code: str = ""
    result: dict[str, Any] = {}


class History:
    """The lines of one client, in memory and in its file."""

    def __init__(self, folder: Path, client: str, tenant: str) -> None:
        self.client = client
        self.tenant = tenant
        self.entries: list[Entry] = []
        self._file = (folder / f"{client}.jsonl").open("ab", buffering=0)
        self._encode = msgspec.json.Encoder().encode

    def write(self, op: str, kind: Kind, f: str, **fields: Any) -> None:
        """Add a line; it is in the file when this returns."""
        entry = Entry(
            at=time.monotonic(),
            client=self.client,
            tenant=self.tenant,
            op=op,
            kind=kind,
            f=f,
            **fields,
        )
        self.entries.append(entry)
        self._file.write(self._encode(entry) + b"\n")

    def close(self) -> None:
        """No more lines come."""
        self._file.close()


def read(folder: Path) -> list[Entry]:
    """The lines of all clients of a folder, in the order of time."""
    decode = msgspec.json.Decoder(Entry).decode
    files = sorted(folder.glob("*.jsonl"))
    lines = [line for file in files for line in file.read_bytes().splitlines()]
    return sorted((decode(line) for line in lines), key=lambda entry: entry.at)

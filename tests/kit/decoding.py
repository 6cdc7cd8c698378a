"""Has bytes decoded as the service has files decoded, and shows what would be stored instead."""

from collections.abc import AsyncIterator

import msgspec

from adapters.decode_sandbox import DecodeSandbox
from adapters.scratch_file import ScratchFile
from application.ports import Refused

PART_BYTES = 100_000


class Accepted(msgspec.Struct, frozen=True):
    """Decoded to the end; None: to be stored as it is."""

    rewritten: bytes | None = None


async def prove(sandbox: DecodeSandbox, body: bytes, mime_type: str) -> Accepted | Refused:
    with ScratchFile() as file:
        async for part in parts(body):
            await file.append(part)
        verdict = await sandbox.prove(file, mime_type)
        if isinstance(verdict, Refused):
            return verdict
        if verdict.rewritten is None:
            assert verdict.size == len(body)
            return Accepted()
        rewritten = verdict.rewritten.read()
        assert verdict.size == len(rewritten)
        return Accepted(rewritten)


async def parts(body: bytes) -> AsyncIterator[bytes]:
    """As they come from an object store."""
    for at in range(0, len(body), PART_BYTES):
        yield body[at : at + PART_BYTES]

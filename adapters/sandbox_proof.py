"""The `ContentProof` and `Renderer` ports: spools a file to disk, has it decoded in the sandbox."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from adapters.decode_sandbox import DecodeSandbox
from adapters.scratch_file import ScratchFile
from application.ports import Accepted, Refused, SandboxUnavailable
from application.rendering import Order, Rendered

FILES_PER_DECODER = 2
"""One is decoded while the next arrives; so many files at most lie in the temporary folder."""


class SandboxProof:
    """Whole files are never held in memory, and only so many on the disk."""

    def __init__(self, sandbox: DecodeSandbox, *, decoders: int) -> None:
        self._sandbox = sandbox
        self._places = asyncio.Semaphore(FILES_PER_DECODER * decoders)

    async def render(self, parts: AsyncIterator[bytes], order: Order) -> Rendered | Refused:
        """What came of the order; raises SandboxUnavailable, and whatever the parts raise."""
        async with self._places:
            with _scratch_file() as file:
                async for part in parts:
                    await _append(file, part)
                return await self._sandbox.carry_out(file, order)

    @asynccontextmanager
    async def prove(
        self, parts: AsyncIterator[bytes], *, mime_type: str
    ) -> AsyncIterator[Accepted | Refused]:
        """The verdict on the file; raises SandboxUnavailable, and whatever the parts raise."""
        async with self._places:
            with _scratch_file() as file:
                async for part in parts:
                    await _append(file, part)
                yield await self._sandbox.prove(file, mime_type)


def _scratch_file() -> ScratchFile:
    try:
        return ScratchFile()
    except OSError as error:
        raise SandboxUnavailable(f"There is no room for a temporary file: {error}") from error


async def _append(file: ScratchFile, part: bytes) -> None:
    try:
        await file.append(part)
    except OSError as error:
        raise SandboxUnavailable(f"The temporary file cannot be written: {error}") from error

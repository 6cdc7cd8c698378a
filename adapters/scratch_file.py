"""A temporary file without a name: it is gone with the process, however that ends."""

import asyncio
import io
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


class ScratchFile:
    """Written here, read by the decoder through a descriptor that cannot write."""

    def __init__(self) -> None:
        """Raises OSError when there is no room or no descriptor left."""
        number, name = tempfile.mkstemp(prefix="media-")
        # Unbuffered, so that closing it cannot fail on a full disk.
        self.body = io.FileIO(number, "w+b")
        self.size = 0
        try:
            self.descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
            """For readers."""
        except BaseException:
            self.body.close()
            raise
        finally:
            Path(name).unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def append(self, part: bytes) -> None:
        """Write it at the end. Raises OSError on a full disk."""
        await asyncio.to_thread(self._write, part)
        self.size += len(part)

    def _write(self, part: bytes) -> None:
        left = memoryview(part)
        while left:
            left = left[self.body.write(left) :]

    def cut(self, size: int) -> None:
        """Keep so many bytes."""
        self.body.truncate(size)
        self.size = size

    def rewind(self) -> None:
        """Have the beginning of `body` read next."""
        self.body.seek(0)

    def exchange(self, other: "ScratchFile") -> None:
        """Have each hold what the other held."""
        mine, theirs = vars(self).copy(), vars(other).copy()
        vars(self).update(theirs)
        vars(other).update(mine)

    def close(self) -> None:
        """Give its room back."""
        if not self.body.closed:
            self.body.close()
            os.close(self.descriptor)

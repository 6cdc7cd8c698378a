"""Whether the decoders work on this machine: a tiny file of each kind, at the start and then on.

Without it a library that does not load would show only in uploads that are never finished.
"""

import asyncio
import time
from collections.abc import AsyncIterator

from adapters.decode_verdict import SAMPLES
from adapters.telemetry import get_logger
from application.ports import ContentProof, Refused, SandboxUnavailable
from domain.media_type import MEDIA_TYPES

SCRIPT = b"\x89PNG\r\n\x1a\n<script>alert(1)</script>"
"""Sandboxes that let anything through would pass with good files alone."""
RECHECK_SECONDS = 300.0
RETRY_SECONDS = 15.0


class DecoderCheck:
    """Keeps what the last round of files showed."""

    def __init__(self, proof: ContentProof) -> None:
        self._proof = proof
        self.trouble: str | None = "not checked yet"
        """Why decoding does not work; None: it does."""

    async def watch(self) -> None:
        """Look again and again, and say what has changed."""
        while True:
            began = time.perf_counter()
            before, self.trouble = self.trouble, await self._find_trouble()
            if self.trouble != before:
                self._say(time.perf_counter() - began)
            await asyncio.sleep(RECHECK_SECONDS if self.trouble is None else RETRY_SECONDS)

    def _say(self, seconds: float) -> None:
        if self.trouble is None:
            kinds = len(MEDIA_TYPES)
            get_logger().info("media.decoders.work", kinds=kinds, durationMs=round(1000 * seconds))
        else:
            get_logger().error("media.decoders.fail", error=self.trouble)

    async def _find_trouble(self) -> str | None:
        try:
            for kind in MEDIA_TYPES.values():
                sample = SAMPLES / f"tiny.{kind.extension}"
                body = await asyncio.to_thread(sample.read_bytes)
                async with self._proof.prove(_whole(body), mime_type=kind.mime_type) as verdict:
                    if isinstance(verdict, Refused):
                        return f"{kind.mime_type}: {verdict.reason}: {verdict.detail}"
            async with self._proof.prove(_whole(SCRIPT), mime_type="image/png") as verdict:
                if not isinstance(verdict, Refused):
                    return "A script was taken for an image."
        except (SandboxUnavailable, OSError) as error:
            return str(error)
        return None


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    yield body

"""Renditions that are asked for and not there: few waits at once, one for all who want the same.

Between the delivery routes, which anybody may call, and `application/renditions.py`, which has a
rendition made once however many processes ask.
"""

import asyncio
from collections.abc import Mapping
from typing import TypeAlias

from api.parameters import Headers
from application.renditions import ReadyRendition, Renditions
from domain.errors import InvalidField, NoRendition, RenditionPending
from domain.rendition import Format, Preset, has_renditions, negotiate
from projections.public_files import kinds_of

WAIT_SECONDS = 8.0
"""How long an answer waits for a rendition to be made: a large picture on a busy machine."""
MOST_WAITS = 32
"""Renditions one process waits for at once; each looks into the log a few times a second."""
LONGEST_ACCEPT = 512
"""Characters; no browser sends half of it."""

_Key: TypeAlias = tuple[str, str, tuple[Format, ...]]


class OnDemand:
    """The waits of one process."""

    def __init__(
        self, renditions: Renditions, presets: Mapping[str, Preset], *, most: int = MOST_WAITS
    ) -> None:
        self._renditions = renditions
        self._presets = presets
        self._most = most
        self._waits: dict[_Key, asyncio.Task[ReadyRendition]] = {}

    def preset(self, name: str) -> Preset:
        """The preset of this name. Raises InvalidField."""
        found = self._presets.get(name)
        if found is None:
            raise InvalidField("variant", f"one of {', '.join(self._presets)}")
        return found

    async def ready(
        self, media_id: str, mime_type: str, name: str, accept: str | None, *, correlation_id: str
    ) -> ReadyRendition:
        """The variant of an uploaded file, made if it must be.

        Raises InvalidField, NoRendition, MediaNotFound, RenditionUnavailable, or RenditionPending
        when it takes too long or too many are waited for.
        """
        preset = self.preset(name)
        if not has_renditions(mime_type):
            raise NoRendition(mime_type)
        # Of whatever kind the file is, they would get the same.
        key = (media_id, name, tuple(negotiate(kind, accept) for kind in kinds_of(preset)))
        wait = self._waits.get(key)
        if wait is None:
            if len(self._waits) >= self._most:
                raise RenditionPending(name)
            wait = asyncio.create_task(
                self._renditions.ready(
                    media_id,
                    name,
                    accept,
                    wait_seconds=WAIT_SECONDS,
                    correlation_id=correlation_id,
                )
            )
            self._waits[key] = wait
            wait.add_done_callback(lambda done: self._end(key, done))
        # Whoever hangs up must not take it from the others.
        return await asyncio.shield(wait)

    def _end(self, key: _Key, wait: asyncio.Task[ReadyRendition]) -> None:
        del self._waits[key]
        if not wait.cancelled():
            wait.exception()  # said to whoever still waits; unread, asyncio would complain


def accepted(headers: Headers) -> str | None:
    """The `Accept` header, unless it is longer than any browser's."""
    given = [value for name, value in headers if name == b"accept"]
    accept = b", ".join(given).decode("latin-1")
    return accept if given and len(accept) <= LONGEST_ACCEPT else None

"""`GET /files/events`: the library as it changes, as server-sent events."""

import asyncio
import random
from typing import Any, ClassVar, Literal

import msgspec
from litestar import get
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from adapters.telemetry import get_logger
from api.files import scoped_owner
from api.live_library import Listener, LiveLibrary, resync
from api.parameters import MAX_POSITION, header, query_parameters, whole_number
from api.routes import MediaRequest, note
from api.security import caller_of
from domain.access import Permission

PARAMETERS = frozenset({"scope", "after"})
HEARTBEAT_SECONDS = 15.0
"""Shorter than proxies keep a silent connection."""
SEND_SECONDS = 20.0
"""A client that takes nothing for so long is gone."""
STREAM_SECONDS = 1800.0
"""Then the client connects anew, and is asked for its permission again."""
RETRY_MS = (1_000, 4_000)
"""When to connect again: spread, since a deploy cuts all at once."""
BUSY_RETRY_MS = 30_000


class LibraryEvent(msgspec.Struct, frozen=True):
    """A stream of these, as `text/event-stream`; comments in between keep it open."""

    MEDIA_TYPE: ClassVar[str] = "text/event-stream"
    id: str
    """Position in the log; comes back as `Last-Event-ID`."""
    event: Literal["file.added", "file.changed", "file.removed", "resync"]
    data: dict[str, Any]
    """The file as `GET /files` shows it; of a removed one `{"id"}`; of a resync `{"reason"}`."""


class EventStream(ASGIResponse):
    """Sends what the listener gets until the client goes, falls behind, or the time is over."""

    _should_set_content_length = False

    def __init__(self, live: LiveLibrary, listener: Listener, missed: bytes) -> None:
        super().__init__(headers=_headers(listener.position))
        self._live = live
        self._listener = listener
        retry = random.randint(*RETRY_MS)  # noqa: S311 - jitter
        # The position comes last: a client cut before it asks for what it missed again.
        self._first = b"retry: %d\n\n%sid: %d\n\n" % (retry, missed, listener.position)

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client. However it ends: what was not sent stands in the log."""
        watching = asyncio.create_task(_until_gone(receive, self._listener))
        try:
            await self.start_response(send)
            first, self._first = self._first, b""
            await _send(send, first)
            await self._serve(send)
            await _send(send, b"", more=False)
        except TimeoutError:
            get_logger().info("media.live_library.gives_up", userId=self._listener.user_id)
        finally:
            self._live.close(self._listener)
            watching.cancel()

    async def _serve(self, send: Send) -> None:
        listener = self._listener
        loop = asyncio.get_running_loop()
        end = loop.time() + STREAM_SECONDS * random.uniform(0.8, 1.0)  # noqa: S311 - jitter
        while not listener.ended and loop.time() < end:
            await listener.wait(HEARTBEAT_SECONDS)
            if listener.resync is not None:
                position = max(listener.position, self._live.reached)
                await _send(send, resync(position, listener.resync))
                return
            # First: what is in the buffer now may go beyond it.
            reached = self._live.reached
            events = listener.take()
            if not events and not listener.ended:
                listener.position = max(listener.position, reached)
                events = b":\nid: %d\n\n" % listener.position
            if events:
                await _send(send, events)


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _until_gone(receive: Receive, listener: Listener) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.end()


def _headers(position: int) -> dict[str, str]:
    return {
        "content-type": LibraryEvent.MEDIA_TYPE,
        "media-position": str(position),
        # nginx and its kin hold answers back otherwise.
        "x-accel-buffering": "no",
    }


@get("/files/events", access=Permission.FILES_READ, event="media.files.events")
async def library_events(request: MediaRequest) -> ASGIResponse:
    """The library as it changes: files added, changed and removed, from a position on."""
    parameters = query_parameters(request.scope["query_string"], PARAMETERS)
    caller = caller_of(request)
    owner = scoped_owner(parameters, caller)
    after = _resume_from(request, parameters)
    live: LiveLibrary = request.app.state["live_library"]
    listener = await live.open(owner, caller.user_id)
    if listener is None:
        note(request, refused="too many streams")
        return ASGIResponse(
            body=b"retry: %d\n\n" % BUSY_RETRY_MS,
            headers=_headers(live.reached),
        )
    try:
        return EventStream(live, listener, await live.missed(listener, after))
    except BaseException:
        live.close(listener)
        raise


def _resume_from(request: MediaRequest, parameters: dict[str, str]) -> int | None:
    """The position a client has seen: a browser that connects again names it in the header."""
    given = header(request.scope["headers"], b"last-event-id")
    if given:
        return whole_number("Last-Event-ID", given, least=0, most=MAX_POSITION)
    if "after" in parameters:
        return whole_number("after", parameters["after"], least=0, most=MAX_POSITION)
    return None


ROUTES = [library_events]

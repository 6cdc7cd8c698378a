"""Live libraries: one reader of the log for all clients of a process, a bounded buffer for each.

No thread, no connection and no query per client: only where a library changed that somebody here
looks at, its files are read once, as their owner. Used by `api/library_changes.py`.
"""

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Sequence

import msgspec

from adapters.event_mapper import EVENT_TYPES
from adapters.runtime import Runtime
from adapters.telemetry import get_logger
from api.routes import variants_of
from domain.errors import DatabaseUnavailable
from projections import library_changes
from projections.file_list import FileListProjection
from projections.library_changes import Change, FileChange, Kind, kind_of

BUFFER = 256
"""Changes a client may be behind, before it is told to begin anew."""
MAX_REPLAYED = 500
"""Changes a client may have missed and still be told one by one."""
BATCH = 500
MAX_PER_USER = 20
"""Streams of one person in one process: browser tabs, not a flood."""
RETRY_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 0.005
LOOKS = 8
"""After a hint the file list needs some milliseconds more."""

_encode = msgspec.json.Encoder().encode

KINDS: dict[str, Kind] = {
    stored_type: kind_of(event)
    for event in FileListProjection.event_types or ()
    for stored_type in EVENT_TYPES.stored_as([event])
}


def frame(change: FileChange) -> bytes:
    """The change as a server-sent event (HTML standard, section 9.2)."""
    data = {"id": change.media_id} if change.file is None else change.file
    return b"id: %d\nevent: file.%s\ndata: %s\n\n" % (
        change.position,
        change.kind.encode(),
        _encode(data),
    )


class Listener:
    """What one client is still to be sent."""

    def __init__(self, owner: str, user_id: str) -> None:
        self.owner = owner
        self.user_id = user_id
        self.position = 0
        """All changes up to here were taken."""
        self.resync: str | None = None
        """Why the client must list anew; then nothing else is sent."""
        self.ended = False
        self._pending: deque[tuple[int, bytes]] = deque()
        self._wake = asyncio.Event()

    def push(self, position: int, event: bytes) -> None:
        """Put a change into the buffer; a full one is given up."""
        if len(self._pending) >= BUFFER:
            self.begin_anew("slow")
        elif self.resync is None:
            self._pending.append((position, event))
            self._wake.set()

    def begin_anew(self, why: str) -> None:
        """Nothing in the buffer is of use any more."""
        self._pending.clear()
        self.resync = why
        self._wake.set()

    def end(self) -> None:
        """No more will come: the client went, or the process is to stop."""
        self.ended = True
        self._wake.set()

    def take(self) -> bytes:
        """What there is to send, and empty the buffer; what the client has already is left out."""
        events = []
        while self._pending:
            position, event = self._pending.popleft()
            if position > self.position:
                self.position = position
                events.append(event)
        return b"".join(events)

    async def wait(self, seconds: float) -> None:
        """Return when there may be something to send, and after the time at the latest."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()


class LiveLibrary:
    """All live libraries of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._listeners: dict[str, set[Listener]] = defaultdict(set)
        self._users: Counter[str] = Counter()
        self._opening = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._waiting = False
        self.reached = 0
        """All changes up to here are in the buffers of those they concern."""

    @property
    def open_streams(self) -> int:
        """How many clients there are."""
        return self._users.total()

    async def open(self, owner: str, user_id: str) -> Listener | None:
        """Begin to collect the owner's changes; None when there are too many clients.

        Raises DatabaseUnavailable. Whoever opens must close.
        """
        if (
            self.open_streams >= self._runtime.settings.live_streams
            or self._users[user_id] >= MAX_PER_USER
        ):
            return None
        listener = Listener(owner, user_id)
        self._listeners[owner].add(listener)
        self._users[user_id] += 1
        try:
            async with self._opening:
                if self._following is None or self._following.done():
                    self.reached = await library_changes.list_position(self._runtime.pool)
                    self._following = asyncio.create_task(self._follow())
        except BaseException:
            self.close(listener)
            raise
        return listener

    def close(self, listener: Listener) -> None:
        """Forget the client."""
        listener.end()
        listeners = self._listeners[listener.owner]
        if listener in listeners:
            listeners.remove(listener)
            self._users[listener.user_id] -= 1
        if not listeners:
            del self._listeners[listener.owner]
        if self._users[listener.user_id] <= 0:
            del self._users[listener.user_id]

    async def missed(self, listener: Listener, after: int | None) -> bytes:
        """What the client missed behind the position, up to now; nothing where it names none.

        To be called after `open`, so that what follows is in the buffer already. Raises
        DatabaseUnavailable.
        """
        pool = self._runtime.pool
        if after is None:
            listener.position = await library_changes.list_position(pool)
            return b""
        answer = await library_changes.changes_of(
            pool, listener.owner, after, KINDS, at_most=MAX_REPLAYED + 1
        )
        # A client may have seen more than the list had: its own write.
        listener.position = max(after, answer.position)
        if len(answer.found) > MAX_REPLAYED or any(one.kind == "reset" for one in answer.found):
            return resync(listener.position, "too_old")
        return b"".join(map(frame, await self._shown(listener.owner, answer.found)))

    async def _shown(self, owner: str, changes: Sequence[Change]) -> list[FileChange]:
        if not changes:
            return []
        return await library_changes.shown(
            self._runtime.pool,
            owner,
            changes,
            public_base_url=self._runtime.settings.public_base_url,
            variants=variants_of(self._runtime),
        )

    async def _follow(self) -> None:
        try:
            while self._listeners and not self._runtime.draining.is_set():
                await self._try_to_catch_up()
                await self._runtime.hints.wait(self.reached)
        finally:
            # Whoever is still there connects anew, and is told what nobody here told it.
            for listener in [one for some in self._listeners.values() for one in some]:
                listener.end()

    async def _try_to_catch_up(self) -> None:
        try:
            await self._catch_up()
        except DatabaseUnavailable as error:
            if not self._waiting:
                get_logger().warning("media.live_library.waits", error=str(error), **error.details)
            self._waiting = True
            await asyncio.sleep(RETRY_SECONDS)
        except Exception:
            get_logger().exception("media.live_library.crashed")
            raise
        else:
            self._waiting = False

    async def _catch_up(self) -> None:
        for _ in range(LOOKS):
            more = True
            while more:
                changes = await library_changes.changes_of_all(
                    self._runtime.pool, self.reached, KINDS, at_most=BATCH
                )
                await self._announce(changes.found)
                self.reached, more = changes.reached, changes.more
            if self.reached >= self._runtime.hints.latest:
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)

    async def _announce(self, changes: Sequence[Change]) -> None:
        by_owner: dict[str, list[Change]] = defaultdict(list)
        for change in changes:
            if change.owner in self._listeners:
                by_owner[change.owner].append(change)
        for owner, some in by_owner.items():
            if any(change.kind == "reset" for change in some):
                for listener in self._listeners.get(owner, ()):
                    listener.begin_anew("removed")
                continue
            for told in await self._shown(owner, some):
                event = frame(told)
                for listener in self._listeners.get(owner, ()):
                    listener.push(told.position, event)


def resync(position: int, why: str) -> bytes:
    """Tells the client to list anew. Its id is where to go on from: the list has all before it."""
    return b'id: %d\nevent: resync\ndata: {"reason":"%s"}\n\n' % (position, why.encode())

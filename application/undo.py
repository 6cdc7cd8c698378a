"""Undo: one command takes back all that an earlier one did, or nothing.

What the earlier one did stands in the log, by its id (docs/adr/0016-undo.md).
"""

import re
from collections.abc import Sequence
from datetime import timedelta

import msgspec

from application.access import access_of, check_tenant_open, tenant_streams
from application.context import Context
from application.media import Decided, Histories, Media, claim_for
from application.repeats import Written, once
from domain.access import Access, OwnerBypass
from domain.errors import CommandNotFound, CommandNotUndoable, UndoImpossible
from domain.event import Recorded
from domain.media_file import MediaFile
from domain.object_key import is_media_id
from domain.undo import Obstacle, is_undoable, undo

COMMAND_ID = re.compile(r"cmd_[0-9a-f]{28}")


class Undone(msgspec.Struct, frozen=True, rename="camel"):
    """The answer: which files are as they were before the command."""

    command_id: str
    """The one that was undone."""
    files: list[str]


class UndoneFiles(msgspec.Struct, frozen=True):
    """An undo, and the files it brought back or sent away, as they are now."""

    answer: Undone
    position: int
    files: Sequence[MediaFile]


class Undo:
    """The command."""

    def __init__(self, media: Media, *, owner_bypass: OwnerBypass, bin_for: timedelta) -> None:
        self._media = media
        self._owner_bypass: OwnerBypass = owner_bypass
        self._bin_for = bin_for

    async def undo_command(self, command_id: str, context: Context) -> UndoneFiles:
        """Take back what the command did, in one append.

        Raises CommandNotFound, CommandNotUndoable or UndoImpossible, when nothing was changed.
        """
        if COMMAND_ID.fullmatch(command_id) is None:
            raise CommandNotFound(command_id)

        async def attempt() -> Written:
            return await self._undo(command_id, context)

        written = await once(self._media, context, attempt)
        answer = msgspec.json.decode(written.body, type=Undone)
        histories = await self._media.load(*answer.files)
        files = [file for one in answer.files if (file := histories.file(one)) is not None]
        return UndoneFiles(answer, written.position, files)

    async def _undo(self, command_id: str, context: Context) -> Written:
        streams = await self._media.command_streams(command_id)
        histories = await self._media.load(*streams, *tenant_streams(context))
        check_tenant_open(histories, context)
        decided: list[Decided] = []
        obstacles: list[dict[str, str]] = []
        for done, access in self._done(command_id, streams, histories, context):
            history = histories.streams[done.stream]
            inverse = undo(history, done, at=context.at, bin_for=self._bin_for)
            if isinstance(inverse, Obstacle):
                obstacles.append({"id": done.stream, "reason": inverse})
            else:
                version = history[-1].version
                decided.append(Decided(done.stream, done.owner, version, access, inverse))
        if obstacles:
            raise UndoImpossible(obstacles)
        answer = Undone(command_id, [one.stream for one in decided])
        recorded = await self._media.append(decided, context, claim=claim_for(context, answer))
        return Written(msgspec.json.encode(answer), recorded[-1].position)

    def _done(
        self, command_id: str, streams: Sequence[str], histories: Histories, context: Context
    ) -> list[tuple[Recorded, Access]]:
        """What the command did, and the ground on which the caller may change each file."""
        done: list[tuple[Recorded, Access]] = []
        undoable = True
        for stream in streams:
            file = histories.file(stream) if is_media_id(stream) else None
            access = None
            if file is not None:
                access = access_of(file, context, self._owner_bypass)
            if access is None:
                # Nobody learns of a command on what is not theirs.
                raise CommandNotFound(command_id)
            events = [one for one in histories.streams[stream] if one.command_id == command_id]
            undoable = undoable and is_undoable(events)
            done += [(event, access) for event in events[:1]]
        if not done:
            raise CommandNotFound(command_id)
        if not undoable:
            raise CommandNotUndoable(
                "An upload is not undone: delete the file instead.", commandId=command_id
            )
        return done

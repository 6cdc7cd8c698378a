"""Scanning: the malware scans that no request waits for. Called by the jobs and by operators."""

from collections.abc import Callable, Sequence

import msgspec

from application.access import check_still_open
from application.context import SystemContext
from application.media import Decided, Media
from application.ports import Clock, StreamChanged
from application.verification import Mismatch, NothingStored, Verification
from domain import scanning
from domain.access import Access
from domain.errors import TenantRemoved, UploadIncomplete
from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.owner import parse


class Scanning:
    """What follows a `ScanRequested`."""

    def __init__(self, media: Media, verification: Verification, *, clock: Clock) -> None:
        self._media = media
        self._verification = verification
        self._clock = clock

    async def scan_upload(self, media_id: str, context: SystemContext) -> MediaFile | None:
        """Have the stored bytes scanned and record the verdict; clean ones are verified next.

        The file, or None when it waits for no scan any more. Raises ScannerUnavailable, or
        UploadIncomplete where the store does not show what is to be scanned: it is asked again.
        """

        async def attempt() -> MediaFile | None:
            file = await self._waiting(media_id)
            if file is None:
                return None
            await check_still_open(self._media, parse(file.owner).tenant_id)
            now = self._clock
            try:
                passed = await self._verification.scan(file)
            except NothingStored:
                # Completed or ended meanwhile? Else the store is behind: it was there before.
                current = (await self._media.load(media_id)).file(media_id)
                if current is not None and current.version != file.version:
                    raise StreamChanged from None
                raise UploadIncomplete("Nothing is stored that could be scanned.") from None
            except Mismatch as mismatch:
                events = file.reject(reason=mismatch.reason, detail=mismatch.detail, at=now())
            else:
                events = scanning.pass_scan(file, passed)
            return await self._record(file, events, context)

        try:
            return await self._media.repeatedly(attempt)
        except TenantRemoved:
            return None

    async def fail_scan(self, media_id: str, error: str, context: SystemContext) -> None:
        """Say in the log that there is no verdict: nothing is released, an operator must look."""
        await self._decide(media_id, context, lambda file: scanning.fail_scan(file, error=error))

    async def retry_scan(self, media_id: str, context: SystemContext) -> bool:
        """Ask again for a scan that had failed; False when it had not."""
        return await self._decide(media_id, context, scanning.retry_scan)

    async def _waiting(self, media_id: str) -> MediaFile | None:
        file = (await self._media.load(media_id)).file(media_id)
        if file is None or file.status is not Status.PENDING or not file.scan.waiting:
            return None
        return file

    async def _decide(
        self, media_id: str, context: SystemContext, decide: Callable[[MediaFile], Sequence[Event]]
    ) -> bool:
        async def attempt() -> bool:
            file = (await self._media.load(media_id)).file(media_id)
            events = decide(file) if file is not None else []
            if file is not None and events:
                await self._record(file, events, context)
            return bool(events)

        return await self._media.repeatedly(attempt)

    async def _record(
        self, file: MediaFile, events: Sequence[Event], context: SystemContext
    ) -> MediaFile:
        if not events:
            return file
        # A scan takes its time: what is recorded happened now, not when the job began.
        now = msgspec.structs.replace(context, at=self._clock())
        decided = Decided(file.id, file.owner, file.version, Access.SYSTEM, events)
        for recorded in await self._media.append([decided], now):
            file = MediaFile.evolve(file, recorded)
        return file

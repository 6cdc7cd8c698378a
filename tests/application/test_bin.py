"""What becomes of the bin by itself: retention, the removal of a workspace, races of both."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from adapters.runtime import Runtime
from adapters.system import utc_now
from application.ports import WorkList
from domain.errors import MediaNotFound
from domain.media_file import MediaFile
from tests.kit.library import Library

MONTH = timedelta(days=30)


class Overdue:
    """A work list that names these files."""

    def __init__(self, *files: MediaFile) -> None:
        self._files = files

    async def overdue_bins(self, before: datetime) -> AsyncIterator[str]:
        for file in self._files:
            yield file.id


def overdue(*files: MediaFile) -> WorkList:
    return Overdue(*files)  # type: ignore[return-value]


async def test_after_its_time_a_file_leaves_the_bin_and_not_before(
    library: Library, jobs: Runtime
) -> None:
    file, living = await library.uploaded(), await library.uploaded()
    await library.delete(file)
    work = overdue(file, living)
    assert await jobs.upkeep.empty_bins(work, library.system(utc_now() + MONTH / 2)) == 0
    late = library.system(utc_now() + MONTH)
    assert await jobs.upkeep.empty_bins(work, late) == 1
    assert await jobs.upkeep.empty_bins(work, late) == 0
    assert (await library.events(file.id))[-1] == "file_purge_requested"
    assert (await library.events(living.id))[-1] == "upload_completed"


async def test_a_restore_and_the_end_of_the_retention_never_both_win(
    library: Library, jobs: Runtime
) -> None:
    for _ in range(5):
        file = await library.uploaded()
        await library.delete(file)
        restored, _ = await asyncio.gather(
            library.runtime.bin.restore_file(file.id, library.context()),
            jobs.upkeep.empty_bins(overdue(file), library.system(utc_now() + MONTH)),
            return_exceptions=True,
        )
        last = (await library.events(file.id))[-1]
        if isinstance(restored, MediaNotFound):
            assert last == "file_purge_requested"
        else:
            assert isinstance(restored, MediaFile)
            assert last == "file_restored"


async def test_an_operator_retries_a_move_that_failed(library: Library, jobs: Runtime) -> None:
    file = await library.uploaded()
    await library.delete(file)
    assert not await jobs.placement.has_failed(file.id)
    await library.put("private", file.key)
    await jobs.placement.give_up(file.id, "away", library.system())
    assert await jobs.placement.has_failed(file.id)
    await jobs.placement.place_objects(file.id, library.system())
    assert not await jobs.placement.has_failed(file.id)
    assert await library.places(file) - {"incoming"} == {"private"}

"""The bodies of the jobs that look into files and make pictures; run by `workers/jobs.py`."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from adapters.dramatiq_worker import TryAgain
from adapters.runtime import Runtime
from application.context import SystemContext
from application.jobs import ClearRenditions, DeriveRendition, InspectFile, Job
from application.ports import SandboxUnavailable
from application.rendition_store import SourceAway
from domain.derivation import GAVE_UP
from domain.errors import DatabaseUnavailable, ObjectStoreUnavailable
from domain.media_file import MediaFile

Fields = Mapping[str, object]
"""What a job adds to its log line."""
Body = Callable[[Runtime, Any, SystemContext], Awaitable[Fields]]

AWAY_SECONDS = 5.0
"""When to look again for what was away."""
OUTAGES = (DatabaseUnavailable, ObjectStoreUnavailable, SandboxUnavailable, SourceAway)


async def inspect_file(runtime: Runtime, job: InspectFile, context: SystemContext) -> Fields:
    """Look into a served file."""
    with _outages_are_not_the_files_fault():
        return _found(await runtime.derivation.inspect_file(job.media_id, context))


async def derive_rendition(
    runtime: Runtime, job: DeriveRendition, context: SystemContext
) -> Fields:
    """Make one rendition."""
    with _outages_are_not_the_files_fault():
        await runtime.derivation.derive(job.media_id, job.preset, job.format, context)
    return {}


async def clear_renditions(
    runtime: Runtime, job: ClearRenditions, context: SystemContext
) -> Fields:
    """Remove renditions that belong to nothing."""
    await runtime.derivation.clear(job.media_id, context)
    return {}


RENDER_BODIES: Mapping[type[Job], Body] = {
    InspectFile: inspect_file,
    DeriveRendition: derive_rendition,
    ClearRenditions: clear_renditions,
}


async def give_up_rendering(
    runtime: Runtime, job: InspectFile | DeriveRendition, error: str, context: SystemContext
) -> None:
    """Say in the log that it was tried as often as allowed."""
    if isinstance(job, InspectFile):
        await runtime.derivation.give_up_inspection(job.media_id, error, context)
        return
    await runtime.derivation.fail_rendition(
        job.media_id, job.preset, job.format, context, reason=GAVE_UP, detail=error
    )


@contextmanager
def _outages_are_not_the_files_fault() -> Iterator[None]:
    """Nothing is recorded as failed because something of ours was away."""
    try:
        yield
    except OUTAGES as error:
        why = f"{type(error).__name__}: {error}"
        raise TryAgain(why, delay_seconds=AWAY_SECONDS) from error


def _found(file: MediaFile | None) -> Fields:
    if file is None:
        return {}
    failure = file.derived.inspection_failure
    return {
        "mimeType": file.mime_type,
        "fileSize": file.file_size,
        "position": str(file.position),
        "outcome": "inspected" if failure is None else failure.reason,
    }

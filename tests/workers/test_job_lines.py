"""The one log line of every job (spec 8.1), with the request it goes back to."""

from typing import Any

import msgspec

from adapters.settings import Settings
from tests.kit.library import PNG, Library
from tests.kit.lines import Lines, logged
from tests.workers.processes import running, until
from workers import jobs, reactor


def done(lines: Lines, event: str) -> list[dict[str, Any]]:
    """Of the runs that came to a good end: a job may run again, or twice where it is slow."""
    return [line for line in lines.of(event) if line["status"] == "done"]


async def test_a_job_says_for_whom_it_ran_and_which_request_called_for_it(
    library: Library, worker_settings: Settings
) -> None:
    with logged(worker_settings) as lines:

        def purges() -> list[dict[str, Any]]:
            """Of the run that did it, not of one that found nothing more to do."""
            return [one for one in done(lines, "media.job.purge_objects") if "mimeType" in one]

        async with running(worker_settings, reactor.main, jobs.main):
            file = await library.uploaded()
            await library.delete(file)
            await until(lambda: library.has(file.id, "objects_purged"))

            async def both_told() -> bool:
                return bool(purges() and done(lines, "media.job.discard_incoming"))

            await until(both_told)
    purged, discarded = purges()[0], done(lines, "media.job.discard_incoming")[0]
    for event, line in (("purge_objects", purged), ("discard_incoming", discarded)):
        assert lines.of(f"media.job.{event}")[0]["attempt"] == 1
        assert (line["tenantId"], line["mediaId"]) == ("ls_abc123", file.id)
        assert (line["requestId"], line["status"]) == ("request-1", "done")
        assert line["durationMs"] > 0
        assert line["jobId"]
    assert (purged["mimeType"], purged["fileSize"]) == ("image/png", len(PNG))
    assert purged["userId"] == "user_789"
    history = (await library.runtime.media.load(file.id)).streams[file.id]
    (gone,) = [one for one in history if one.event.TYPE == "media_file.objects_purged.v1"]
    assert purged["position"] == str(gone.position)
    assert {recorded.correlation_id for recorded in history} == {"request-1"}


async def test_a_failed_job_says_so_and_why(library: Library, worker_settings: Settings) -> None:
    away = msgspec.structs.replace(worker_settings, s3_endpoint="http://127.0.0.1:9")
    file = await library.uploaded()
    with logged(worker_settings) as lines:
        async with running(away, reactor.main, jobs.main):

            async def told() -> bool:
                return bool(lines.of("media.job.discard_incoming"))

            await until(told)
    line = lines.of("media.job.discard_incoming")[0]
    assert (line["status"], line["mediaId"]) == ("retry", file.id)
    assert line["error"].startswith("ObjectStoreUnavailable")

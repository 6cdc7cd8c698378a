"""`./dev log --as-of`, as an operator calls it."""

import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from adapters.runtime import open_jobs_runtime
from adapters.settings import Settings
from tests.kit.log import event_store
from tests.projections.histories import MONTH, deleted, media_id, uploaded
from tests.workers.processes import ROOT, environment_of, opened, settled


async def log_as_of(settings: Settings, home: Path, moment: str, *options: str) -> tuple[int, str]:
    """The exit status and what was printed."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "workers.cli", "log", "--home", str(home)),
        *("--as-of", moment, *options),
        cwd=ROOT,
        env=dict(environment_of(settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await child.communicate()
    return child.returncode or 0, printed.decode()


async def test_an_operator_sees_what_there_was(worker_settings: Settings, tmp_path: Path) -> None:
    first, second = uploaded("t:ls_a", 1), uploaded("t:ls_a", 2, file_size=500)
    binned = deleted(first, bin_for=MONTH)
    gone = deleted(second, at=binned.at + MONTH)
    async with (
        opened(open_jobs_runtime, worker_settings) as runtime,
        event_store(worker_settings.database_url, "media_worker") as store,
    ):
        positions = [await store.append([fact]) for fact in (*first, *second, binned, gone)]
        await settled(runtime.pool)

    async def told(moment: str, *options: str) -> Sequence[str]:
        status, printed = await log_as_of(worker_settings, tmp_path, moment, *options)
        assert status == 0, printed
        return printed.splitlines()

    library = ("--tenant", "ls_a")
    before = await told(str(positions[3]), *library)
    assert before[-2:] == [
        f"The log stood at {positions[3]}.",
        "t:ls_a: 2 files, 1,500 bytes; 4 events of 2 files before.",
    ]
    assert [line.split()[2] for line in before[:-2]] == [
        "upload_requested", "upload_completed", "upload_requested", "upload_completed",
    ]  # fmt: skip
    after = await told(binned.at.isoformat(), *library)
    assert after[-1] == "t:ls_a: 1 files, 500 bytes; 5 events of 2 files before."
    assert (await told(str(positions[1]), "--file", media_id(1)))[-1] == (
        f"{media_id(1)} of t:ls_a: uploaded, image/webp, 1,000 bytes, {first[0].event.key}, public."  # type: ignore[attr-defined]
    )
    assert "deleted" in (await told(str(positions[4]), "--file", media_id(1)))[-1]
    assert (await told(str(positions[1]), "--file", media_id(2)))[-1].endswith("did not exist.")
    status, printed = await log_as_of(worker_settings, tmp_path, "yesterday")
    assert (status, printed.strip()) == (
        1,
        "yesterday is no time (as 2026-05-03T10:00Z) and no position.",
    )
    status, printed = await log_as_of(worker_settings, tmp_path, str(10**17))
    assert (status, "lies ahead of the log" in printed) == (1, True)

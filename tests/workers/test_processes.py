import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from adapters.settings import Settings
from tests.workers.processes import ROOT, environment_of


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["reactor", "publisher", "jobs", "scheduler"])
async def test_a_process_logs_json_lines_and_ends_well_when_asked_to(
    worker_settings: Settings, name: str, number: signal.Signals
) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"workers.{name}",
        cwd=ROOT,
        env=dict(environment_of(worker_settings)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert child.stdout is not None
    first = json.loads(await asyncio.wait_for(child.stdout.readline(), 30))
    assert first["event"] == "media.process.started"
    assert first["process"] == name
    await asyncio.sleep(0.5)
    child.send_signal(number)
    out, err = await asyncio.wait_for(child.communicate(), 30)
    sys.stdout.write(out.decode())  # for the look at all that is written
    assert child.returncode == 0
    assert err == b""
    assert [json.loads(line)["event"] for line in out.splitlines()][-1] == "media.process.stopped"


async def test_a_wrong_setting_is_told_in_a_sentence(worker_settings: Settings) -> None:
    environ = dict(environment_of(worker_settings)) | {"MEDIA_JOB_THREADS": "many"}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers.jobs",
        cwd=ROOT,
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await child.communicate()
    assert child.returncode == 2
    assert err.decode().startswith("MEDIA_JOB_THREADS")
    assert "Traceback" not in err.decode()


async def test_a_living_worker_touches_its_liveness_file(
    worker_settings: Settings, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    environ = dict(environment_of(worker_settings)) | {"MEDIA_LIVENESS_FILE": str(alive)}
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "workers.scheduler",
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(30):
        while not alive.exists():
            await asyncio.sleep(0.05)
    child.terminate()
    assert await child.wait() == 0

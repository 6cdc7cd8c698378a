import asyncio
import json
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

import pytest

from adapters.settings import Settings
from tests.workers.processes import SECONDS, process, until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("name", ["reactor", "publisher", "jobs", "scheduler"])
async def test_a_process_logs_json_lines_and_ends_well_when_asked_to(
    worker_settings: Settings, name: str, number: signal.Signals
) -> None:
    async with process(f"workers.{name}", worker_settings, stdout=PIPE, stderr=PIPE) as child:
        assert child.stdout is not None
        first = json.loads(await asyncio.wait_for(child.stdout.readline(), SECONDS))
        assert first["event"] == "media.process.started"
        assert first["process"] == name
        await asyncio.sleep(0.5)
        child.send_signal(number)
        out, err = await asyncio.wait_for(child.communicate(), SECONDS)
    sys.stdout.write(out.decode())  # for the look at all that is written
    assert child.returncode == 0
    assert err == b""
    assert [json.loads(line)["event"] for line in out.splitlines()][-1] == "media.process.stopped"


async def test_a_wrong_setting_is_told_in_a_sentence(worker_settings: Settings) -> None:
    wrong = {"MEDIA_JOB_THREADS": "many"}
    async with process("workers.jobs", worker_settings, environ=wrong, stderr=PIPE) as child:
        _, err = await child.communicate()
    assert child.returncode == 2
    assert err.decode().startswith("MEDIA_JOB_THREADS")
    assert "Traceback" not in err.decode()


async def test_a_living_worker_touches_its_liveness_file(
    worker_settings: Settings, tmp_path: Path
) -> None:
    alive = tmp_path / "alive"
    environ = {"MEDIA_LIVENESS_FILE": str(alive)}

    async def lives() -> bool:
        return await asyncio.to_thread(alive.exists)

    async with process(
        "workers.scheduler", worker_settings, environ=environ, stdout=DEVNULL
    ) as child:
        await until(lives)
        child.terminate()
        assert await child.wait() == 0

import asyncio
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.settings import Settings
from tests.kit.library import Library
from tests.kit.patience import patience
from tests.workers.processes import catch_up, environment_of
from workers.cli import app
from workers.failures import failures, retry


@pytest.fixture
def home(
    tmp_path: Path, worker_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """What `./dev up` leaves for other commands."""
    monkeypatch.delenv("MEDIA_DATABASE_URL", raising=False)
    lines = (
        f"{name}={shlex.quote(text)}\n"
        for name, text in environment_of(worker_settings).items()
        if name.startswith("MEDIA_")
    )
    (tmp_path / "environment").write_text("".join(lines))
    with patience():
        yield tmp_path


async def test_an_operator_sees_a_failed_purge_and_has_it_tried_again(
    library: Library, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = await library.uploaded()
    await library.delete(file)
    reason = "[bold]away\x1b[2K"
    await library.runtime.deletion.record_purge_failure(file.id, reason, library.system())
    await catch_up(library.runtime.pool)

    assert await asyncio.to_thread(failures, home=home) == 0
    seen = capsys.readouterr().out
    assert file.id in seen
    assert "[bold]away" in seen
    assert "\x1b[2K" not in seen

    assert await asyncio.to_thread(retry, everything=True, home=home) == 0
    assert await library.has(file.id, "purge_retried")
    await catch_up(library.runtime.pool)
    assert await asyncio.to_thread(failures, home=home) == 0
    assert "Nothing has failed." in capsys.readouterr().out
    assert await asyncio.to_thread(retry, file.id, home=home) == 1


def test_without_a_running_system_it_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MEDIA_DATABASE_URL", raising=False)
    assert failures(home=tmp_path) == 1
    assert "is ./dev up running?" in capsys.readouterr().out.replace("\n", " ")


def test_retry_wants_one_file_or_all(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert retry(home=home) == 2
    assert retry("media_xK9mQ2pLw3RtYb8c", everything=True, home=home) == 2
    assert "--all" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["failures", "retry"])
def test_dev_knows_the_command(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app([name, "--help"])
    assert ended.value.code == 0
    assert "--home" in capsys.readouterr().out

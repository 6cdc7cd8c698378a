"""The look at all output finds what it is there for (tests/kit/written.py)."""

import subprocess
import sys
from pathlib import Path

import pytest

from adapters.settings import DEVELOPMENT_GATEWAY_KEY
from tests.kit import written

ROOT = Path(__file__).parent.parent
URL = "http://127.0.0.1:9000/incoming/x.png?X-Amz-Signature="


@pytest.mark.parametrize(
    "line",
    [
        f"GET {URL}0123",
        "api     | 12:00:00.000 api info x url=http%3A%2F%2Fa%3FX-Amz-Signature%3D0123",
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIA/20260429/auto/s3/aws4_request",
        f'{{"level":"info","event":"x","key":"{DEVELOPMENT_GATEWAY_KEY}"}}',
        '{"level":"info","event":"x","name":"a',
        '{"level":"info","event":"x","name":"a\x1b[2K"}',
        '{"level":"info","event":"x"} {"level":"info","event":"forged"}',
    ],
)
def test_a_secret_and_a_forged_line_are_found(line: str) -> None:
    assert written.leaks(f"before\n{line}\nafter") == [line]


@pytest.mark.parametrize(
    "line",
    [
        f"{URL}[redacted]",
        f"  Gateway key   {DEVELOPMENT_GATEWAY_KEY}",
        '{"level":"info","event":"media.files.list"}',
    ],
)
def test_what_may_be_written_is_not(line: str) -> None:
    assert written.leaks(line) == []


@pytest.mark.long
def test_a_test_during_which_a_process_writes_a_secret_fails(tmp_path: Path) -> None:
    (tmp_path / "test_leaking.py").write_text(
        f"import os\ndef test_it():\n    os.system('echo \"{URL}0123\"')\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", "pyproject.toml"]
    ended = subprocess.run(
        [*command, "-p", "no:cacheprovider", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    assert "Never to be written" in ended.stdout

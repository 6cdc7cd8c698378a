"""What the processes of a run have written, and the secrets that must not be in it.

tests/conftest.py looks at the captured output of every test: of the apps in this process, which
log as a process does, and of all processes that a test starts.
"""

import re
import sys

import msgspec

from adapters.settings import DEVELOPMENT_CURSOR_KEY, DEVELOPMENT_GATEWAY_KEY, Settings
from adapters.telemetry import configure

MIN_LENGTH = 12
"""A shorter one could be a part of any word."""
MARKS = (
    re.compile(r"x-amz-signature(=|%3D)(?!\[redacted\])", re.IGNORECASE),
    re.compile(r"x-amz-credential(=|%3D)(?!\[redacted\])", re.IGNORECASE),
    re.compile(r"AWS4-HMAC-SHA256 Credential", re.IGNORECASE),
)
SAID_ON_PURPOSE = re.compile(r"^(\S+ +\| )?\s*(Gateway key   |curl )|-H 'x-gateway-key: ")
"""`./dev up` tells its user the development key."""
LOG_LINE = re.compile(r'^\{"level":')
CONTROL = re.compile("[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")

_secrets = {DEVELOPMENT_CURSOR_KEY, DEVELOPMENT_GATEWAY_KEY}


def remember(*secrets: str) -> None:
    """Look for these from now on."""
    _secrets.update(secret for secret in secrets if len(secret) >= MIN_LENGTH)


def leaks(text: str) -> list[str]:
    """The lines that hold a secret, or are no log line although they begin as one."""
    return [line for line in text.split("\n") if _leaks(line)]


def _leaks(line: str) -> bool:
    if any(mark.search(line) for mark in MARKS):
        return True
    if any(secret in line for secret in _secrets) and not SAID_ON_PURPOSE.search(line):
        return True
    return LOG_LINE.match(line) is not None and not _is_one_line(line.rstrip("\r"))


def _is_one_line(line: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict) and CONTROL.search(line) is None
    except msgspec.DecodeError:
        return False


class CapturedOutput:
    """Whatever stands for stdout at the moment: pytest changes it from test to test."""

    def write(self, text: str) -> int:
        """Write to it."""
        return sys.stdout.write(text)

    def flush(self) -> None:
        """And let it go."""
        sys.stdout.flush()


def log_as_a_process(settings: Settings | None = None) -> None:
    """Let what runs in this process log as `python -m api.app` does."""
    configure(settings or NOWHERE, process="tests", stream=CapturedOutput())  # type: ignore[arg-type]


NOWHERE = Settings(
    environment="development",
    database_url="postgresql://127.0.0.1:9/none",
    redis_url="redis://127.0.0.1:9/0",
    public_base_url="http://media.test",
    s3_endpoint="http://127.0.0.1:9",
    s3_access_key="",
    s3_secret_key="",
)

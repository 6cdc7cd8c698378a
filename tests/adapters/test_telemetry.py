import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.settings import Settings
from adapters.telemetry import Redactor, configure, get_logger, secrets_of
from tests.kit import written

GATEWAY_KEY = "gateway-key-of-the-tests"
SIGNED = (
    "https://bucket.example/ls_a/x.webp?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Credential=AKIAEXAMPLE%2F20260429&X-Amz-Signature=deadbeefcafe"
)


def settings_of(**changes: object) -> Settings:
    values: dict[str, object] = {
        "environment": "development",
        "database_url": "postgresql://media:database%21password@127.0.0.1/media",
        "redis_url": "redis://:redis-password@127.0.0.1/0",
        "gateway_keys": (GATEWAY_KEY,),
        "cursor_keys": ("cursor-key-of-the-tests",),
        "public_base_url": "http://127.0.0.1:8787",
        "s3_endpoint": "http://127.0.0.1:9000",
        "s3_access_key": "s3-access-key",
        "s3_secret_key": "s3-secret-key",
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def restored_logging() -> Iterator[None]:
    yield
    written.log_as_a_process()


class Written:
    def __init__(self, log_format: str = "json") -> None:
        self.stream = io.StringIO()
        configure(settings_of(log_format=log_format), process="api", stream=self.stream)

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.text.splitlines()]


pytestmark = pytest.mark.usefixtures("restored_logging")


def test_a_request_is_one_json_line_with_the_fields_of_the_specification() -> None:
    output = Written()
    get_logger().info(
        "media.upload.presign",
        tenantId="ls_abc123",
        userId="user_789",
        mediaId="media_xK9mQ2pL",
        mimeType="image/webp",
        fileSize=245_000,
        durationMs=42,
        status=200,
    )
    (line,) = output.lines
    assert line.pop("at")
    assert line == {
        "level": "info",
        "event": "media.upload.presign",
        "process": "api",
        "tenantId": "ls_abc123",
        "userId": "user_789",
        "mediaId": "media_xK9mQ2pL",
        "mimeType": "image/webp",
        "fileSize": 245_000,
        "durationMs": 42,
        "status": 200,
    }


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "fields",
    [
        {"url": SIGNED},
        {"error": f"PUT {SIGNED} answered 403"},
        {"headers": {"x-gateway-key": GATEWAY_KEY, "authorization": "Bearer abcdefgh"}},
        {"nested": [{"path": ("/files", {"query": SIGNED})}]},
        {"why": f"refused {GATEWAY_KEY!r}"},
        {"database": "postgresql://media:database%21password@127.0.0.1/media"},
        {"message": "connection to database!password failed"},
        {"redis": "redis://:redis-password@127.0.0.1/0"},
        {"query": "X-Amz-Signature=deadbeefcafe&x=1"},
        {"header": "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260429, Signature=deadbeefcafe"},
        {"secret": "s3-secret-key", "key": "s3-access-key"},
        {GATEWAY_KEY: 1},
    ],
)
def test_no_key_signature_or_presigned_query_is_written(
    log_format: str, fields: dict[str, object]
) -> None:
    output = Written(log_format)
    get_logger().info("media.test", **fields)
    for secret in (
        GATEWAY_KEY,
        "deadbeefcafe",
        "AKIAEXAMPLE",
        "abcdefgh",
        "database%21password",
        "database!password",
        "redis-password",
        "s3-secret-key",
        "s3-access-key",
    ):
        assert secret not in output.text


def test_secrets_stay_out_of_tracebacks_and_of_what_libraries_log() -> None:
    output = Written()
    try:
        raise RuntimeError(f"cannot reach {SIGNED} with {GATEWAY_KEY}")  # noqa: TRY301
    except RuntimeError:
        get_logger().exception("media.test")
        logging.getLogger("some.library").exception("failed at %s", SIGNED)
    assert len(output.lines) == 2
    assert "cannot reach https://bucket.example/ls_a/x.webp?[redacted]" in output.text
    assert GATEWAY_KEY not in output.text
    assert "deadbeefcafe" not in output.text


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize(
    "hostile",
    [
        'a.webp\n{"level": "info", "event": "forged"}',
        "a\r\n12:00:00.000 api info forged",
        "a\u2028forged",
        "a\u0085forged",
        "a\x1b[2K\x1b[1Aforged",
        "a\u202egpj.exe",
        "lone surrogate \ud800",
    ],
)
def test_no_value_can_forge_a_line_or_steer_a_terminal(log_format: str, hostile: str) -> None:
    output = Written(log_format)
    get_logger().info(hostile, fileName=hostile, nested={hostile: [hostile]})
    logging.getLogger("some.library").warning(hostile)
    lines = output.text.split("\n")
    assert len(lines) == 3
    assert lines[2] == ""
    for character in ("\r", "\u2028", "\u0085", "\u202e", "\x1b[2K", "\x1b[1A"):
        assert character not in output.text


def test_a_traceback_on_the_console_cannot_pass_for_a_line() -> None:
    output = Written("console")
    try:
        raise ValueError("bad\n12:00:00.000 api     info    forged")  # noqa: TRY301
    except ValueError:
        get_logger().exception("media.test")
    first, *rest = output.text.rstrip("\n").split("\n")
    assert "media.test" in first
    assert all(line.startswith("    | ") for line in rest)


def test_readable_names_stay_readable() -> None:
    output = Written()
    get_logger().info("media.test", fileName="Käse 写真.webp", at_all=True, nothing=None)
    assert '"Käse 写真.webp"' in output.text
    assert output.lines[0]["nothing"] is None


HINTS = st.sampled_from(
    ["://", "?", "@", "=", "X-Amz-Signature", "x-amz-credential", "AWS4-HMAC-SHA256 Credential"]
) | st.sampled_from(
    [GATEWAY_KEY, "https", "redis", "\n", "\u2028", "\x1b[2K", "token", "Käse", "a" * 15_999]
)
TEXT = st.lists(HINTS | st.text(max_size=4), max_size=6).map("".join)
VALUES = TEXT | st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()


@given(event=st.dictionaries(TEXT, VALUES | st.lists(TEXT) | st.dictionaries(TEXT, TEXT)))
def test_the_quick_look_lets_nothing_pass_that_redaction_would_change(
    event: dict[str, object],
) -> None:
    quick = Redactor(secrets_of(settings_of()))
    thorough = {quick.text(name): quick._field(name, value) for name, value in event.items()}
    assert quick(None, "info", dict(event)) == thorough


@pytest.mark.parametrize("value", [2**70, float("nan"), b"bytes", {1: 2}, object, "\ud800"])
def test_a_line_is_written_whatever_the_value(value: object) -> None:
    output = Written()
    get_logger().info("media.test", value=value)
    assert output.lines[0]["event"] == "media.test"

import signal
import socket
import subprocess
import sys

import httpx
import pytest

from adapters.settings import Settings


def environment(settings: Settings, **changes: str) -> dict[str, str]:
    names = ("database_url", "redis_url", "public_base_url", "s3_endpoint", "s3_access_key")
    given = {f"MEDIA_{name.upper()}": str(getattr(settings, name)) for name in names}
    given["MEDIA_S3_SECRET_KEY"] = settings.s3_secret_key
    return given | {"MEDIA_ENVIRONMENT": "development"} | changes


def test_it_does_not_start_in_production(settings: Settings) -> None:
    secret = "s" * 40
    production = environment(
        settings,
        MEDIA_ENVIRONMENT="production",
        MEDIA_GATEWAY_KEYS=secret,
        MEDIA_CURSOR_KEYS=secret,
        MEDIA_PUBLIC_BASE_URL="https://media.test",
        MEDIA_DELIVERY_BASE_URL="https://api.media.test",
        MEDIA_S3_UPLOAD_ENDPOINT="https://s3.media.test",
        MEDIA_CDN="none",
    )

    ended = subprocess.run(
        [sys.executable, "-m", "api.dev_edge"],
        env=production,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert ended.returncode == 2
    assert "does not run in production" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_serves_and_ends_when_it_is_asked_to(
    settings: Settings, number: signal.Signals
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "api.dev_edge"],
        env=environment(settings, MEDIA_EDGE_PORT=str(port)),
    )
    try:
        with httpx.Client(
            trust_env=False, transport=httpx.HTTPTransport(retries=9), timeout=60
        ) as client:
            answer = client.get(f"http://127.0.0.1:{port}/none.png")
        process.send_signal(number)
        code = process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()

    assert (answer.status_code, code) == (404, 0)

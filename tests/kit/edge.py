"""The development edge on a port of its own, and what a browser does through it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import msgspec
import uvicorn

from adapters.r2_object_store import R2ObjectStore
from adapters.settings import Settings
from adapters.system import utc_now
from api.dev_edge import open_edge
from api.draining_server import Server
from application.ports import ObjectHeaders, SignedRequest
from domain.content_disposition import content_disposition
from domain.media_type import MEDIA_TYPES
from tests.kit import written
from tests.kit.http import new_id

PNG = "image/png"
PURGE_TOKEN = "purge-token-of-the-edge-in-tests"
IMMUTABLE = "public, max-age=31536000, immutable"


@asynccontextmanager
async def serving_edge(settings: Settings) -> AsyncIterator[Settings]:
    """The settings of a service whose uploads and public files go through the edge."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    written.remember(PURGE_TOKEN)
    settings = msgspec.structs.replace(
        settings,
        s3_upload_endpoint=url,
        public_base_url=url,
        cloudflare_zone_id="development",
        cloudflare_api_token=PURGE_TOKEN,
        cloudflare_api_url=f"{url}/client/v4",
    )
    async with open_edge(settings) as edge:
        config = uvicorn.Config(
            edge, http="httptools", lifespan="off", log_config=None, access_log=False
        )
        server = Server(config)
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield settings
        finally:
            server.should_exit = True
            await task
            listening.close()


def new_key(extension: str = "png") -> str:
    return f"{new_id('ls')}/blog/2026/04/xK9mQ2pLw3RtYb8c.{extension}"


def signed_put(
    store: R2ObjectStore, key: str, body: bytes, *, digest: str | None = None, age: int = 0
) -> SignedRequest:
    at = utc_now() - timedelta(seconds=age)
    return store.sign_put(key, content_type=PNG, size=len(body), sha256=digest, at=at)


async def put(
    browser: httpx.AsyncClient, signed: SignedRequest, body: bytes, **changes: Any
) -> httpx.Response:
    """Send the signed request; None takes a header out."""
    headers = {k: v for k, v in {**signed.headers, **changes}.items() if v is not None}
    return await browser.put(signed.url, content=body, headers=headers)


async def published(store: R2ObjectStore, mime_type: str, body: bytes, name: str = "hero") -> str:
    media_type = MEDIA_TYPES[mime_type]
    key = new_key(media_type.extension)
    disposition = content_disposition(name, media_type.disposition)
    headers = ObjectHeaders(mime_type, media_type.cache_control, disposition)
    await store.write("public", key, body, headers=headers)
    return key

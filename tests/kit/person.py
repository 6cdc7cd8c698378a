"""Somebody who uses a running service over HTTP, as the platform's backend would for them."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any, Self

import httpx

from tests.kit.samples import sample
from tests.kit.up import SECONDS


class Person:
    """Somebody of one workspace, as the gateway vouches for them."""

    def __init__(self, run: dict[str, Any], tenant: str) -> None:
        self.internal = run["internal"]
        self.bucket = httpx.Client(timeout=SECONDS)
        self.api = httpx.Client(
            base_url=run["api"],
            timeout=SECONDS,
            headers={
                "x-gateway-key": run["gatewayKey"],
                "x-user-id": "user_789",
                "x-tenant-id": tenant,
                "x-user-permissions": "media:files.read media:files.write",
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.api.close()
        self.bucket.close()

    def presign(self, name: str, mime_type: str, *, key: str | None = None) -> httpx.Response:
        body = {
            "fileName": name,
            "contentType": mime_type,
            "fileSize": len(sample(mime_type)),
            "serviceCode": "blog",
        }
        headers = {"idempotency-key": key} if key else {}
        return self.api.post("/upload/presign", json=body, headers=headers)

    def put(
        self, presigned: dict[str, Any], mime_type: str, content: bytes | None = None
    ) -> httpx.Response:
        """The sample of the type, unless other bytes are given."""
        content = sample(mime_type) if content is None else content
        return self.bucket.put(
            presigned["uploadUrl"], content=content, headers=presigned["headers"]
        )

    def complete(self, presigned: dict[str, Any]) -> httpx.Response:
        """Asked again while the verification goes on without the request."""
        body = {"mediaId": presigned["mediaId"]}
        return _until(
            lambda: self.api.patch("/upload/complete", json=body),
            lambda answer: answer.status_code != 202,
        )

    def ingest(self, url: str) -> httpx.Response:
        """What came of it, also where a worker ends what the request began."""
        begun = self.api.post("/upload/ingest-url", json={"url": url, "serviceCode": "blog"})
        return self.complete(begun.json()) if begun.status_code == 202 else begun

    def seen(self, path: str, after: httpx.Response, **parameters: str) -> httpx.Response:
        """A query that sees what was answered: it waits for its read model, but not for ever."""
        position = after.headers["media-position"]
        headers = {"media-position": position}
        return _until(
            lambda: self.api.get(path, params=parameters, headers=headers),
            lambda answer: int(answer.headers.get("media-position", 0)) >= int(position),
        )

    def delete(self, media_id: str, *, key: str) -> httpx.Response:
        return self.api.delete(f"/files/{media_id}", headers={"idempotency-key": key})

    def library(self) -> set[str]:
        """The ids of all files, page by page."""
        ids: set[str] = set()
        cursor = None
        while True:
            parameters = {"limit": 100} | ({"cursor": cursor} if cursor else {})
            page = _until(
                partial(self.api.get, "/files", params=parameters),
                lambda answer: answer.status_code < 500,
            )
            ids |= {item["id"] for item in page.json()["items"]}
            cursor = page.json()["nextCursor"]
            if cursor is None:
                return ids


def _until(
    ask: Callable[[], httpx.Response], enough: Callable[[httpx.Response], bool]
) -> httpx.Response:
    """The first answer that is enough."""
    deadline = time.monotonic() + SECONDS
    while not enough(answer := ask()):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
    return answer

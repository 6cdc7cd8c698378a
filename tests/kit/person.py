"""Somebody who uses a running service over HTTP, as the platform's backend would for them."""

from typing import Any, Self

import httpx

from tests.kit.samples import sample


class Person:
    """Somebody of one workspace, as the gateway vouches for them."""

    def __init__(self, run: dict[str, Any], tenant: str) -> None:
        self.internal = run["internal"]
        self.bucket = httpx.Client(timeout=20)
        self.api = httpx.Client(
            base_url=run["api"],
            timeout=20,
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

    def put(self, presigned: dict[str, Any], mime_type: str) -> httpx.Response:
        return self.bucket.put(
            presigned["uploadUrl"], content=sample(mime_type), headers=presigned["headers"]
        )

    def complete(self, presigned: dict[str, Any]) -> httpx.Response:
        return self.api.patch("/upload/complete", json={"mediaId": presigned["mediaId"]})

    def delete(self, media_id: str, *, key: str) -> httpx.Response:
        return self.api.delete(f"/files/{media_id}", headers={"idempotency-key": key})

    def library(self) -> set[str]:
        """The ids of all files, page by page."""
        ids: set[str] = set()
        cursor = None
        while True:
            parameters: dict[str, str | int] = {"limit": 100}
            page = self.api.get(
                "/files", params=parameters | ({"cursor": cursor} if cursor else {})
            )
            ids |= {item["id"] for item in page.json()["items"]}
            cursor = page.json()["nextCursor"]
            if cursor is None:
                return ids

"""The `ObjectStore` port on Cloudflare R2, or any S3 server. The runtime opens one per process.

Requests are signed here (`adapters/sigv4.py`); the other operations go through aioboto3.
"""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Self

from adapters.s3_client import ObjectAbsent, S3Client, open_s3_client
from adapters.settings import Settings
from adapters.sigv4 import Presigner
from adapters.telemetry import get_logger
from application.ports import (
    Bucket,
    ObjectChanged,
    ObjectExists,
    ObjectHeaders,
    SignedRequest,
    StoredObject,
)
from domain.errors import ObjectStoreUnavailable
from domain.media_file import UPLOAD_URL_LIFETIME
from domain.placement import Home
from domain.reconciliation import Listed

SEE_AGAIN_SECONDS = (0.0, 0.2)
"""Looks at what was stored: a store that writes in place (rclone) may show nothing for a moment."""
MAX_KEYS_A_DELETE = 1000
"""S3's limit of one DeleteObjects."""
PART_BYTES = 1 << 18
"""Of a stream: few thread hops, little memory."""


class R2ObjectStore:
    """Three buckets of one account, addressed by path."""

    def __init__(self, settings: Settings, client: S3Client) -> None:
        self._client = client
        self._buckets: dict[Bucket, str] = {
            "incoming": settings.s3_incoming_bucket,
            "public": settings.s3_public_bucket,
            "private": settings.s3_private_bucket,
        }
        self._presigner = Presigner(
            settings.s3_upload_endpoint or settings.s3_endpoint,
            region=settings.s3_region,
            access_key=settings.s3_access_key,
            secret_key=settings.s3_secret_key,
        )

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        """Returns at once: the first call that needs the client waits until it is loaded."""
        async with open_s3_client(settings) as client:
            yield cls(settings, client)

    def sign_put(
        self, key: str, *, content_type: str, size: int, sha256: str | None, at: datetime
    ) -> SignedRequest:
        """A PUT into the incoming bucket that works once, for this type and length.

        A browser sets Content-Length itself and ignores ours; other clients can check theirs.
        """
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(size),
            "If-None-Match": "*",
        }
        if sha256 is not None:
            digest = bytes.fromhex(sha256)
            headers["x-amz-checksum-sha256"] = base64.b64encode(digest).decode()
        return self._signed(
            "PUT", "incoming", key, at=at, lifetime=UPLOAD_URL_LIFETIME, headers=headers
        )

    def sign_get(
        self,
        bucket: Bucket,
        key: str,
        *,
        content_disposition: str,
        lifetime: int,
        at: datetime,
        content_type: str | None = None,
    ) -> SignedRequest:
        """A GET that lives `lifetime` seconds and answers with this disposition, and type."""
        query = {
            "response-cache-control": "no-store",  # spec 9.2: the stored one is for the CDN
            "response-content-disposition": content_disposition,
        }
        if content_type is not None:
            query["response-content-type"] = content_type
        return self._signed(
            "GET", bucket, key, at=at, lifetime=timedelta(seconds=lifetime), query=query
        )

    def _signed(
        self,
        method: str,
        bucket: Bucket,
        key: str,
        *,
        at: datetime,
        lifetime: timedelta,
        headers: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
    ) -> SignedRequest:
        url = self._presigner.sign(
            method,
            f"/{self._buckets[bucket]}/{key}",
            headers=headers,
            query=query,
            at=at,
            lifetime=int(lifetime.total_seconds()),
        )
        return SignedRequest(url, headers or {}, at.replace(microsecond=0) + lifetime)

    async def head(self, bucket: Bucket, key: str) -> StoredObject | None:
        """What is stored under the key, or None."""
        try:
            found = await self._client.call("head_object", Bucket=self._buckets[bucket], Key=key)
        except ObjectAbsent:
            return None
        return StoredObject(
            size=found["ContentLength"],
            content_type=found.get("ContentType", ""),
            etag=found["ETag"],
        )

    async def stream(self, bucket: Bucket, key: str, *, etag: str) -> AsyncGenerator[bytes, None]:
        """The object's bytes in parts. Raises ObjectChanged, also when it is gone."""
        where = {"Bucket": self._buckets[bucket], "Key": key, "IfMatch": etag}
        try:
            found = await self._client.call("get_object", **where)
        except ObjectAbsent as absent:
            raise ObjectChanged from absent
        async with found["Body"] as _:
            if found["ETag"] != etag:  # rclone knows no If-Match
                raise ObjectChanged
            while part := await self._part(found["Body"], where["Bucket"]):
                yield part

    async def _part(self, body: Any, bucket: str) -> bytes:
        with self._client.errors("get_object", bucket):
            return bytes(await body.read(PART_BYTES))

    async def copy(
        self, key: str, *, source: Bucket, target: Bucket, etag: str, headers: ObjectHeaders
    ) -> None:
        """Copy under the same key, if the source still has the ETag and the target has nothing.

        Raises ObjectChanged or ObjectExists.
        """
        try:
            await self._client.call(
                "copy_object",
                Bucket=self._buckets[target],
                Key=key,
                CopySource={"Bucket": self._buckets[source], "Key": key},
                CopySourceIfMatch=etag,
                MetadataDirective="REPLACE",
                **_metadata(headers),
            )
            await self._see(target, key)
        except ObjectAbsent as absent:
            raise ObjectChanged from absent
        except ObjectChanged:
            # One status for both conditions.
            if await self.head(target, key) is not None:
                raise ObjectExists from None
            raise

    async def write(
        self, bucket: Bucket, key: str, body: bytes | BinaryIO, *, headers: ObjectHeaders
    ) -> None:
        """Store bytes of our own making where nothing stands. Raises ObjectExists."""
        try:
            await self._client.call(
                "put_object",
                Bucket=self._buckets[bucket],
                Key=key,
                Body=body,
                IfNoneMatch="*",
                **_metadata(headers),
            )
            await self._see(bucket, key)
        except ObjectChanged as exists:
            raise ObjectExists from exists

    async def write_file(
        self, bucket: Bucket, key: str, file: BinaryIO, *, headers: ObjectHeaders
    ) -> None:
        """Store a file that can be sought in, from its beginning, in place of what stands there."""
        file.seek(0)
        await self._client.call(
            "put_object", Bucket=self._buckets[bucket], Key=key, Body=file, **_metadata(headers)
        )
        await self._see(bucket, key)

    async def _see(self, bucket: Bucket, key: str) -> None:
        """Look for what the store says it has stored: the log is not to say so on its word alone.

        Raises ObjectStoreUnavailable; whoever repeats it then finds what is there.
        """
        for pause in SEE_AGAIN_SECONDS:
            await asyncio.sleep(pause)
            if await self.head(bucket, key) is not None:
                return
        get_logger().warning("media.object_store.forgot", bucket=self._buckets[bucket])
        raise ObjectStoreUnavailable("The object store has not kept what it acknowledged.")

    async def delete(self, bucket: Bucket, keys: Sequence[str]) -> None:
        """Remove the objects (at most 1,000); those that are not there count as removed."""
        name = self._buckets[bucket]
        if len(keys) > MAX_KEYS_A_DELETE:
            raise ValueError(f"{len(keys)} keys; one call removes at most {MAX_KEYS_A_DELETE}")
        if not keys:
            return
        if len(keys) == 1:
            try:
                await self._client.call("delete_object", Bucket=name, Key=keys[0])
            except ObjectAbsent:
                return
            return
        objects = [{"Key": key} for key in keys]
        answer = await self._client.call(
            "delete_objects", Bucket=name, Delete={"Objects": objects, "Quiet": True}
        )
        kept = [error for error in answer.get("Errors", ()) if error.get("Code") != "NoSuchKey"]
        if kept:
            get_logger().warning(
                "media.object_store.kept",
                bucket=name,
                objects=len(kept),
                reason=kept[0].get("Code", ""),
                error=kept[0].get("Message", ""),
            )
            raise ObjectStoreUnavailable(f"{len(kept)} objects could not be removed.")

    async def list_folder(self, bucket: Bucket, folder: str) -> AsyncIterator[str]:
        """Keys of all objects that begin with the folder's name, its slash included."""
        async for page in self._pages(bucket, Prefix=folder):
            for found in page:
                yield found["Key"]

    async def list_older_than(self, bucket: Bucket, before: datetime) -> AsyncIterator[str]:
        """Keys of objects last modified before the time."""
        async for page in self._pages(bucket):
            for found in page:
                if found["LastModified"] < before:
                    yield found["Key"]

    async def listed(self, bucket: Home, *, after: str) -> AsyncIterator[Sequence[Listed]]:
        """Pages of at most 1,000 objects behind the key, in the order of their keys."""
        async for page in self._pages(bucket, StartAfter=after):
            listed = [
                Listed(bucket, found["Key"], found["Size"], found["LastModified"])
                for found in page
                # rclone begins at the beginning, whatever it is to start after.
                if found["Key"] > after
            ]
            if listed:
                yield listed

    async def _pages(self, bucket: Bucket, **options: str) -> AsyncIterator[Sequence[Any]]:
        where = {"Bucket": self._buckets[bucket], **options}
        while True:
            page = await self._client.call("list_objects_v2", **where)
            yield page.get("Contents", ())
            if not page.get("IsTruncated"):
                return
            where["ContinuationToken"] = page["NextContinuationToken"]


def _metadata(headers: ObjectHeaders) -> dict[str, str]:
    return {
        "ContentType": headers.content_type,
        "CacheControl": headers.cache_control,
        "ContentDisposition": headers.content_disposition,
    }

"""Verification: what stands between the bytes a browser stored and the bytes anyone is served."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from weakref import WeakValueDictionary

from application.ports import (
    HEAD_BYTES,
    Accepted,
    Bucket,
    ContentInspector,
    ContentProof,
    ObjectChanged,
    ObjectExists,
    ObjectHeaders,
    ObjectStore,
    Refused,
    StreamChanged,
)
from domain.content_disposition import content_disposition
from domain.media_file import MediaFile
from domain.media_type import MEDIA_TYPES


class NothingStored(Exception):
    """Incoming holds no object under the key."""


class Mismatch(Exception):
    """The stored bytes are not what was declared; `reason` is the code of UploadRejected."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class Verification:
    """Checks the bytes in incoming and puts them where they are served from."""

    def __init__(
        self, objects: ObjectStore, inspector: ContentInspector, proof: ContentProof
    ) -> None:
        self._objects = objects
        self._inspector = inspector
        self._proof = proof
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def verify(self, file: MediaFile) -> int:
        """Prove the bytes in incoming and put them into their bucket; the size that is served.

        Raises NothingStored, Mismatch, StreamChanged (look again) or SandboxUnavailable.
        """
        # Many completes of one file, or one after a crash, are no reason to decode it again.
        async with self._turns.setdefault(file.key, asyncio.Lock()):
            standing = await self._objects.head(bucket_of(file), file.key)
            return await self._verify(file) if standing is None else standing.size

    async def _verify(self, file: MediaFile) -> int:
        stored = await self._objects.head("incoming", file.key)
        if stored is None:
            raise NothingStored
        if stored.size != file.file_size:
            raise Mismatch("size", f"{stored.size} bytes are stored, {file.file_size} declared.")
        if stored.content_type.partition(";")[0].strip().lower() != file.mime_type:
            raise Mismatch("type", f"Stored as {stored.content_type[:100]}, not {file.mime_type}.")
        try:
            async with (
                aclosing(self._parts(file, stored.etag)) as parts,
                self._proof.prove(parts, mime_type=file.mime_type) as verdict,
            ):
                if isinstance(verdict, Refused):
                    raise Mismatch(verdict.reason, verdict.detail)
                return await self._serve(file, stored.etag, verdict)
        except ObjectChanged:
            raise StreamChanged from None

    async def _parts(self, file: MediaFile, etag: str) -> AsyncGenerator[bytes, None]:
        """The stored bytes; raises Mismatch as soon as they cannot be what was declared."""
        head, looked, size, digest = b"", False, 0, hashlib.sha256()
        async with aclosing(self._objects.stream("incoming", file.key, etag=etag)) as parts:
            async for part in parts:
                size += len(part)
                if not looked:
                    head += part[:HEAD_BYTES]
                    looked = len(head) >= min(HEAD_BYTES, file.file_size)
                    if looked and not self._inspector.is_of_type(head[:HEAD_BYTES], file.mime_type):
                        raise Mismatch("content", f"The bytes are not {file.mime_type}.")
                if file.sha256 is not None:
                    digest.update(part)
                yield part
        if size != file.file_size:
            raise ObjectChanged
        if file.sha256 is not None and digest.hexdigest() != file.sha256:
            raise Mismatch("sha256", "The bytes do not have the declared SHA-256.")

    async def _serve(self, file: MediaFile, etag: str, accepted: Accepted) -> int:
        """Put the proven bytes into their bucket, unless a verification before has put its own.

        Whatever stands there was proven, so it is never replaced: not by a slower verification
        that looked at bytes which came later (docs/adr/0009). This look is for stores that
        ignore conditions.
        """
        bucket, headers = bucket_of(file), served_headers(file)
        standing = await self._objects.head(bucket, file.key)
        if standing is not None:
            return standing.size
        try:
            if accepted.rewritten is None:
                await self._objects.copy(
                    file.key, source="incoming", target=bucket, etag=etag, headers=headers
                )
            else:
                await self._objects.write(bucket, file.key, accepted.rewritten, headers=headers)
        except ObjectExists:
            standing = await self._objects.head(bucket, file.key)
            if standing is None:
                raise StreamChanged from None
            return standing.size
        return accepted.size


def bucket_of(file: MediaFile) -> Bucket:
    """Where the verified bytes of the file stand."""
    return "public" if file.is_public else "private"


def served_headers(file: MediaFile) -> ObjectHeaders:
    """What the object is served with (spec 9.2)."""
    media_type = MEDIA_TYPES[file.mime_type]
    return ObjectHeaders(
        content_type=file.mime_type,
        cache_control=media_type.cache_control,
        content_disposition=content_disposition(file.file_name, media_type.disposition),
    )

"""Verification: what stands between the bytes a browser stored and the bytes anyone is served."""

import asyncio
import hashlib

from application.ports import (
    HEAD_BYTES,
    Bucket,
    ContentInspector,
    ObjectChanged,
    ObjectHeaders,
    ObjectStore,
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

    def __init__(self, objects: ObjectStore, inspector: ContentInspector) -> None:
        self._objects = objects
        self._inspector = inspector

    async def verify(self, file: MediaFile) -> int:
        """Check the bytes in incoming and copy them to their bucket; the size that is served."""
        stored = await self._objects.head("incoming", file.key)
        if stored is None:
            raise NothingStored
        if stored.size != file.file_size:
            raise Mismatch("size", f"{stored.size} bytes are stored, {file.file_size} declared.")
        if stored.content_type.partition(";")[0].strip().lower() != file.mime_type:
            raise Mismatch("type", f"Stored as {stored.content_type[:100]}, not {file.mime_type}.")
        try:
            return await self._verify_content(file, stored.etag)
        except ObjectChanged:
            raise StreamChanged from None

    async def _verify_content(self, file: MediaFile, etag: str) -> int:
        is_svg = file.mime_type == "image/svg+xml"
        whole = is_svg or file.sha256 is not None
        body = await self._objects.read(
            "incoming", file.key, etag=etag, first_bytes=None if whole else HEAD_BYTES
        )
        if not self._inspector.is_of_type(body[:HEAD_BYTES], file.mime_type):
            raise Mismatch("content", f"The bytes are not {file.mime_type}.")
        if file.sha256 is not None and hashlib.sha256(body).hexdigest() != file.sha256:
            raise Mismatch("sha256", "The bytes do not have the declared SHA-256.")
        bucket = bucket_of(file)
        headers = served_headers(file)
        if not is_svg:
            await self._objects.copy(
                file.key, source="incoming", target=bucket, etag=etag, headers=headers
            )
            return file.file_size
        try:
            # Seconds for a large drawing, in which the process must answer others.
            drawing = await asyncio.to_thread(self._inspector.sanitise_svg, body)
        except ValueError as error:
            raise Mismatch("svg", f"The drawing is not usable: {error}") from error
        await self._objects.write(bucket, file.key, drawing, headers=headers)
        return len(drawing)


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

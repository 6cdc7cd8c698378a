"""Verification: what stands between the bytes a browser stored and the bytes anyone is served."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from weakref import WeakValueDictionary

import msgspec

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
    StoredObject,
    StreamChanged,
)
from application.scan_ports import Malware, MalwareScanner, ScannerUnavailable
from domain.content_disposition import content_disposition
from domain.errors import Infected, MediaError, UploadMismatch
from domain.event import Event
from domain.media_file import MediaFile
from domain.media_file_events import INFECTED
from domain.media_type import MEDIA_TYPES
from domain.metadata import MetadataPolicy
from domain.rendition_events import MetadataRemoved
from domain.scan_events import ScanPassed

SCAN_SHARE = 0.9
"""Of the time a verification has, what the scanner may take of it: a worker that takes its time
must be asked within the rest."""


class NothingStored(Exception):
    """Incoming holds no object under the key."""


class Mismatch(Exception):
    """The stored bytes are not what was declared; `reason` is the code of UploadRejected."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail

    def refusal(self) -> MediaError:
        """What the caller is told."""
        return UploadMismatch(self.detail, reason=self.reason)


class MalwareFound(Mismatch):
    """The scanner knows the bytes."""

    def __init__(self, found: Malware) -> None:
        super().__init__(INFECTED, f"The malware scanner found {found.signature}.")
        self.signature = found.signature

    def refusal(self) -> MediaError:
        """What the caller is told."""
        return Infected(self.detail, reason=self.reason, signature=self.signature)


class Verified(msgspec.Struct, frozen=True):
    """The bytes stand in their bucket."""

    size: int
    """Of what is served."""
    facts: tuple[Event, ...] = ()
    """To be recorded before the completion."""


class _Turn:
    """Shared by the verifications of one file that this process runs at the same time."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.passed: ScanPassed | None = None
        self.removed: MetadataRemoved | None = None


class Verification:
    """Checks the bytes in incoming and puts them where they are served from."""

    def __init__(
        self,
        objects: ObjectStore,
        inspector: ContentInspector,
        proof: ContentProof,
        scanner: MalwareScanner | None = None,
        *,
        metadata: MetadataPolicy = "strip-location",
    ) -> None:
        """Without a scanner, what was to be scanned before stays where it is."""
        self._objects = objects
        self._inspector = inspector
        self._proof = proof
        self._scanner = scanner
        self._metadata: MetadataPolicy = metadata
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    async def verify(self, file: MediaFile, *, scan_until: float) -> Verified:
        """Scan and prove the bytes in incoming and put them into their bucket.

        Raises NothingStored, Mismatch, StreamChanged (look again), SandboxUnavailable, or
        ScannerUnavailable, also when there is no verdict at `scan_until`, a time of the loop.
        """
        # Many completes of one file, or one after a crash, are no reason to decode it again.
        turn = self._turns.setdefault(file.key, _Turn())
        try:
            async with turn.lock:
                bucket = bucket_of(file)
                standing = await self._objects.head(bucket, file.key)
                if standing is None:
                    stored = await self._stored(file)
                    if turn.passed is not None and turn.passed.etag != stored.etag:
                        turn.passed = None
                    parts = self._parts(file, stored.etag)
                    await self._scan(file, stored, parts, turn, scan_until)
                    size = await self._prove(file, stored.etag, turn)
                else:
                    parts = self._objects.stream(bucket, file.key, etag=standing.etag)
                    await self._scan(file, standing, parts, turn, scan_until)
                    size = standing.size
                    await self._recall(file, standing, turn)
                facts = (turn.passed, turn.removed)
                return Verified(size, tuple(fact for fact in facts if fact is not None))
        except ObjectChanged:
            raise StreamChanged from None

    async def scan(self, file: MediaFile) -> ScanPassed:
        """Have the bytes in incoming scanned, however long that takes; nothing is moved.

        Raises NothingStored, Mismatch, StreamChanged (look again) or ScannerUnavailable.
        """
        try:
            stored = await self._stored(file)
            return await self._scanned(stored, self._parts(file, stored.etag))
        except ObjectChanged:
            raise StreamChanged from None

    async def _scan(
        self,
        file: MediaFile,
        stored: StoredObject,
        parts: AsyncGenerator[bytes, None],
        turn: _Turn,
        until: float,
    ) -> None:
        """Have the bytes scanned, unless these very ones were."""
        needed = self._scanner is not None or file.scan.waiting
        if not needed or turn.passed is not None or file.scan.clean_etag == stored.etag:
            return
        try:
            async with asyncio.timeout_at(until) as limit:
                turn.passed = await self._scanned(stored, parts)
        except TimeoutError:
            if not limit.expired():
                raise
            raise ScannerUnavailable("There is no verdict in time.") from None

    async def _scanned(
        self, stored: StoredObject, parts: AsyncGenerator[bytes, None]
    ) -> ScanPassed:
        if self._scanner is None:
            raise ScannerUnavailable("A scan was asked for, and MEDIA_SCANNER is not set.")
        async with aclosing(parts):
            verdict = await self._scanner.scan(parts)
        if isinstance(verdict, Malware):
            raise MalwareFound(verdict)
        return ScanPassed(engine=verdict.engine, etag=stored.etag, scanned_bytes=stored.size)

    async def _stored(self, file: MediaFile) -> StoredObject:
        """What incoming holds, if it can be what was declared. Raises NothingStored or Mismatch."""
        stored = await self._objects.head("incoming", file.key)
        if stored is None:
            raise NothingStored
        if stored.size != file.file_size:
            raise Mismatch("size", f"{stored.size} bytes are stored, {file.file_size} declared.")
        if stored.content_type.partition(";")[0].strip().lower() != file.mime_type:
            raise Mismatch("type", f"Stored as {stored.content_type[:100]}, not {file.mime_type}.")
        return stored

    async def _recall(self, file: MediaFile, standing: StoredObject, turn: _Turn) -> None:
        """Find out what was removed by a verification that ended before it could say so."""
        stored = await self._objects.head("incoming", file.key)
        if turn.removed is not None or stored is None or stored.etag == standing.etag:
            return
        async with (
            aclosing(self._parts(file, stored.etag)) as parts,
            self._proof.prove(parts, mime_type=file.mime_type) as verdict,
        ):
            if not isinstance(verdict, Refused):
                turn.removed = self._removed(verdict)

    def _removed(self, accepted: Accepted) -> MetadataRemoved | None:
        if not accepted.removed:
            return None
        return MetadataRemoved(policy=self._metadata, removed=accepted.removed)

    async def _prove(self, file: MediaFile, etag: str, turn: _Turn) -> int:
        async with (
            aclosing(self._parts(file, etag)) as parts,
            self._proof.prove(parts, mime_type=file.mime_type) as verdict,
        ):
            if isinstance(verdict, Refused):
                raise Mismatch(verdict.reason, verdict.detail)
            turn.removed = self._removed(verdict)
            return await self._serve(file, etag, verdict)

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

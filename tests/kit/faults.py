"""The real object store, with a hand on it: for the moments a test cannot wait for."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, BinaryIO

from application.ports import Bucket, ObjectChanged, ObjectHeaders, ObjectStore, StoredObject
from domain.errors import ObjectStoreUnavailable


class FaultyObjectStore:
    """Fails while `away`; calls `before_look` and `before_copy` once each in a verification.

    That is: before its first look at what was stored, and between its checks and its copy.
    `after_write_file` is called between the bytes and the event of an ingest.
    """

    def __init__(self, real: ObjectStore) -> None:
        self._real = real
        self.away = False
        self.blind = False
        """Whether it does not see yet what has just been stored in incoming."""
        self.refusing: set[Bucket] = set()
        """Buckets that answer nothing while the others do."""
        self.before_look: Callable[[], Awaitable[None]] | None = None
        self.before_copy: Callable[[], Awaitable[None]] | None = None
        self.before_delete: Callable[[], Awaitable[None]] | None = None
        self.after_write_file: Callable[[], Awaitable[None]] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def _check(self, *buckets: Bucket) -> None:
        if self.away or self.refusing.intersection(buckets):
            raise ObjectStoreUnavailable("The object store does not answer.")

    async def head(self, bucket: Bucket, key: str) -> StoredObject | None:
        self._check(bucket)
        if self.before_look is not None and bucket == "incoming":
            hook, self.before_look = self.before_look, None
            await hook()
        if self.blind and bucket == "incoming":
            return None
        return await self._real.head(bucket, key)

    async def copy(
        self, key: str, *, source: Bucket, target: Bucket, etag: str, headers: ObjectHeaders
    ) -> None:
        self._check(source, target)
        if self.before_copy is not None:
            hook, self.before_copy = self.before_copy, None
            await hook()
        # R2 honours the pin; rclone, on which the tests run, does not.
        stored = await self._real.head(source, key)
        if stored is None or stored.etag != etag:
            raise ObjectChanged
        await self._real.copy(key, source=source, target=target, etag=etag, headers=headers)

    async def write_file(
        self, bucket: Bucket, key: str, file: BinaryIO, *, headers: ObjectHeaders
    ) -> None:
        self._check()
        await self._real.write_file(bucket, key, file, headers=headers)
        if self.after_write_file is not None:
            hook, self.after_write_file = self.after_write_file, None
            await hook()

    async def delete(self, bucket: Bucket, keys: Sequence[str]) -> None:
        self._check(bucket)
        if self.before_delete is not None:
            hook, self.before_delete = self.before_delete, None
            await hook()
        await self._real.delete(bucket, keys)

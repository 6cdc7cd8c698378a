"""What a test does with an object store that the service itself never does."""

from contextlib import aclosing

from application.ports import Bucket, ObjectHeaders, ObjectStore


async def read(store: ObjectStore, bucket: Bucket, key: str, *, etag: str) -> bytes:
    """The whole object at once."""
    async with aclosing(store.stream(bucket, key, etag=etag)) as parts:
        return b"".join([part async for part in parts])


async def replace(
    store: ObjectStore, bucket: Bucket, key: str, body: bytes, *, headers: ObjectHeaders
) -> None:
    """Store the bytes, whatever stands there."""
    await store.delete(bucket, [key])
    await store.write(bucket, key, body, headers=headers)

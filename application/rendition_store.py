"""What stands beside a file in its bucket, and what of it belongs there."""

from io import BytesIO

from application.ports import Bucket, ObjectExists, ObjectHeaders, ObjectStore
from application.verification import bucket_of
from domain.media_file import MediaFile, Status
from domain.media_type import IMMUTABLE
from domain.rendition import has_renditions, rendition_folder

SERVING: tuple[Bucket, ...] = ("public", "private")


class SourceAway(Exception):
    """The file's bytes are not where they belong just now: try again."""


async def sweep_renditions(objects: ObjectStore, file: MediaFile) -> None:
    """Remove what the file's folder of renditions holds and no fact of the file names."""
    if not file.key or not has_renditions(file.mime_type):
        return
    for bucket in SERVING:
        lives = file.status is Status.UPLOADED and bucket == bucket_of(file)
        kept = file.derived.keys if lives else ()
        found = objects.list_folder(bucket, rendition_folder(file.key))
        gone = [key async for key in found if key not in kept]
        if gone:
            await objects.delete(bucket, gone)


async def write_rendition(
    objects: ObjectStore, bucket: Bucket, key: str, body: bytes, *, mime_type: str
) -> int:
    """How many bytes stand under the key afterwards; what an earlier run has put there stays."""
    standing = await objects.head(bucket, key)
    if standing is not None:
        return standing.size
    headers = ObjectHeaders(mime_type, IMMUTABLE, "inline")
    try:
        await objects.write(bucket, key, BytesIO(body), headers=headers)
    except ObjectExists:
        standing = await objects.head(bucket, key)
        if standing is None:
            raise SourceAway(key) from None
        return standing.size
    return len(body)

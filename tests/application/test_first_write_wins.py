"""Bytes that were published are never replaced, whatever is put into incoming afterwards."""

import zlib
from collections.abc import AsyncIterator

import pytest

from adapters.content_inspector import MagicContentInspector
from adapters.runtime import open_api_runtime
from adapters.settings import Settings
from adapters.system import utc_now
from application.ports import ObjectStore
from application.uploads import CompleteUpload, Uploads
from application.verification import Verification
from domain.errors import MediaNotFound
from domain.media_file import MediaFile
from tests.kit.conditional_store import on_conditional_server
from tests.kit.faults import FaultyObjectStore
from tests.kit.hostile_files import png, png_chunk
from tests.kit.library import Library, uploads_over
from tests.kit.objects import read


def picture(comment: bytes) -> bytes:
    """A whole PNG; those of comments of one length are of one length."""
    return png(9, 9, zlib.compress(bytes(90)), extra=png_chunk(b"tEXt", b"Comment\0" + comment))


FIRST, OTHER = picture(b"first"), picture(b"other")


@pytest.fixture(scope="module")
async def conditional_library(settings: Settings) -> AsyncIterator[Library]:
    """On an object store that honours conditions as R2 does."""
    async with (
        on_conditional_server(settings) as conditional,
        open_api_runtime(conditional) as runtime,
    ):
        yield Library(runtime)


async def complete(uploads: Uploads, library: Library, file: MediaFile) -> MediaFile:
    answer = await uploads.complete_upload(CompleteUpload(media_id=file.id), library.context())
    assert isinstance(answer, MediaFile)
    return answer


async def published(objects: ObjectStore, file: MediaFile) -> bytes:
    found = await objects.head("public", file.key)
    assert found is not None
    return await read(objects, "public", file.key, etag=found.etag)


async def test_a_slow_complete_does_not_put_later_bytes_over_published_ones(
    library: Library, uploads: Uploads, objects: FaultyObjectStore
) -> None:
    file = await library.stored(at=utc_now(), body=FIRST)
    runtime = library.runtime

    async def meanwhile() -> None:
        # All while the slow one, which knows the file as pending, has not looked yet.
        await complete(runtime.uploads, library, file)
        await runtime.deletion.discard_incoming(file.key)
        await library.put("incoming", file.key, OTHER)

    objects.before_look = meanwhile
    answer = await complete(uploads, library, file)

    assert await published(objects, file) == FIRST
    assert answer == await complete(runtime.uploads, library, file)
    assert await library.events(file.id) == ["upload_requested", "upload_completed"]


@pytest.mark.long
async def test_of_two_verified_contents_the_one_published_first_stays(
    conditional_library: Library,
) -> None:
    library = conditional_library
    objects = FaultyObjectStore(library.runtime.objects)
    uploads = uploads_over(objects, library.runtime)
    file = await library.stored(at=utc_now(), body=OTHER)

    async def meanwhile() -> None:
        # All between the slow one's last look at the target and its copy.
        await library.put("incoming", file.key, FIRST)
        await complete(library.runtime.uploads, library, file)
        await library.put("incoming", file.key, OTHER)

    objects.before_copy = meanwhile
    answer = await complete(uploads, library, file)

    assert await published(objects, file) == FIRST
    assert answer == await complete(library.runtime.uploads, library, file)
    assert await library.events(file.id) == ["upload_requested", "upload_completed"]


@pytest.mark.parametrize("tail", [b"", b"<script>alert(1)</script>"])
async def test_a_complete_that_crashed_behind_its_copy_is_finished_by_the_next(
    conditional_library: Library, tail: bytes
) -> None:
    library = conditional_library
    runtime = library.runtime
    file = await library.stored(at=utc_now(), body=FIRST + tail)
    crashed = Verification(runtime.objects, MagicContentInspector(), runtime.proof)
    assert (await crashed.verify(file, scan_until=0)).size == len(FIRST)
    assert await library.events(file.id) == ["upload_requested"]

    answer = await complete(runtime.uploads, library, file)

    assert answer.file_size == len(FIRST)
    assert await published(runtime.objects, file) == FIRST


async def test_a_deleted_file_is_not_brought_back_by_a_slow_complete(
    conditional_library: Library,
) -> None:
    library = conditional_library
    objects = FaultyObjectStore(library.runtime.objects)
    file = await library.stored(at=utc_now(), body=FIRST)

    async def meanwhile() -> None:
        await complete(library.runtime.uploads, library, file)
        await library.delete_for_good(file)
        await library.runtime.deletion.purge_objects(file.id, library.system())
        await library.put("incoming", file.key, FIRST)

    objects.before_copy = meanwhile
    with pytest.raises(MediaNotFound):
        await complete(uploads_over(objects, library.runtime), library, file)
    assert await library.places(file) == {"incoming"}

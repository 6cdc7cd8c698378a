"""What becomes of a completed file by itself: looked into, with a thumbnail, and nothing left."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
import pytest
import pyvips  # type: ignore[import-untyped]

from adapters.dramatiq_queue import DramatiqQueue
from adapters.dramatiq_worker import CRASHES_ALONE_ALLOWED
from adapters.runtime import open_jobs_runtime
from adapters.settings import Settings
from application.jobs import InspectFile
from application.ports import Refused
from application.rendering import Order, Rendered
from application.uploads import CompleteUpload, RequestUpload
from domain.errors import (
    InvalidField,
    MediaNotFound,
    NoRendition,
    RenditionPending,
    RenditionUnavailable,
)
from domain.media_file import MediaFile
from domain.media_type import MEDIA_TYPES
from domain.rendition import rendition_folder
from projections.outdated_renditions import outdated
from tests.kit.http import followed
from tests.kit.library import Library
from tests.kit.places import photograph
from tests.kit.samples import sample
from tests.workers.processes import SECONDS, opened, running, until
from workers import jobs, reactor
from workers.rerender import ask_for_all


async def uploaded(library: Library, mime_type: str, body: bytes | None = None) -> MediaFile:
    body = sample(mime_type) if body is None else body
    context = library.context()
    command = RequestUpload(
        file_name="some.file", content_type=mime_type, file_size=len(body), service_code="blog"
    )
    pending = (await library.runtime.uploads.request_upload(command, context)).file
    await library.put("incoming", pending.key, body, content_type=mime_type)
    complete = CompleteUpload(media_id=pending.id)
    file = await library.runtime.uploads.complete_upload(complete, library.context())
    assert isinstance(file, MediaFile)
    return file


async def now(library: Library, file: MediaFile) -> MediaFile:
    found = (await library.runtime.media.load(file.id)).file(file.id)
    assert found is not None
    return found


async def looked_into(library: Library, file: MediaFile) -> MediaFile:
    async def done() -> bool:
        return not (await now(library, file)).derived.due

    await until(done)
    return await now(library, file)


async def bytes_of(library: Library, key: str) -> bytes:
    objects = library.runtime.objects
    stored = await objects.head("public", key)
    assert stored is not None
    return b"".join([part async for part in objects.stream("public", key, etag=stored.etag)])


async def beside(library: Library, file: MediaFile) -> list[str]:
    objects, folder = library.runtime.objects, rendition_folder(file.key)
    found = [key async for key in objects.list_folder("public", folder)]
    return sorted(found + [key async for key in objects.list_folder("private", folder)])


@pytest.fixture
async def at_work(worker_settings: Settings) -> AsyncIterator[None]:
    async with running(worker_settings, reactor.main, jobs.main):
        yield


@pytest.mark.usefixtures("at_work")
async def test_every_picture_and_video_gets_a_thumbnail_and_a_document_its_pages(
    library: Library,
) -> None:
    files = {mime_type: await uploaded(library, mime_type) for mime_type in MEDIA_TYPES}
    for mime_type, file in files.items():
        found = await looked_into(library, file)
        facts = found.derived.inspected
        assert facts is not None, mime_type
        served = await bytes_of(library, file.key)
        assert facts.sha256 == hashlib.sha256(served).hexdigest()
        if mime_type == "application/pdf":
            assert facts.page_count == 1
            assert found.derived.keys == ()
            continue
        assert (facts.width, facts.height) == (64, 48)
        assert facts.dominant_color is not None
        assert facts.placeholder is not None
        thumb = found.derived.stored["thumb_200", "image/webp"]
        picture = pyvips.Image.new_from_buffer(await bytes_of(library, thumb.key), "")
        assert (picture.width, picture.height) == (thumb.width, thumb.height)
        assert thumb.key == f"{file.key.rpartition('.')[0]}/thumb_200.r1.webp"
        if mime_type.startswith("video/"):
            assert facts.duration_ms == pytest.approx(500, abs=60)
            assert found.derived.poster is not None
            assert await bytes_of(library, found.derived.poster.key)
    stored = await library.runtime.objects.head("public", thumb.key)
    assert stored is not None
    assert stored.content_type == "image/webp"


@pytest.mark.usefixtures("at_work")
async def test_a_picture_on_its_side_is_shown_upright_and_its_place_is_gone(
    library: Library,
) -> None:
    file = await uploaded(library, "image/jpeg", photograph(".jpg"))
    found = await looked_into(library, file)
    assert found.derived.inspected is not None
    assert (found.derived.inspected.width, found.derived.inspected.height) == (48, 64)
    assert await library.has(file.id, "metadata_removed")
    assert file.file_size == len(await bytes_of(library, file.key))
    assert b"GPS" not in await bytes_of(library, file.key)


@pytest.mark.usefixtures("at_work")
async def test_many_who_ask_for_a_variant_at_once_have_it_made_once(library: Library) -> None:
    file = await looked_into(library, await uploaded(library, "image/png"))
    renditions = library.runtime.renditions
    answers = await asyncio.gather(
        *(
            renditions.ready(file.id, "og_1200x630", None, wait_seconds=SECONDS, correlation_id="r")
            for _ in range(20)
        )
    )
    assert len({answer.key for answer in answers}) == 1
    events = await library.events(file.id)
    assert events.count("rendition_requested") == 1
    assert events.count("rendition_stored") == 2
    assert answers[0].mime_type == "image/jpeg"
    # No larger than the picture, in the shape of the box.
    assert (answers[0].width, answers[0].height) == (64, 34)
    browser = await renditions.ready(
        file.id,
        "og_1200x630",
        "image/avif,image/webp,*/*",
        wait_seconds=SECONDS,
        correlation_id="r",
    )
    assert browser.mime_type == "image/webp"


@pytest.mark.usefixtures("at_work")
async def test_a_video_has_the_same_variants_by_its_poster(library: Library) -> None:
    file = await looked_into(library, await uploaded(library, "video/webm"))
    found = await library.runtime.renditions.ready(
        file.id, "avatar_96", None, wait_seconds=SECONDS, correlation_id="r"
    )
    assert (found.width, found.height) == (48, 48)


async def test_what_cannot_be_had_is_refused(library: Library) -> None:
    renditions = library.runtime.renditions

    async def ask(media_id: str, preset: str = "thumb_200") -> object:
        return await renditions.ready(media_id, preset, None, wait_seconds=0, correlation_id="r")

    file = await uploaded(library, "image/png")
    with pytest.raises(InvalidField):
        await ask(file.id, "thumb_201")
    with pytest.raises(RenditionPending):
        await ask(file.id)
    with pytest.raises(NoRendition):
        await ask((await uploaded(library, "application/pdf")).id)
    await library.delete(file)
    with pytest.raises(MediaNotFound):
        await ask(file.id)


async def test_a_file_that_kills_its_worker_ends_in_its_failed_state_while_others_are_served(
    library: Library, worker_settings: Settings, queue: DramatiqQueue
) -> None:
    poisoned = await uploaded(library, "image/png")
    for _ in range(CRASHES_ALONE_ALLOWED + 1):
        queue.begin(InspectFile(media_id=poisoned.id), "killed", alone=True)
    good = [await uploaded(library, "image/gif") for _ in range(20)]
    async with running(worker_settings, reactor.main, jobs.main):
        found = await looked_into(library, poisoned)
        assert found.derived.inspection_failure is not None
        assert found.derived.inspection_failure.reason == "gave_up"
        for file in good:
            assert (await looked_into(library, file)).derived.inspected is not None
    with pytest.raises(RenditionUnavailable):
        await library.runtime.renditions.ready(
            poisoned.id, "thumb_200", None, wait_seconds=0, correlation_id="r"
        )


async def test_a_deleted_file_leaves_no_rendition_behind(
    library: Library, worker_settings: Settings
) -> None:
    async with running(worker_settings, reactor.main, jobs.main):
        file = await looked_into(library, await uploaded(library, "image/png"))
        assert len(await beside(library, file)) == 1
        await library.delete(file)
        await until(lambda: library.has(file.id, "renditions_removed"))
    assert await beside(library, file) == []


async def test_a_rendition_that_is_finished_after_the_delete_leaves_nothing_behind(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await uploaded(library, "image/png")
    derivation = library.runtime.derivation
    render, rendered, deleted = derivation._renderer.render, asyncio.Event(), asyncio.Event()

    async def render_until_deleted(parts: AsyncIterator[bytes], order: Order) -> Rendered | Refused:
        made = await render(parts, order)
        rendered.set()
        await deleted.wait()
        return made

    monkeypatch.setattr(derivation._renderer, "render", render_until_deleted)
    async with asyncio.TaskGroup() as group:
        group.create_task(derivation.inspect_file(file.id, library.system()))
        await rendered.wait()
        await library.delete(file)
        await derivation.clear(file.id, library.system())
        deleted.set()
    assert await beside(library, file) == []
    assert not await library.has(file.id, "rendition_stored")


async def test_what_a_crash_left_half_done_is_finished_by_the_next_run(library: Library) -> None:
    file = await uploaded(library, "image/png")
    derivation = library.runtime.derivation
    # Written and not recorded, as kill -9 leaves it.
    await library.put("public", f"{rendition_folder(file.key)}thumb_200.r1.webp", b"made before")
    found = await derivation.inspect_file(file.id, library.system())
    assert found is not None
    assert found.derived.stored["thumb_200", "image/webp"].bytes == len(b"made before")
    assert await derivation.inspect_file(file.id, library.system()) is None


async def test_a_purge_takes_what_nobody_recorded(library: Library) -> None:
    file = await uploaded(library, "image/png")
    await library.put("public", f"{rendition_folder(file.key)}stray.r9.webp", b"stray")
    await library.delete(file)
    await library.runtime.derivation.sweep(file.id)
    assert await beside(library, file) == []


async def test_a_changed_recipe_is_made_anew_and_the_old_one_removed(
    library: Library, worker_settings: Settings
) -> None:
    file = await uploaded(library, "image/png")
    await library.runtime.derivation.inspect_file(file.id, library.system())
    (old,) = await beside(library, file)
    presets = dict(worker_settings.presets)
    presets["thumb_200"] = msgspec.structs.replace(presets["thumb_200"], recipe=2, quality=60)
    changed = msgspec.structs.replace(worker_settings, presets=presets)
    async with running(changed, reactor.main, jobs.main):
        async with opened(open_jobs_runtime, changed) as runtime:
            assert await runtime.renditions.rerender(file.id, "thumb_200", "r") == 1
            assert await runtime.renditions.rerender(file.id, "thumb_200", "r") == 0
        await until(lambda: library.has(file.id, "renditions_removed"))
    (new,) = await beside(library, file)
    assert new == old.replace(".r1.", ".r2.")
    assert (await now(library, file)).file_size == file.file_size


async def _all_of(files: Sequence[MediaFile], left: Callable[[], Awaitable[list[str]]]) -> bool:
    return len(await left()) == len(files)


async def _has_one(library: Library, file: MediaFile) -> bool:
    return len(await beside(library, file)) == 1


async def test_a_library_is_made_anew_once_with_progress(
    library: Library, worker_settings: Settings
) -> None:
    files = [await uploaded(library, "image/png") for _ in range(3)]
    for file in files:
        await library.runtime.derivation.inspect_file(file.id, library.system())
    presets = dict(worker_settings.presets)
    presets["thumb_200"] = msgspec.structs.replace(presets["thumb_200"], recipe=3)
    changed = msgspec.structs.replace(worker_settings, presets=presets)
    said: list[str] = []
    async with (
        followed(changed),
        running(changed, reactor.main, jobs.main),
        opened(open_jobs_runtime, changed) as runtime,
    ):

        async def left() -> list[str]:
            return await outdated(
                runtime.pool, "thumb_200", 3, at_once=True, after="", limit=len(files)
            )

        await until(lambda: _all_of(files, left))
        assert await ask_for_all(runtime, "thumb_200", say=said.append, look_seconds=0.2) >= 3
        await until(lambda: _all_of([], left))
        # The old ones go after the new ones are there.
        for file in files:
            await until(lambda of=file: _has_one(library, of))  # type: ignore[misc]
    assert all(text.startswith("thumb_200: ") for text in said)
    for file in files:
        (new,) = await beside(library, file)
        assert new.endswith("/thumb_200.r3.webp")


async def test_a_preset_that_is_no_more_fails_what_was_asked_for(library: Library) -> None:
    file = await uploaded(library, "image/png")
    derivation = library.runtime.derivation
    await derivation.inspect_file(file.id, library.system())
    await library.runtime.renditions.request(file.id, "avatar_96", "webp", "r")
    derivation._presets = {}
    await derivation.derive(file.id, "avatar_96", "image/webp", library.system())
    assert await library.has(file.id, "rendition_failed")

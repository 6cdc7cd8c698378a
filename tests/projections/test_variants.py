"""The list knows what is in a file, and where its variants are."""

from datetime import timedelta

import pytest

from domain.event import Event
from domain.media_file import MediaFile
from domain.placement_events import VisibilityChanged
from domain.rendition_events import (
    InspectionFailed,
    RenditionFailed,
    RenditionRequested,
    RenditionsRemoved,
)
from projections import file_list, outdated_renditions, unfinished_work
from projections.file_resource import FileResource
from projections.variants import DEVELOPMENT, Variant
from tests.kit.derived import INSPECTED, made
from tests.projections.conftest import Log
from tests.projections.histories import media_id, recorded, uploaded

URL = "https://media.example"
KEY = "ls_a/blog/2026/04/0000000000000001"
FAILED = RenditionFailed(
    preset="avatar_96", recipe=1, format="image/webp", reason="memory", detail="It takes too much."
)
HIDDEN = VisibilityChanged(
    key=f"{KEY}.webp", is_public=False, settles_at=uploaded("t:ls_a", 1)[-1].at
)


async def shown(log: Log, *events: Event) -> FileResource:
    """The file as it is listed after these events, which is as its own events tell it."""
    history = list(uploaded("t:ls_a", 1))
    for event in events:
        last = history[-1]
        at = last.at + timedelta(seconds=1)
        history.append(recorded(last.owner, last.stream, last.version + 1, at, event))
    await log.append(history)
    await log.follow()
    answer = await file_list.by_id(
        log.api, "t:ls_a", media_id(1), public_base_url=URL, variants=DEVELOPMENT
    )
    file = MediaFile.from_history(history)
    assert file is not None
    assert answer.found == FileResource.of(file, public_base_url=URL, variants=DEVELOPMENT)
    return answer.found


async def test_a_file_shows_what_it_is_and_where_its_variants_are(log: Log) -> None:
    file = await shown(log, INSPECTED, made(key=f"{KEY}.webp"), FAILED)
    assert (file.width, file.height, file.processing) == (640, 480, None)
    assert file.sha256 == "ab" * 32
    asked = f"http://127.0.0.1:8789/cdn/{KEY}.webp?variant=og_1200x630"
    assert file.variants == {
        "thumb_200": Variant(f"{URL}/{KEY}/thumb_200.r1.webp", "ready", None),
        "og_1200x630": Variant(asked, "on_demand", None),
        "avatar_96": Variant(None, "failed", "memory"),
    }


async def test_a_file_nobody_could_look_into_says_so(log: Log) -> None:
    file = await shown(log, InspectionFailed(reason="time", detail="It takes too long."))
    assert (file.inspection_error, file.processing, file.width) == ("time", None, None)
    assert {one.status for one in file.variants.values()} == {"failed"}


async def test_a_file_that_became_private_has_no_url_and_its_variants_are_made_anew(
    log: Log,
) -> None:
    file = await shown(log, INSPECTED, made(key=f"{KEY}.webp"), HIDDEN)
    assert file.width == 640
    assert set(file.variants.values()) == {Variant(None, "on_demand", None)}
    again = await log_of_outdated(log)
    assert again == [media_id(1)]


@pytest.mark.parametrize(("recipe", "found"), [(1, []), (2, [media_id(1)])])
async def test_renditions_of_another_recipe_are_found(
    log: Log, recipe: int, found: list[str]
) -> None:
    await shown(log, INSPECTED, made(key=f"{KEY}.webp"))
    assert await log_of_outdated(log, recipe) == found
    assert await outdated_renditions.under_way(log.worker, "thumb_200") == 0


async def log_of_outdated(log: Log, recipe: int = 1) -> list[str]:
    return await outdated_renditions.outdated(
        log.worker, "thumb_200", recipe, at_once=True, after="", limit=10
    )


async def test_what_is_asked_for_is_unfinished_until_it_is_made_or_nobody_wants_it(
    log: Log,
) -> None:
    async def kinds() -> set[str]:
        await log.follow()
        later = uploaded("t:ls_a", 1)[-1].at + timedelta(days=1)
        return {work.kind for work in await unfinished_work.due(log.worker, later, 10)} - {"cache"}

    history = list(uploaded("t:ls_a", 1))

    async def append(event: Event) -> None:
        last = history[-1]
        at = last.at + timedelta(seconds=1)
        history.append(recorded(last.owner, last.stream, last.version + 1, at, event))
        await log.append([history[-1]])

    await log.append(history)
    assert await kinds() == {"inspect"}
    await append(INSPECTED)
    assert await kinds() == set()
    await append(RenditionRequested(preset="thumb_200", recipe=1, format="image/webp"))
    assert await kinds() == {"derive thumb_200 image/webp"}
    assert await outdated_renditions.under_way(log.worker, "thumb_200") == 1
    await append(made(key=f"{KEY}.webp"))
    assert await kinds() == set()
    await append(RenditionRequested(preset="avatar_96", recipe=1, format="image/webp"))
    await append(HIDDEN)
    assert await kinds() == {"place", "inspect", "clear"}
    await append(RenditionsRemoved(keys=(f"{KEY}/thumb_200.r1.webp",)))
    assert await kinds() == {"place", "inspect"}

"""The grid shows thumbnails: no original is loaded where a smaller picture of it exists."""

import pytest
from playwright.async_api import expect

from tests.kit.browser import Visitor, file
from tests.kit.dashboard_files import fill

pytestmark = pytest.mark.timeout(180)
THUMBNAIL = "/thumb_200."
DECODED = "one => one.decode().then(() => one.naturalWidth > 0)"


async def test_pictures_and_videos_show_their_thumbnails_and_no_original_is_loaded(
    visitor: Visitor,
) -> None:
    page = visitor.page
    await fill(visitor.web, visitor.workspace, ["a.png", "b.png"])
    await fill(visitor.web, visitor.workspace, ["c.mp4"], mime_type="video/mp4")
    await fill(visitor.web, visitor.workspace, ["d.pdf"], mime_type="application/pdf")

    async def looked_into() -> bool:
        answer = await page.request.get(f"{visitor.web}/api/media/files")
        made = [one["variants"].get("thumb_200") for one in (await answer.json())["items"]]
        return all(one is None or one["status"] == "ready" for one in made)

    await visitor.open()
    while not await looked_into():
        await page.wait_for_timeout(200)

    for path in ("/dashboard/media", "/dashboard/media/files", "/dashboard/media/files?view=list"):
        visitor.requests.clear()
        await visitor.open(path)
        pictures = page.get_by_role("main").locator("img")
        await expect(pictures).to_have_count(3)
        for place in range(3):
            assert await pictures.nth(place).evaluate(DECODED)
        loaded = {one.url for one in visitor.requests if one.resource_type == "image"}
        assert len(loaded) == 3
        assert [url for url in loaded if THUMBNAIL not in url] == []
        assert [one.url for one in visitor.requests if one.resource_type == "media"] == []

    await visitor.card("c.mp4").click()
    video = page.get_by_role("dialog").locator("video")
    await expect(video).to_be_visible()
    await expect(page.get_by_role("dialog")).to_contain_text("Dimensions")
    await expect(page.get_by_role("dialog")).to_contain_text("Duration")


async def test_a_new_file_gets_its_thumbnail_without_a_reload(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.choose(file("fresh.png"))
    await visitor.uploaded(1)
    picture = visitor.card("fresh.png").locator(f"img[src*='{THUMBNAIL}']")
    await expect(picture).to_be_visible(timeout=60_000)
    # Before it was made, who makes it on demand may have been asked for it.
    visitor.complaints.clear()

"""axe-core finds nothing serious, in light and in dark, on pages and in what opens over them."""

from typing import Literal

import pytest
from playwright.async_api import expect

from tests.kit.browser import Visitor, file
from tests.kit.dashboard_files import fill

pytestmark = pytest.mark.timeout(180)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious(visitor: Visitor, theme: Literal["light", "dark"]) -> None:
    page = visitor.page
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    found: dict[str, list[str]] = {}

    async def look(what: str) -> None:
        found[what] = await visitor.axe()

    await visitor.open()
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()
    await look("empty library")
    await fill(visitor.web, visitor.workspace, ["a.png", "b.png"])
    await fill(visitor.web, visitor.workspace, ["c.mp4"], mime_type="video/mp4")
    await visitor.open("/dashboard/media")
    await expect(page.get_by_role("main")).to_contain_text("user_owner uploaded")
    await look("overview")
    for view in ("", "?view=list"):
        await visitor.open(f"/dashboard/media/files{view}")
        await expect(page.get_by_role("gridcell")).to_have_count(3)
        await page.keyboard.press("ControlOrMeta+a")
        await look(f"library{view} with a selection")
    await visitor.choose(file("d.png"), {"name": "e.txt", "mimeType": "text/plain", "buffer": b"e"})
    await visitor.uploaded(1)
    await look("upload tray")
    await visitor.card("a.png").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Upload completed")
    await look("details")
    await page.get_by_role("button", name="Delete file").click()
    await expect(page.get_by_role("alertdialog")).to_be_visible()
    await look("question")
    await visitor.open("/blog/editor")
    await look("blog editor")
    await page.get_by_role("button", name="Choose a cover image").click()
    await expect(page.get_by_role("button", name="Choose a.png")).to_be_visible()
    await look("picker")
    await visitor.become("guest")
    await visitor.open()
    await look("no permission")
    assert {what: problems for what, problems in found.items() if problems} == {}


async def test_at_200_percent_nothing_has_to_be_scrolled_sideways(visitor: Visitor) -> None:
    await fill(visitor.web, visitor.workspace, ["a-name-that-is-rather-long-for-a-card.png"])
    # What a window of 1280 by 900 pixels has left at 200 %.
    await visitor.page.set_viewport_size({"width": 640, "height": 450})
    for path in ("/dashboard/media", "/dashboard/media/files", "/blog/editor"):
        await visitor.open(path)
        await expect(visitor.page.get_by_role("main")).not_to_be_empty()
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert await visitor.page.evaluate(wide) is False, path

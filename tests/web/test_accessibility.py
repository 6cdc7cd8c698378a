"""axe-core finds nothing serious, in light and in dark, on pages and in what opens over them."""

import re
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
    await page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("button", name="Undo")).to_be_visible()
    await page.get_by_role("button", name="From a link").click()
    await page.get_by_label("Link to a file").fill("no link")
    await page.keyboard.press("Enter")
    await look("undo, and a field with a mistake")
    await visitor.open("/dashboard/media/bin")
    await expect(page.get_by_role("list", name="Deleted files")).to_contain_text("a.png")
    await page.get_by_role("checkbox", name="Select all").click()
    await look("bin")
    await visitor.open("/blog/editor")
    await look("blog editor")
    await page.get_by_role("button", name="Choose a cover image").click()
    await expect(page.get_by_role("button", name="Choose b.png")).to_be_visible()
    await look("picker")
    await visitor.become("guest")
    await visitor.open()
    await look("no permission")
    assert {what: problems for what, problems in found.items() if problems} == {}


async def test_at_200_percent_nothing_has_to_be_scrolled_sideways(visitor: Visitor) -> None:
    await fill(visitor.web, visitor.workspace, ["a-name-that-is-rather-long-for-a-card.png"])
    # What a window of 1280 by 900 pixels has left at 200 %.
    await visitor.page.set_viewport_size({"width": 640, "height": 450})
    for path in (
        "/dashboard/media",
        "/dashboard/media/files",
        "/dashboard/media/bin",
        "/blog/editor",
    ):
        await visitor.open(path)
        await expect(visitor.page.get_by_role("main")).not_to_be_empty()
        wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        assert await visitor.page.evaluate(wide) is False, path


async def test_whoever_wants_no_motion_gets_none(visitor: Visitor) -> None:
    await fill(visitor.web, visitor.workspace, ["still.png"])
    await visitor.open()
    await visitor.card("still.png").click()
    await expect(visitor.page.get_by_role("dialog")).to_be_visible()
    moving = """() => document.getAnimations().filter((one) =>
        Number(one.effect?.getComputedTiming().activeDuration) > 1).length"""
    assert await visitor.page.evaluate(moving) == 0


async def test_a_day_s_work_needs_no_pointer(visitor: Visitor) -> None:
    page, keys = visitor.page, visitor.page.keyboard

    async def reach(label: str) -> None:
        """Press Tab until something of this name has the focus, and shows it."""
        focused = """() => { const one = document.activeElement;
            return `${one.getAttribute("aria-label") ?? one.textContent} ${
                getComputedStyle(one).outlineStyle !== "none"}`; }"""
        for _ in range(60):
            await keys.press("Tab")
            if (await page.evaluate(focused)).startswith(label):
                assert (await page.evaluate(focused)).endswith("true"), label
                return
        raise AssertionError(label)

    names = [f"file-{number}.png" for number in range(4)]
    await fill(visitor.web, visitor.workspace, names, in_order=True)
    await visitor.open("/dashboard/media")
    await reach("Library")
    await keys.press("Enter")
    await visitor.files(*names[::-1])
    await reach("Search by file name")
    async with page.expect_response(lambda answer: "search=file-" in answer.url):
        await keys.type("file-")
    await expect(page).to_have_url(re.compile("search=file-"))
    await visitor.files(*names[::-1])
    await reach("Grid view")
    await keys.press("Tab")
    await expect(visitor.card("file-3.png")).to_be_focused()
    await keys.press("Shift+ArrowRight")
    await keys.press("Delete")
    await expect(page.get_by_role("button", name="Keep")).to_be_focused()
    await keys.press("Tab")
    await keys.press("Enter")
    await visitor.files("file-1.png", "file-0.png")
    await expect(visitor.card("file-1.png")).to_be_focused()
    await keys.press("ControlOrMeta+z")
    await visitor.files(*names[::-1])

    await visitor.open("/blog/editor")
    await reach("Choose a cover image")
    await keys.press("Enter")
    picker = page.get_by_role("dialog", name="Choose a cover image")
    await expect(picker.get_by_role("button", name="Choose file-3.png")).to_be_visible()
    await reach("Choose file-3.png")
    await keys.press("ArrowRight")
    await keys.press("Delete")
    await expect(page.get_by_role("alertdialog")).to_contain_text("file-2.png")
    await keys.press("Escape")
    await expect(picker.get_by_role("button", name="Choose file-2.png")).to_be_focused()
    await keys.press("Delete")
    await expect(page.get_by_role("button", name="Keep")).to_be_focused()
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(picker.get_by_role("button", name="Choose file-1.png")).to_be_focused()
    await keys.press("Enter")
    await expect(page.get_by_role("img", name="file-1.png")).to_be_visible()

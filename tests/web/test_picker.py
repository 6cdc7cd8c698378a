"""The MediaPicker inside another application: the demo page of a blog editor."""

import pytest
from playwright.async_api import expect

from tests.kit.browser import Visitor, file
from tests.kit.dashboard_files import fill

pytestmark = pytest.mark.timeout(180)


async def test_a_cover_is_uploaded_and_an_image_inserted_all_by_id(visitor: Visitor) -> None:
    page = visitor.page
    (inline,) = await fill(visitor.web, visitor.workspace, ["inline.png"])
    await visitor.open("/blog/editor")
    await page.get_by_role("button", name="Choose a cover image").click()
    picker = page.get_by_role("dialog", name="Choose a cover image")
    await picker.get_by_label("Choose files to upload").set_input_files(file("cover.png"))
    await picker.get_by_role("button", name="Choose cover.png").click()
    await expect(picker).to_be_hidden()
    await expect(page.get_by_role("img", name="cover.png")).to_be_visible()

    await page.get_by_label("Title").fill("A day out")
    await page.get_by_label("Paragraph").first.fill("It rained.")
    await page.get_by_role("button", name="Insert an image here").first.click()
    await page.get_by_role("button", name="Choose inline.png").click()
    await expect(page.get_by_role("img", name="inline.png")).to_be_visible()
    stored = page.locator("pre")
    await expect(stored).to_contain_text("A day out")
    await expect(stored).to_contain_text(f'"mediaId": "{inline}"')
    await expect(stored).not_to_contain_text("http")


async def test_it_is_searched_paged_and_used_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    await fill(visitor.web, visitor.workspace, [f"photo-{number:02}.png" for number in range(30)])
    await visitor.open("/blog/editor")
    await page.get_by_role("button", name="Choose a cover image").click()
    picker = page.get_by_role("dialog", name="Choose a cover image")
    cards = picker.get_by_role("button", name="Choose photo")
    await expect(cards).to_have_count(24)
    await picker.get_by_role("button", name="Load more").click()
    await expect(cards).to_have_count(30)

    await picker.get_by_label("Search by file name").fill("photo-0")
    await expect(cards).to_have_count(10)
    await cards.nth(2).hover()
    await expect(page.get_by_role("tooltip")).to_contain_text("KB")
    await cards.first.focus()
    await page.keyboard.press("ArrowRight")
    await expect(cards.nth(1)).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await expect(cards.nth(5)).to_be_focused()
    name = str(await cards.nth(5).get_attribute("aria-label")).removeprefix("Choose ")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("img", name=name)).to_be_visible()


async def test_a_file_is_deleted_from_inside_it_after_a_question(visitor: Visitor) -> None:
    page = visitor.page
    await fill(visitor.web, visitor.workspace, ["keep.png", "drop.png"])
    await visitor.open("/blog/editor")
    await page.get_by_role("button", name="Insert an image here").click()
    picker = page.get_by_role("dialog", name="Insert an image")
    await picker.get_by_role("button", name="Choose drop.png").hover()
    await picker.get_by_role("button", name="Delete drop.png").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    await expect(picker.get_by_role("button", name="Choose drop.png")).to_have_count(0)
    await expect(picker.get_by_role("button", name="Choose keep.png")).to_be_visible()

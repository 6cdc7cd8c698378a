"""What others do to the library shows on the page as it happens."""

from collections.abc import AsyncIterator

import httpx
import pytest
from playwright.async_api import expect

from tests.kit.browser import Visitor
from tests.kit.dashboard_files import fill

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
async def colleague(visitor: Visitor) -> AsyncIterator[httpx.AsyncClient]:
    """An editor of the same workspace."""
    cookies = {"media_person": f"editor.{visitor.workspace}"}
    async with httpx.AsyncClient(
        base_url=f"{visitor.web}/api/media", cookies=cookies, timeout=60
    ) as client:
        yield client


async def live(visitor: Visitor) -> None:
    """Wait until the page listens."""
    async with visitor.page.expect_response("**/api/media/files/events*"):
        await visitor.open()


async def test_files_of_others_come_and_go_without_listing_again(
    visitor: Visitor, colleague: httpx.AsyncClient
) -> None:
    page = visitor.page
    first, second = await fill(
        visitor.web, visitor.workspace, ["one.png", "two.png"], in_order=True
    )
    await live(visitor)
    await visitor.files("two.png", "one.png")
    lists = len(visitor.asked("GET", "/files"))
    await fill(visitor.web, visitor.workspace, ["three.png"])
    await visitor.files("three.png", "two.png", "one.png")

    await visitor.card("one.png").click()
    await expect(page.get_by_role("dialog", name="one.png")).to_be_visible()
    await colleague.delete(f"/files/{first}")
    await expect(page.get_by_text("“one.png” was deleted meanwhile.").first).to_be_visible()
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await colleague.delete(f"/files/{second}")
    await visitor.files("three.png")
    assert len(visitor.asked("GET", "/files")) == lists

    await colleague.post(f"/files/{second}/restore")
    await visitor.files("three.png", "two.png")


async def test_what_one_deletes_oneself_is_no_news(visitor: Visitor) -> None:
    page = visitor.page
    await fill(visitor.web, visitor.workspace, ["mine.png", "kept.png"])
    await live(visitor)
    await visitor.card("mine.png").focus()
    await page.keyboard.press("Delete")
    await page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    await visitor.files("kept.png")
    await fill(visitor.web, visitor.workspace, ["after.png"])
    await visitor.files("after.png", "kept.png")
    await expect(page.get_by_text("was deleted meanwhile")).to_have_count(0)

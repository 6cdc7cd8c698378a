"""Deleting is no loss: undo, the bin, and out of the bin for good."""

import re

import httpx
import pytest
from playwright.async_api import expect

from tests.kit.browser import Visitor
from tests.kit.dashboard_files import fill

pytestmark = pytest.mark.timeout(180)
BIN = "/dashboard/media/bin"


async def test_ten_files_selected_with_shift_are_deleted_and_come_back(visitor: Visitor) -> None:
    page = visitor.page
    names = [f"photo-{number:02}.png" for number in range(12)]
    await fill(visitor.web, visitor.workspace, names, in_order=True)
    await visitor.open("/dashboard/media/files?sort=fileName")
    await visitor.card("photo-01.png").get_by_role("checkbox").click()
    await visitor.card("photo-10.png").click(modifiers=["Shift"])
    bar = page.get_by_role("region", name="Selected files")
    await expect(bar).to_contain_text("10 selected")
    await bar.get_by_role("button", name="Delete").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Delete 10").click()
    toast = page.get_by_role("status").filter(has_text="Deleted 10 files.").last
    await expect(toast).to_be_visible()
    await expect(page.get_by_role("gridcell")).to_have_count(2)

    await page.get_by_role("button", name="Undo").click()
    # What is said goes away after a while, the files stay.
    await expect(page.get_by_text("10 files are back.").first).to_be_visible()
    await visitor.files(*names)
    assert len(visitor.asked("POST", "/files/bulk-delete")) == 1
    assert len(visitor.asked("POST", "/undo")) == 1
    await page.reload()
    await visitor.files(*names)


async def test_control_z_takes_the_last_delete_back(visitor: Visitor) -> None:
    page = visitor.page
    await fill(visitor.web, visitor.workspace, ["oops.png"])
    await visitor.open()
    await visitor.card("oops.png").focus()
    await page.keyboard.press("Delete")
    await page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()
    await page.keyboard.press("ControlOrMeta+z")
    await visitor.files("oops.png")


async def test_files_are_brought_back_from_the_bin_or_removed_for_good(visitor: Visitor) -> None:
    page = visitor.page
    names = ["back.png", "gone.png", "later.png"]
    ids = await fill(visitor.web, visitor.workspace, names)
    cookies = {"media_person": f"editor.{visitor.workspace}"}
    async with httpx.AsyncClient(
        base_url=f"{visitor.web}/api/media", cookies=cookies, timeout=60
    ) as editor:
        deleted = await editor.post("/files/bulk-delete", json={"ids": ids})
    assert len(deleted.json()["deleted"]) == len(names)

    await visitor.open(BIN)
    rows = page.get_by_role("list", name="Deleted files").get_by_role("listitem")
    await expect(rows).to_have_count(3)
    row = rows.filter(has_text="back.png")
    await expect(row).to_contain_text("deleted just now by user_789")
    await expect(row).to_contain_text(re.compile(r"Gone in \d+ days"))
    assert await visitor.axe() == []

    await row.get_by_role("button", name="Restore back.png").click()
    await expect(rows).to_have_count(2)
    await page.get_by_role("button", name="Delete gone.png for good").click()
    question = page.get_by_role("alertdialog")
    await expect(question).to_contain_text("Nobody can bring it back")
    await question.get_by_role("button", name="Delete for good").click()
    await expect(rows).to_have_count(1)
    await page.get_by_role("link", name="Library").click()
    await visitor.files("back.png")

    await visitor.become("editor")
    await visitor.open(BIN)
    await expect(rows).to_have_count(1)
    await expect(page.get_by_role("button", name="Delete later.png for good")).to_have_count(0)
    await page.get_by_role("checkbox", name="Select all").click()
    await page.get_by_role("button", name="Restore selected").click()
    await expect(page.get_by_text("The bin is empty")).to_be_visible()

    await visitor.become("reader")
    await visitor.open(BIN)
    await expect(page.get_by_text("The bin is for those who may delete")).to_be_visible()
    await expect(page.get_by_role("link", name="Bin")).to_have_count(0)

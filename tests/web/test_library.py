"""The Library as people use it: finding, selecting, looking closely, deleting."""

import re

import httpx
import pytest
from playwright.async_api import expect

from tests.kit.browser import Visitor, file
from tests.kit.dashboard_files import fill

pytestmark = pytest.mark.timeout(180)
NAMES = [f"file-{number}.png" for number in range(6)]
SHOWN = NAMES[::-1]
"""Newest first."""


@pytest.fixture
async def ids(visitor: Visitor) -> list[str]:
    """Six files; the visitor looks at them."""
    made = await fill(visitor.web, visitor.workspace, NAMES, in_order=True)
    await visitor.open()
    await visitor.files(*SHOWN)
    return made


async def selected(visitor: Visitor, *names: str) -> None:
    """Wait until exactly these are selected."""
    chosen = visitor.page.locator("[role=gridcell][aria-selected=true]")
    await expect(chosen).to_have_count(len(names))
    for name in names:
        await expect(visitor.card(name)).to_have_attribute("aria-selected", "true")


async def test_files_are_found_by_name_type_and_service_and_the_address_says_so(
    visitor: Visitor,
) -> None:
    await fill(visitor.web, visitor.workspace, ["Größe.png", "other.png"])
    await fill(visitor.web, visitor.workspace, ["Größe.mp4"], mime_type="video/mp4")
    await fill(
        visitor.web,
        visitor.workspace,
        ["paper.pdf"],
        mime_type="application/pdf",
        service="newsletter",
    )
    await visitor.open()
    await expect(visitor.page.get_by_role("gridcell")).to_have_count(4)

    await visitor.page.get_by_label("Search by file name").fill("GRÖSSE")
    await expect(visitor.page.get_by_role("gridcell")).to_have_count(2)
    await visitor.page.get_by_role("radio", name="Videos").click()
    await visitor.files("Größe.mp4")
    await expect(visitor.page).to_have_url(re.compile("type=video"))
    await visitor.page.reload()
    await visitor.files("Größe.mp4")
    await expect(visitor.page.get_by_label("Search by file name")).to_have_value("GRÖSSE")

    await visitor.page.get_by_label("Search by file name").fill("nowhere")
    await visitor.page.get_by_role("button", name="Show all files").click()
    await expect(visitor.page.get_by_role("gridcell")).to_have_count(4)
    await visitor.page.get_by_label("Service").select_option("newsletter")
    await visitor.files("paper.pdf")
    await visitor.page.get_by_label("Service").select_option("")
    await visitor.page.get_by_label("Order").select_option("fileName")
    await visitor.files("Größe.mp4", "Größe.png", "other.png", "paper.pdf")


async def test_a_range_is_selected_in_list_order_and_deleted_together(
    visitor: Visitor, ids: list[str]
) -> None:
    await visitor.card("file-4.png").click(modifiers=["ControlOrMeta"])
    await visitor.card("file-1.png").click(modifiers=["Shift"])
    await selected(visitor, "file-4.png", "file-3.png", "file-2.png", "file-1.png")
    await visitor.card("file-2.png").get_by_role("checkbox").click()
    await selected(visitor, "file-4.png", "file-3.png", "file-1.png")
    await visitor.page.keyboard.press("Escape")
    await selected(visitor)
    await visitor.page.keyboard.press("ControlOrMeta+a")
    await selected(visitor, *NAMES)
    await visitor.card("file-5.png").click(modifiers=["ControlOrMeta"])

    bar = visitor.page.get_by_role("region", name="Selected files")
    await expect(bar).to_contain_text("05 selected")
    await bar.get_by_role("button", name="Delete").click()
    question = visitor.page.get_by_role("alertdialog")
    await expect(question).to_contain_text("Delete 5 files?")
    await question.get_by_role("button", name="Keep").click()
    await selected(visitor, *NAMES[:5])

    await bar.get_by_role("button", name="Delete").click()
    await question.get_by_role("button", name="Delete 5").click()
    # What is said goes away after a while, the files stay away.
    await expect(visitor.page.get_by_text("Deleted 5 files.").first).to_be_visible()
    await visitor.files("file-5.png")
    assert len(visitor.asked("POST", "/files/bulk-delete")) == 1
    await visitor.page.reload()
    await visitor.files("file-5.png")


async def test_everything_works_by_keyboard(visitor: Visitor, ids: list[str]) -> None:
    page = visitor.page
    await page.get_by_role("radio", name="List view").focus()
    await page.keyboard.press("Tab")
    await expect(visitor.card("file-5.png")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Space")
    await page.keyboard.press("Shift+ArrowRight")
    await selected(visitor, "file-4.png", "file-3.png")
    await page.keyboard.press("End")
    await expect(visitor.card("file-1.png")).to_be_focused()
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")
    sheet = page.get_by_role("dialog", name="file-5.png")
    await expect(sheet).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(sheet).to_be_hidden()
    await expect(visitor.card("file-5.png")).to_be_focused()
    await selected(visitor, "file-4.png", "file-3.png")
    await page.keyboard.press("Delete")
    await expect(page.get_by_role("button", name="Keep")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await visitor.files("file-5.png", "file-2.png", "file-1.png", "file-0.png")


async def test_the_details_show_all_and_step_through_the_list(
    visitor: Visitor, ids: list[str]
) -> None:
    page = visitor.page
    await visitor.card("file-3.png").click()
    sheet = page.get_by_role("dialog")
    await expect(sheet).to_contain_text("image/png")
    await expect(sheet).to_contain_text(ids[3])
    await expect(sheet).to_contain_text("Upload completed")
    await expect(sheet.get_by_role("img", name="file-3.png")).to_be_visible()

    await sheet.get_by_role("button", name="Markdown").click()
    copied = r"/^!\[file-3\.png\]\(http:\/\/127\.0\.0\.1:\d+\/\S+\.png\)$/"
    await page.wait_for_function(f"async () => {copied}.test(await navigator.clipboard.readText())")
    await sheet.get_by_role("button", name="Copy id").click()
    await page.wait_for_function(f"async () => await navigator.clipboard.readText() === '{ids[3]}'")
    async with page.expect_download() as download:
        await sheet.get_by_role("link", name="Download").click()
    assert (await download.value).suggested_filename == "file-3.png"

    await sheet.get_by_role("button", name="Next file").click()
    await expect(page.get_by_role("dialog", name="file-2.png")).to_be_visible()
    await expect(page).to_have_url(re.compile(ids[2]))
    await visitor.card("file-5.png").click()
    await expect(page.get_by_role("dialog", name="file-5.png")).to_be_visible()
    await page.get_by_role("dialog").get_by_role("button", name="Delete file").click()
    await page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
    await visitor.files(*SHOWN[1:])
    await expect(page.get_by_role("dialog")).to_be_hidden()


async def test_a_file_that_somebody_else_deleted_leaves_and_says_so(
    visitor: Visitor, ids: list[str]
) -> None:
    cookies = {"media_person": f"editor.{visitor.workspace}"}
    async with httpx.AsyncClient(base_url=visitor.web, cookies=cookies, timeout=60) as colleague:
        (await colleague.delete(f"/api/media/files/{ids[2]}")).raise_for_status()
    await expect(visitor.page.get_by_text("was deleted meanwhile").first).to_be_visible()
    await visitor.files("file-5.png", "file-4.png", "file-3.png", "file-1.png", "file-0.png")


async def test_scrolling_loads_page_after_page_and_draws_only_what_is_near(
    visitor: Visitor,
) -> None:
    await fill(visitor.web, visitor.workspace, [f"many-{number:03}.png" for number in range(150)])
    await visitor.open("/dashboard/media/files?sort=fileName")
    await expect(visitor.card("many-000.png")).to_be_visible()
    assert len(visitor.asked("GET", "/files")) == 1
    while not await visitor.card("many-149.png").is_visible():
        await visitor.page.mouse.wheel(0, 2500)
        await visitor.page.wait_for_timeout(100)
    await expect(visitor.page.get_by_text("End of the library")).to_be_visible()
    assert len(visitor.asked("GET", "/files")) == 3
    assert await visitor.page.get_by_role("gridcell").count() < 100
    await expect(visitor.page.get_by_role("heading", name="02 — Library")).to_be_attached()


async def test_another_workspace_sees_nothing_and_roles_see_what_they_may(
    visitor: Visitor, ids: list[str]
) -> None:
    page = visitor.page
    await visitor.become("neighbour", "ls_elsewhere")
    await visitor.open()
    await expect(page.get_by_text("Nothing here yet")).to_be_visible()
    await visitor.open(f"/dashboard/media/files?file={ids[0]}")
    await expect(page.get_by_text("was deleted meanwhile").first).to_be_visible()
    visitor.complaints.clear()

    await visitor.become("reader")
    await visitor.open()
    await visitor.files(*SHOWN)
    await expect(page.get_by_role("button", name="Choose files")).to_have_count(0)
    await expect(page.get_by_role("checkbox")).to_have_count(0)
    await expect(page.get_by_role("button", name=re.compile("^Delete"))).to_have_count(0)

    await visitor.become("guest")
    await visitor.open()
    await expect(page.get_by_text("You may not see this workspace's media")).to_be_visible()
    assert visitor.complaints == []


async def test_the_person_is_chosen_in_the_switch(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.page.get_by_label("Who you are").select_option("guest")
    await expect(visitor.page.get_by_text("You may not see")).to_be_visible()
    await visitor.page.get_by_label("Who you are").select_option("editor")
    await expect(visitor.page.get_by_role("heading", name="Your media, organized.")).to_be_visible()


async def test_when_the_service_fails_the_page_says_so_and_tries_again_on_demand(
    visitor: Visitor,
) -> None:
    await visitor.page.route("**/api/media/files?*", lambda route: route.fulfill(status=400))
    await visitor.open()
    await expect(visitor.page.get_by_role("alert")).to_contain_text("could not be loaded")
    await visitor.page.unroute("**/api/media/files?*")
    await visitor.page.get_by_role("button", name="Try again").click()
    await expect(visitor.page.get_by_text("Nothing here yet")).to_be_visible()
    visitor.complaints.clear()


async def test_a_new_file_appears_on_top_without_asking_for_the_list_again(
    visitor: Visitor, ids: list[str]
) -> None:
    asked = len(visitor.asked("GET", "/files"))
    await visitor.choose(file("newest.png"))
    await visitor.files("newest.png", *SHOWN)
    assert len(visitor.asked("GET", "/files")) == asked

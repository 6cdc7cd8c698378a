"""Uploading in the dashboard: by button, drop and paste, and when something fails."""

import re
from typing import Any

import pytest
from playwright.async_api import Route, expect

from tests.kit.browser import Visitor, file
from tests.kit.http_source import HttpSource, response
from tests.kit.samples import sample

pytestmark = pytest.mark.timeout(180)
BUCKET = re.compile(r"X-Amz-Signature")


async def test_files_arrive_by_button_by_drop_and_by_paste(visitor: Visitor) -> None:
    await visitor.open()
    await expect(visitor.page.get_by_text("Nothing here yet")).to_be_visible()

    await visitor.choose(file("by-button.png"), file("clip.mp4", "video/mp4"))
    await visitor.uploaded(2)
    await visitor.hand_over("drop", "main", file("by-drop.webp", "image/webp"))
    await visitor.uploaded(3)
    await visitor.hand_over("paste", "body", file("by-paste.pdf", "application/pdf"))
    await visitor.uploaded(4)

    for name in ("by-button.png", "clip.mp4", "by-drop.webp", "by-paste.pdf"):
        await expect(visitor.card(name)).to_be_visible()
    await visitor.page.reload()
    await expect(visitor.page.get_by_role("gridcell")).to_have_count(4)
    picture = visitor.card("by-button.png").locator("img")
    assert await picture.evaluate("one => one.decode().then(() => one.naturalWidth)") == 64
    # Of a video a picture is shown, as soon as one can be made: never the video itself.
    sources = "all => all.map((one) => one.src).filter((src) => !src.includes('thumb_200'))"
    assert await visitor.card("clip.mp4").locator("img").evaluate_all(sources) == []
    assert await visitor.card("by-paste.pdf").locator("img").count() == 0


async def test_what_cannot_be_uploaded_says_why_before_a_byte_moves(visitor: Visitor) -> None:
    await visitor.open()
    await visitor.hand_over(
        "drop",
        "main",
        {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"hello"},
        {"name": "huge.png", "mimeType": "image/png", "buffer": bytes(10 * 1024 * 1024 + 1)},
        {"name": "empty.png", "mimeType": "image/png", "buffer": b""},
    )
    tray = visitor.page.get_by_role("region", name="Uploads", exact=True)
    await expect(tray).to_contain_text("This type (text/plain) is not accepted.")
    await expect(tray).to_contain_text("The file is larger than the 10 MB allowed.")
    await expect(tray).to_contain_text("The file is empty.")
    assert visitor.asked("POST", "/upload/presign") == []


async def test_a_put_that_breaks_off_is_repeated_twice_and_can_be_retried(
    visitor: Visitor,
) -> None:
    broken = True

    async def bucket(route: Route) -> None:
        if broken and route.request.method == "PUT":
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await visitor.page.route(BUCKET, bucket)
    await visitor.open()
    await visitor.choose(file("stubborn.png"))
    tray = visitor.page.get_by_role("region", name="Uploads", exact=True)
    await expect(tray).to_contain_text("The connection to the storage broke off.")
    puts = [one for one in visitor.requests if one.method == "PUT"]
    assert len(puts) == 3

    broken = False
    await tray.get_by_role("button", name="Retry stubborn.png").click()
    await visitor.uploaded(1)
    await visitor.files("stubborn.png")
    assert len(visitor.asked("POST", "/upload/presign")) == 1
    assert visitor.complaints
    visitor.complaints.clear()


async def test_an_expired_upload_says_so_and_begins_anew_with_another_key(
    visitor: Visitor,
) -> None:
    refused = False

    async def bucket(route: Route) -> None:
        nonlocal refused
        if refused or route.request.method != "PUT":
            await route.continue_()
            return
        refused = True
        headers = {"access-control-allow-origin": visitor.web}
        await route.fulfill(status=403, headers=headers, body="<Error/>")

    await visitor.page.route(BUCKET, bucket)
    await visitor.open()
    await visitor.choose(file("late.png"))
    tray = visitor.page.get_by_role("region", name="Uploads", exact=True)
    await expect(tray).to_contain_text("Upload expired, please try again.")
    await tray.get_by_role("button", name="Retry late.png").click()
    await visitor.uploaded(1)
    keys = [one.headers["idempotency-key"] for one in visitor.asked("POST", "/upload/presign")]
    assert len(set(keys)) == 2
    visitor.complaints.clear()


async def test_an_upload_waits_while_the_service_is_away_and_goes_on_by_itself(
    visitor: Visitor,
) -> None:
    away = True

    async def service(route: Route) -> None:
        if away:
            await route.abort("connectionrefused")
        else:
            await route.continue_()

    await visitor.open()
    await visitor.page.route("**/api/media/**", service)
    await visitor.choose(file("patient.png"))
    tray = visitor.page.get_by_role("region", name="Uploads", exact=True)
    await expect(tray).to_contain_text("Waiting for the service", timeout=30_000)
    away = False
    await visitor.uploaded(1)
    await visitor.files("patient.png")
    visitor.complaints.clear()


async def test_the_tray_survives_navigation_and_an_upload_can_be_cancelled(
    visitor: Visitor,
) -> None:
    held: list[Route] = []

    async def bucket(route: Route) -> Any:
        if route.request.method == "PUT":
            held.append(route)
        else:
            await route.continue_()

    await visitor.page.route(BUCKET, bucket)
    await visitor.open()
    await visitor.choose(file("first.png"), file("second.png"))
    tray = visitor.page.get_by_role("region", name="Uploads", exact=True)
    await expect(tray.get_by_role("progressbar")).to_have_count(2)
    while len(held) < 2:
        await visitor.page.wait_for_timeout(50)
    await visitor.page.get_by_role("link", name="Overview").click()
    await expect(visitor.page.get_by_role("heading", name="Your media, organized.")).to_be_visible()
    async with visitor.page.expect_response(
        lambda answer: answer.request.method == "DELETE" and answer.ok
    ):
        await tray.get_by_role("button", name="Cancel second.png").click()
    await expect(tray).to_contain_text("Cancelled")
    for route in held:
        await route.continue_()
    await visitor.uploaded(1)
    await expect(visitor.page.get_by_role("main")).to_contain_text("first.png")
    await expect(visitor.page.get_by_role("definition").first).to_have_text("01")


async def test_a_pasted_link_is_fetched_and_one_that_may_not_be_says_why(
    visitor: Visitor, source: HttpSource
) -> None:
    page = visitor.page
    source.answers["/hero.png?size=2"] = response(
        sample("image/png"), headers=[("Content-Type", "image/png")]
    )
    await visitor.open()
    paste = """(text) => {
        const data = new DataTransfer();
        data.setData("text/plain", text);
        const options = { bubbles: true, cancelable: true, clipboardData: data };
        document.body.dispatchEvent(new ClipboardEvent("paste", options));
    }"""
    await page.evaluate(paste, f" {source.url('/hero.png?size=2')}\n")
    await visitor.uploaded(1)
    await visitor.files("hero.png")

    await page.get_by_role("button", name="From a link").click()
    field = page.get_by_label("Link to a file")
    await field.fill("no link")
    await field.press("Enter")
    await expect(page.get_by_text("That is no link.")).to_be_visible()
    await field.fill("http://127.0.0.1:1/inside.png")
    await field.press("Enter")
    tray = page.get_by_role("region", name="Uploads", exact=True)
    await expect(tray.get_by_role("listitem").first).to_contain_text("inside.png")
    await expect(tray.get_by_role("heading")).to_have_text("01 failed")
    await visitor.files("hero.png")
    # The browser shows every refusal in red, this one too.
    assert all("400" in one for one in visitor.complaints)
    visitor.complaints.clear()

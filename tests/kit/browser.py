"""A headless Chromium, and one person in it, for tests that use the dashboard as people do."""

import base64
import ctypes.util
import functools
import json
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import (
    Browser,
    BrowserContext,
    FilePayload,
    Page,
    Request,
    async_playwright,
    expect,
)

from tests.kit.samples import sample
from tests.kit.servers import exclusively
from workers.dashboard import WEB, node_with_packages

UNPACKED = WEB / "node_modules" / ".cache" / "chromium"
"""The package brings Chromium packed, and unpacks it where temporary files go."""
UNPACK = """
import chromium from "@sparticuz/chromium";
console.log(JSON.stringify(await chromium.executablePath()));
"""
ARGUMENTS = ("--headless=shell", "--no-sandbox", "--disable-gpu", "--font-render-hinting=none")


def chromium() -> tuple[str, dict[str, str]]:
    """The program, and the environment it needs; unpacked at the first use."""
    node = node_with_packages()
    UNPACKED.mkdir(parents=True, exist_ok=True)
    environment = node.environment() | {"TMPDIR": str(UNPACKED)}
    if ctypes.util.find_library("nss3") is None:
        # Then the package unpacks the libraries too; it asks whether it runs where they lack.
        environment |= {"AWS_LAMBDA_JS_RUNTIME": "nodejs22.x"}
        environment["LD_LIBRARY_PATH"] = str(UNPACKED / "al2023" / "lib")
    with exclusively(UNPACKED / "lock"):
        asked = subprocess.run(
            [str(node.folder / "node"), "--input-type=module", "--eval", UNPACK],
            cwd=WEB,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
    return json.loads(asked.stdout), environment


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    """A browser, until the end of the block."""
    program, environment = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=list(ARGUMENTS), env=dict(environment)
        )
        yield browser
        await browser.close()


@functools.cache
def axe_core() -> str:
    """Its source; installed with the other packages of web/."""
    return (WEB / "node_modules" / "axe-core" / "axe.min.js").read_text()


def file(name: str, mime_type: str = "image/png") -> FilePayload:
    """A real file of the type, to choose, drop or paste."""
    return {"name": name, "mimeType": mime_type, "buffer": sample(mime_type)}


def _not_made_yet(message: Any) -> bool:
    """Whether a browser says in red that a rendition is still being made.

    The page waits for the news of a new file's picture; of an older file's whose preset changed
    it shows the symbol and tries again, and no page can keep a browser from saying so.
    """
    asked = urlsplit(message.location.get("url", ""))
    return (
        asked.path.startswith("/cdn/")
        and asked.query.startswith("variant=")
        and "status of 409" in message.text
    )


class Visitor:
    """One person at the dashboard, in a workspace of their own."""

    def __init__(self, context: BrowserContext, page: Page, *, web: str, workspace: str) -> None:
        self.context, self.page, self.web, self.workspace = context, page, web, workspace
        self.complaints: list[str] = []
        """What the console showed in red."""
        self.requests: list[Request] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        # A method of a list has no room for what Playwright notes on a listener.
        page.on("request", lambda request: self.requests.append(request))  # noqa: PLW0108

    def _heard(self, message: Any) -> None:
        if message.type == "error" and not _not_made_yet(message):
            self.complaints.append(f"{message.text} {message.location.get('url', '')}".rstrip())

    async def become(self, person: str, workspace: str | None = None) -> None:
        """Be this person from the next page on."""
        value = f"{person}.{workspace or self.workspace}"
        await self.context.add_cookies([{"name": "media_person", "value": value, "url": self.web}])

    async def open(self, path: str = "/dashboard/media/files") -> None:
        await self.page.goto(self.web + path)
        await expect(self.page.locator("#page")).not_to_be_empty()

    async def choose(self, *files: FilePayload) -> None:
        """Upload by the page's button."""
        await self.page.get_by_label("Choose files to upload").first.set_input_files(list(files))

    async def hand_over(self, event: str, target: str, *files: FilePayload) -> None:
        """Drop or paste files onto the element, as the browser tells a page of it."""
        plain = [{**one, "buffer": base64.b64encode(one["buffer"]).decode()} for one in files]
        await self.page.evaluate(
            """([event, target, files]) => {
                const data = new DataTransfer();
                for (const { name, mimeType, buffer } of files)
                    data.items.add(new File(
                        [Uint8Array.from(atob(buffer), (one) => one.charCodeAt(0))],
                        name,
                        { type: mimeType },
                    ));
                const at = document.querySelector(target);
                const options = { bubbles: true, cancelable: true };
                const pasted = new ClipboardEvent("paste", { ...options, clipboardData: data });
                if (event === "paste") at.dispatchEvent(pasted);
                else for (const name of ["dragenter", "dragover", event])
                    at.dispatchEvent(new DragEvent(name, { ...options, dataTransfer: data }));
            }""",
            [event, target, plain],
        )

    async def uploaded(self, count: int) -> None:
        """Wait until the tray says that so many have arrived."""
        tray = self.page.get_by_role("region", name="Uploads", exact=True)
        await expect(tray.get_by_role("heading")).to_have_text(f"{count:02} uploaded")

    async def files(self, *names: str) -> None:
        """Wait until the Library shows exactly these, in this order."""
        shown = self.page.get_by_role("gridcell")
        await expect(shown).to_have_count(len(names))
        for place, name in enumerate(names):
            await expect(shown.nth(place)).to_contain_text(name)

    def card(self, name: str) -> Any:
        """The Library's card of a file."""
        return self.page.get_by_role("gridcell").filter(has_text=name)

    def asked(self, method: str, ending: str) -> Sequence[Request]:
        """The requests so far of this method whose path ends so."""
        return [
            one
            for one in self.requests
            if one.method == method
            and urlsplit(one.url).path.startswith("/api/media/")
            and urlsplit(one.url).path.endswith(ending)
        ]

    async def axe(self) -> list[str]:
        """What axe-core finds serious or worse on the page as it is."""
        # Evaluated, since the page's own policy lets no other script in.
        await self.page.evaluate(axe_core())
        found = await self.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found["violations"]
            if one["impact"] in {"serious", "critical"}
        ]

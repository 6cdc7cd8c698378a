"""`python -m bench.scrolling`: what the browser's main thread does while 100,000 files scroll by.

Headless Chromium draws in software, on the processors that the service and the database use too.
Pictures are of one kind, served by the test, so that the page alone is measured.
"""

import argparse
import asyncio
import base64
import contextlib
import io
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import psycopg
from playwright.async_api import Page, Route, async_playwright, expect

from bench.kit import Report, command
from bench.listing import FILL, ODD
from projections.folded_name import search_text
from tests.kit.browser import ARGUMENTS, Visitor, chromium
from tests.kit.samples import sample
from tests.kit.up import Up

FILES = 100_000
LONG_MS = 50
"""W3C Long Tasks: what takes longer, a person notices."""
WORKSPACE = "ls_scrolled"
PERSON, FLICK = 3_000, 10_000
"""Pixels a second: a wheel that is turned without a pause, and a trackpad that was thrown."""
STEP_SECONDS = 0.05
NAMED = ("Layout", "UpdateLayoutTree", "PrePaint", "Paint", "Layerize", "Commit", "FunctionCall")
"""Events of Chromium's timeline, inside its tasks."""
SETTLING_SECONDS = 2
CATEGORIES = "toplevel,devtools.timeline,disabled-by-default-devtools.timeline"


class Event(msgspec.Struct):
    """One of Chromium's trace; times in microseconds."""

    name: str
    ph: str
    pid: int
    tid: int
    ts: float
    dur: float = 0
    args: dict[str, object] = {}


class Tasks(msgspec.Struct):
    """What the main thread of a page did, in milliseconds."""

    tasks: list[float]
    inside: dict[str, float]
    """By name of the event."""

    @property
    def long(self) -> list[float]:
        return [one for one in self.tasks if one > LONG_MS]


@asynccontextmanager
async def library() -> AsyncIterator[Page]:
    """A page that shows the first of the files."""
    with tempfile.TemporaryDirectory(prefix="media-bench-") as folder:
        up = Up(Path(folder) / "home", "--ephemeral", web=True)
        try:
            up.until_ready()
            await _fill(str(up.run["database"]))
            program, environment = chromium()
            async with async_playwright() as playwright:
                browser = await playwright.chromium.launch(
                    executable_path=program, args=list(ARGUMENTS), env=dict(environment)
                )
                context = await browser.new_context(viewport={"width": 1440, "height": 900})
                page = await context.new_page()
                visitor = Visitor(context, page, web=str(up.run["web"]), workspace=WORKSPACE)
                await visitor.become("owner")
                for pattern in ("**/cdn/**", "**/key/**"):
                    await page.route(pattern, _picture)
                await visitor.open()
                await expect(page.get_by_role("gridcell").first).to_be_visible()
                yield page
                await browser.close()
        finally:
            with contextlib.redirect_stdout(io.StringIO()):
                up.end()


async def _fill(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        parameters = {"owner": f"t:{WORKSPACE}", "files": FILES}
        parameters |= {"odd": ODD, "even": search_text(ODD)}
        await connection.execute(FILL, parameters)
        await connection.execute("VACUUM ANALYZE file_list_v2")


async def _picture(route: Route) -> None:
    await route.fulfill(
        body=sample("image/png"), content_type="image/png", headers={"cache-control": "max-age=600"}
    )


async def scrolled(page: Page, speed: int, seconds: float) -> Tasks:
    """What it takes to scroll so many pixels a second for so long."""
    session = await page.context.new_cdp_session(page)
    done = asyncio.Event()
    handle = ""

    def complete(told: dict[str, str]) -> None:
        nonlocal handle
        handle = told["stream"]
        done.set()

    session.on("Tracing.tracingComplete", complete)
    await session.send(
        "Tracing.start", {"categories": CATEGORIES, "transferMode": "ReturnAsStream"}
    )
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while (now := loop.time()) < end:
        await page.mouse.wheel(0, speed * STEP_SECONDS)
        await asyncio.sleep(max(0, now + STEP_SECONDS - loop.time()))
    await session.send("Tracing.end")
    await done.wait()
    parts = []
    while True:
        part = await session.send("IO.read", {"handle": handle})
        data = part["data"]
        parts.append(base64.b64decode(data) if part.get("base64Encoded") else data.encode())
        if part["eof"]:
            break
    await session.detach()
    return _tasks(b"".join(parts))


class _Trace(msgspec.Struct):
    traceEvents: list[Event]  # noqa: N815 - theirs


def _tasks(trace: bytes) -> Tasks:
    events = msgspec.json.decode(trace, type=_Trace).traceEvents
    threads = {
        (one.pid, one.tid)
        for one in events
        if one.name == "thread_name" and one.args.get("name") == "CrRendererMain"
    }
    ours = [one for one in events if (one.pid, one.tid) in threads and one.ph == "X"]
    # Of the renderers only that of the page lays out.
    pid = max(threads, key=lambda thread: sum(thread == (one.pid, one.tid) for one in ours))
    inside = dict.fromkeys(NAMED, 0.0)
    tasks = []
    for one in ours:
        if (one.pid, one.tid) != pid:
            continue
        if one.name == "RunTask":
            tasks.append(one.dur / 1000)
        elif one.name in inside:
            inside[one.name] += one.dur / 1000
    return Tasks(tasks, inside)


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goals were reached."""
    report = Report("Scrolling")
    seconds = 3.0 if arguments.quick else 15.0
    async with library() as page:
        await scrolled(page, PERSON, SETTLING_SECONDS)
        wheel = await scrolled(page, PERSON, seconds)
        flick = await scrolled(page, FLICK, seconds)
    rows: list[list[str | float]] = [
        ["tasks a second", *(len(one.tasks) / seconds for one in (wheel, flick))],
        [f"of these over {LONG_MS} ms", *(len(one.long) / seconds for one in (wheel, flick))],
        ["longest, ms", *(max(one.tasks) for one in (wheel, flick))],
        ["busy, ms a second", *(sum(one.tasks) / seconds for one in (wheel, flick))],
    ]
    rows += [
        [f"{name}, ms a second", *(one.inside[name] / seconds for one in (wheel, flick))]
        for name in NAMED
    ]
    header = ["", f"a wheel, {PERSON:,} px/s", f"a flick, {FLICK:,} px/s"]
    report.table(f"The main thread, {FILES:,} files", header, rows)
    report.goal("Longest task of a wheel", max(wheel.tasks), limit=LONG_MS, unit="ms", at_most=True)
    return report.finish("scrolling", write=arguments.report)


def main() -> int:
    """Read the command line and run."""
    return command(run, __doc__, quick="three seconds of each")


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench.scrolling`: what the browser's main thread does while 100,000 files scroll by.

Headless Chromium draws in software, on the processors that the service and the database use too.
Pictures are of one kind, served by the test, so that the page alone is measured.
"""

import argparse
import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import psycopg
from playwright.async_api import Browser, Page, Route, expect

from bench.http_stand import service
from bench.kit import Report, command
from bench.listing import fill
from tests.kit.browser import Visitor, launched
from tests.kit.samples import sample

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
CATEGORIES = ("toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline")


class Tasks(msgspec.Struct):
    """What the main thread of a page did, in milliseconds."""

    tasks: list[float]
    inside: dict[str, float]
    """By name of the event."""

    @property
    def long(self) -> list[float]:
        return [one for one in self.tasks if one > LONG_MS]


class Event(msgspec.Struct):
    """One of Chromium's trace; times in microseconds."""

    name: str
    ph: str
    pid: int
    tid: int
    dur: float = 0
    args: dict[str, object] = {}

    @property
    def thread(self) -> tuple[int, int]:
        return self.pid, self.tid


class Trace(msgspec.Struct, rename="camel"):
    """As Chromium writes it."""

    trace_events: list[Event]


@asynccontextmanager
async def library() -> AsyncIterator[tuple[Browser, Page]]:
    """A page that shows the first of the files."""
    with service(web=True) as up:
        async with await psycopg.AsyncConnection.connect(up["database"], autocommit=True) as one:
            await fill(one, {f"t:{WORKSPACE}": FILES})
        async with launched() as browser:
            context = await browser.new_context(viewport={"width": 1440, "height": 900})
            page = await context.new_page()
            visitor = Visitor(context, page, web=up["web"], workspace=WORKSPACE)
            await visitor.become("owner")
            for pattern in ("**/cdn/**", "**/key/**"):
                await page.route(pattern, _picture)
            await visitor.open()
            await expect(page.get_by_role("gridcell").first).to_be_visible()
            yield browser, page


async def _picture(route: Route) -> None:
    await route.fulfill(
        body=sample("image/png"), content_type="image/png", headers={"cache-control": "max-age=600"}
    )


async def scrolled(browser: Browser, page: Page, speed: int, seconds: float) -> Tasks:
    """What it takes to scroll so many pixels a second for so long."""
    await browser.start_tracing(page=page, categories=list(CATEGORIES))
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    while (now := clock()) < end:
        await page.mouse.wheel(0, speed * STEP_SECONDS)
        await asyncio.sleep(max(0, now + STEP_SECONDS - clock()))
    return _tasks(await browser.stop_tracing())


def _tasks(trace: bytes) -> Tasks:
    events = msgspec.json.decode(trace, type=Trace).trace_events
    mains = {
        one.thread
        for one in events
        if one.name == "thread_name" and one.args.get("name") == "CrRendererMain"
    }
    took = [one for one in events if one.thread in mains and one.ph == "X"]
    # Of all renderers that of the page is the busiest.
    ((ours, _),) = Counter(one.thread for one in took).most_common(1)
    tasks = []
    inside = dict.fromkeys(NAMED, 0.0)
    for one in took:
        if one.thread == ours and one.name == "RunTask":
            tasks.append(one.dur / 1000)
        elif one.thread == ours and one.name in inside:
            inside[one.name] += one.dur / 1000
    return Tasks(tasks, inside)


async def run(arguments: argparse.Namespace) -> int:
    """Measure, print, and say whether the goals were reached."""
    report = Report("Scrolling")
    seconds = 3.0 if arguments.quick else 15.0
    async with library() as (browser, page):
        await scrolled(browser, page, PERSON, SETTLING_SECONDS)
        wheel = await scrolled(browser, page, PERSON, seconds)
        flick = await scrolled(browser, page, FLICK, seconds)
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

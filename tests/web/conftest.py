"""A running `./dev up` with its dashboard, and people who use it in a browser."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, async_playwright, expect

from tests.kit.browser import ARGUMENTS, Visitor, chromium
from tests.kit.up import Up

counter = itertools.count(1)
expect.set_options(timeout=20_000)


@pytest.fixture(scope="session")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One `./dev up` with its dashboard."""
    one = Up(tmp_path_factory.mktemp("web") / "home", "--ephemeral", web=True)
    one.until_ready()
    yield one
    assert one.end() == 0


@pytest.fixture(scope="session")
def web(up: Up) -> str:
    """Where the dashboard is."""
    return str(up.run["web"])


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    program, environment = chromium()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=list(ARGUMENTS), env=dict(environment)
        )
        yield browser
        await browser.close()


@pytest.fixture
async def visitor(web: str, browser: Browser, worker_number: int) -> AsyncIterator[Visitor]:
    """The owner of an empty workspace. Nothing in the console may be red in the end."""
    context = await browser.new_context(
        viewport={"width": 1280, "height": 900},
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(20_000)
    page = await context.new_page()
    one = Visitor(context, page, web=web, workspace=f"ls_{worker_number}_{next(counter)}")
    await one.become("owner")
    yield one
    await context.close()
    assert one.complaints == []

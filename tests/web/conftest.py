"""A running `./dev up` with its dashboard, and people who use it in a browser."""

import itertools
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, expect

from tests.kit.browser import Visitor, launched
from tests.kit.http_source import HttpSource, http_source
from tests.kit.up import Up

counter = itertools.count(1)
expect.set_options(timeout=60_000)


@pytest.fixture(scope="package")
async def source() -> AsyncIterator[HttpSource]:
    """A server that the service may fetch from."""
    async with http_source() as one:
        yield one


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory, source: HttpSource) -> Iterator[Up]:
    """One `./dev up` with its dashboard."""
    home = tmp_path_factory.mktemp("web") / "home"
    settings = {"MEDIA_PERMITTED_SOURCES": source.pair}
    one = Up(home, "--ephemeral", web=True, settings=settings)
    one.until_ready()
    yield one
    assert one.end() == 0


@pytest.fixture(scope="package")
def web(up: Up) -> str:
    """Where the dashboard is."""
    return str(up.run["web"])


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with launched() as browser:
        yield browser


@pytest.fixture
async def visitor(web: str, browser: Browser, worker_number: int) -> AsyncIterator[Visitor]:
    """The owner of an empty workspace. Nothing in the console may be red in the end."""
    context = await browser.new_context(
        viewport={"width": 1280, "height": 900},
        reduced_motion="reduce",
        permissions=["clipboard-read", "clipboard-write"],
    )
    context.set_default_timeout(60_000)
    page = await context.new_page()
    one = Visitor(context, page, web=web, workspace=f"ls_{worker_number}_{next(counter)}")
    await one.become("owner")
    yield one
    await context.close()
    assert one.complaints == []

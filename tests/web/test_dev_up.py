"""`./dev up` builds the dashboard, serves it and says where to click."""

import gzip
import re

import httpx

from tests.kit.up import Up, wait_until
from workers.dashboard import BUILT, is_built

FIRST_PAGE_BYTES = 200_000
"""Of compressed JavaScript, at most."""


def test_it_says_where_to_click_and_serves_what_it_built(up: Up, web: str) -> None:
    wait_until(lambda: "Media Service is ready" in up.printed)
    assert f"{web}/dashboard/media" in up.printed
    assert "web" in up.run["pids"]
    assert is_built()
    assert (
        httpx.get(f"{web}/dashboard/media", timeout=60).text == (BUILT / "index.html").read_text()
    )


def test_the_first_page_needs_little_javascript(web: str) -> None:
    page = httpx.get(f"{web}/dashboard/media", timeout=60).text
    scripts = re.findall(r'(?:src|href)="(/[^"]+\.js)"', page)
    assert scripts
    sizes = [len(gzip.compress(httpx.get(web + script, timeout=60).content)) for script in scripts]
    assert sum(sizes) < FIRST_PAGE_BYTES

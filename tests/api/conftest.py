"""Both apps in this process, on real servers, with the read models following."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from adapters.runtime import Runtime, open_api_runtime, open_internal_runtime
from adapters.settings import Settings
from api import app, internal_app
from tests.kit.http import ApiClient, followed, new_id, serving
from tests.kit.patience import patience


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    with patience():
        yield


@pytest.fixture(scope="module")
async def runtime(settings: Settings) -> AsyncIterator[Runtime]:
    async with open_api_runtime(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
async def _followers(settings: Settings) -> AsyncIterator[None]:
    async with followed(settings):
        yield


@pytest.fixture(scope="module")
async def http(runtime: Runtime, _followers: None) -> AsyncIterator[httpx.AsyncClient]:
    """The public app."""
    async with serving(app.create_app(runtime)) as client:
        yield client


@pytest.fixture(scope="module")
async def internal(settings: Settings, _followers: None) -> AsyncIterator[httpx.AsyncClient]:
    """The internal app."""
    async with (
        open_internal_runtime(settings) as opened,
        serving(internal_app.create_app(opened)) as client,
    ):
        yield client


@pytest.fixture
def client(http: httpx.AsyncClient) -> ApiClient:
    """Somebody in a workspace of this test's own."""
    return ApiClient(http, tenant=new_id("ls"), user=new_id("user"))


@pytest.fixture
def stranger(http: httpx.AsyncClient) -> ApiClient:
    """Somebody in another workspace."""
    return ApiClient(http, tenant=new_id("ls"), user=new_id("user"))

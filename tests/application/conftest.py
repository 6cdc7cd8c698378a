from collections.abc import AsyncIterator, Iterator

import pytest

from adapters.runtime import Runtime, open_api_runtime, open_jobs_runtime
from adapters.settings import Settings
from application.deletion import Deletion
from application.uploads import Uploads
from tests.kit.faults import FaultyObjectStore
from tests.kit.library import Library, deletion_over, uploads_over
from tests.kit.patience import patience


@pytest.fixture(scope="module", autouse=True)
def _patience() -> Iterator[None]:
    with patience():
        yield


@pytest.fixture(scope="module")
async def library(settings: Settings) -> AsyncIterator[Library]:
    """As the public app sees it."""
    async with open_api_runtime(settings) as runtime:
        yield Library(runtime)


@pytest.fixture(scope="module")
async def jobs(settings: Settings) -> AsyncIterator[Runtime]:
    """As the job workers see it."""
    async with open_jobs_runtime(settings) as runtime:
        yield runtime


@pytest.fixture
def objects(library: Library) -> FaultyObjectStore:
    return FaultyObjectStore(library.runtime.objects)


@pytest.fixture
def uploads(library: Library, objects: FaultyObjectStore) -> Uploads:
    """The upload commands over an object store that a test can disturb."""
    return uploads_over(objects, library.runtime)


@pytest.fixture
def deletion(library: Library, objects: FaultyObjectStore) -> Deletion:
    return deletion_over(objects, library.runtime)

"""A deploy whose migration fails: the version that runs goes on."""

import asyncio
import shutil
import threading
from pathlib import Path

import pytest

from adapters.postgres_migrations import MIGRATIONS, MigrationError, migrate
from tests.kit.person import Person
from tests.kit.up import Up
from tests.workers.processes import until

pytestmark = pytest.mark.timeout(600)

BROKEN = """
ALTER TABLE events ADD COLUMN more int;
ALTER TABLE file_list_v2 ADD COLUMN more int;
SELECT pg_sleep(1);
SELECT 1 / 0;
"""
"""Holds what every request needs, for a second, and fails."""


def keep_uploading(person: Person, over: threading.Event, done: list[str]) -> None:
    """Upload one after the other and look for each, until told."""
    while not over.is_set():
        presigned = person.presign("migrated.png", "image/png")
        assert presigned.status_code == 200, presigned.text
        assert person.put(presigned.json(), "image/png").status_code == 200
        completed = person.complete(presigned.json())
        assert completed.status_code == 200, completed.text
        listed = person.seen("/files", completed)
        assert completed.json()["id"] in {item["id"] for item in listed.json()["items"]}
        done.append(completed.json()["id"])


async def test_the_running_version_serves_on_while_a_migration_fails(
    up: Up, tmp_path: Path
) -> None:
    directory = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, directory)
    (directory / "9999_broken.sql").write_text(BROKEN)
    over, done = threading.Event(), list[str]()

    async def until_more() -> None:
        wanted = len(done) + 2

        async def are_there() -> bool:
            return len(done) >= wanted or uploading.done()

        await until(are_there)

    with Person(up.run, "ls_migrated") as person:
        uploading = asyncio.create_task(asyncio.to_thread(keep_uploading, person, over, done))
        try:
            await until_more()
            with pytest.raises(MigrationError, match=r"9999_broken\.sql failed and changed"):
                await migrate(up.run["database"], directory)
            await until_more()
        finally:
            over.set()
            await uploading
        assert person.library() == set(done)
    assert await migrate(up.run["database"]) == []

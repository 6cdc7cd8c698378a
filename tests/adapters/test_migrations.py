import asyncio
from pathlib import Path

import psycopg
import pytest

from adapters.postgres_migrations import MigrationError, migrate, migration_files
from domain.errors import DatabaseUnavailable
from workers.migrate import main


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE first (id int);")
    (tmp_path / "0002_second.sql").write_text(
        "CREATE TABLE second (id int); INSERT INTO second VALUES (2);"
    )
    return tmp_path


def tables(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {name for (name,) in rows}


async def test_an_empty_database_gets_every_shipped_migration_once(
    empty_database: str,
) -> None:
    assert await migrate(empty_database) == [path.name for path in migration_files()]
    assert await migrate(empty_database) == []
    assert {"events", "checkpoints", "schema_migrations"} <= tables(empty_database)


async def test_processes_that_migrate_at_once_apply_each_file_once(
    empty_database: str, directory: Path
) -> None:
    applied = await asyncio.gather(*(migrate(empty_database, directory) for _ in range(5)))
    assert max(applied, key=len) == ["0001_first.sql", "0002_second.sql"]
    assert sum(len(names) for names in applied) == 2


async def test_a_failing_migration_changes_nothing_and_the_ones_before_it_stay(
    empty_database: str, directory: Path
) -> None:
    broken = directory / "0002_second.sql"
    broken.write_text("CREATE TABLE second (id int); SELECT 1 / 0;")
    with pytest.raises(MigrationError, match=r"0002_second\.sql failed and changed nothing"):
        await migrate(empty_database, directory)
    assert tables(empty_database) == {"first", "schema_migrations"}

    broken.write_text("CREATE TABLE second (id int);")
    assert await migrate(empty_database, directory) == ["0002_second.sql"]
    assert tables(empty_database) == {"first", "second", "schema_migrations"}


async def test_the_old_version_keeps_reading_while_a_migration_fails(
    empty_database: str, directory: Path
) -> None:
    await migrate(empty_database, directory)
    (directory / "0003_third.sql").write_text("ALTER TABLE second ADD x int; SELECT 1 / 0;")
    with pytest.raises(MigrationError):
        await migrate(empty_database, directory)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT * FROM second").fetchall() == [(2,)]


async def test_a_migration_that_waits_for_a_long_reader_holds_up_nobody_behind_it(
    empty_database: str, directory: Path
) -> None:
    await migrate(empty_database, directory)
    (directory / "0003_third.sql").write_text("ALTER TABLE second ADD x int;")
    waiting = "SELECT FROM pg_locks WHERE relation = 'second'::regclass AND NOT granted"
    async with (
        await psycopg.AsyncConnection.connect(empty_database) as long_reader,
        await psycopg.AsyncConnection.connect(empty_database, autocommit=True) as other,
    ):
        await long_reader.execute("SELECT * FROM second")
        migrating = asyncio.create_task(migrate(empty_database, directory))
        while not (await other.execute(waiting)).rowcount:
            await asyncio.sleep(0.01)
        async with asyncio.timeout(60):
            assert (await other.execute("SELECT * FROM second")).rowcount == 1
        assert not migrating.done()
        await long_reader.commit()
        assert await migrating == ["0003_third.sql"]


async def test_a_migration_that_gets_no_lock_says_so_and_changes_nothing(
    empty_database: str, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await migrate(empty_database, directory)
    monkeypatch.setattr("adapters.postgres_migrations.LOCK_PATIENCE_SECONDS", 0)
    (directory / "0003_third.sql").write_text(
        "CREATE TABLE third (id int); ALTER TABLE second ADD x int;"
    )
    with psycopg.connect(empty_database) as long_reader:
        long_reader.execute("SELECT * FROM second")
        with pytest.raises(MigrationError, match=r"0003_third\.sql .* lock"):
            await migrate(empty_database, directory)
    assert "third" not in tables(empty_database)


async def test_a_shipped_migration_that_was_edited_is_refused(
    empty_database: str, directory: Path
) -> None:
    await migrate(empty_database, directory)
    (directory / "0001_first.sql").write_text("CREATE TABLE first (id bigint);")
    (directory / "0003_third.sql").write_text("CREATE TABLE third (id int);")
    with pytest.raises(MigrationError, match=r"0001_first\.sql was changed after it was applied"):
        await migrate(empty_database, directory)
    assert "third" not in tables(empty_database)


@pytest.mark.parametrize(
    ("name", "why"),
    [("0002_again.sql", "Two migrations are numbered 0002"), ("second.sql", "four digits")],
)
async def test_a_migration_without_a_place_of_its_own_is_refused(
    directory: Path, name: str, why: str
) -> None:
    (directory / name).write_text("SELECT 1;")
    with pytest.raises(MigrationError, match=why):
        migration_files(directory)


async def test_a_database_that_is_away_is_named_so() -> None:
    with pytest.raises(DatabaseUnavailable):
        await migrate("postgresql://media@127.0.0.1:1/media")


def test_the_migrate_process_says_what_it_did_and_ends_well(
    empty_database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEDIA_REDIS_URL", "redis://unused.test")
    for name in ("PUBLIC_BASE_URL", "S3_ENDPOINT", "S3_ACCESS_KEY", "S3_SECRET_KEY"):
        monkeypatch.setenv(f"MEDIA_{name}", "http://unused.test")
    monkeypatch.setenv("MEDIA_ENVIRONMENT", "development")
    monkeypatch.setenv("MEDIA_DATABASE_URL", empty_database)
    assert main() == 0
    assert "applied 0001_event_log.sql" in capsys.readouterr().out
    monkeypatch.setenv("MEDIA_DATABASE_URL", "postgresql://media@127.0.0.1:1/media")
    assert main() == 1
    assert "does not answer" in capsys.readouterr().err

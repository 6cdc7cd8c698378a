"""`./dev backup FILE` and `./dev restore FILE`: the log and its read models as a plain dump.

For embedded servers; on a managed PostgreSQL its own backups come first (docs/operations.md).
"""

import asyncio
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from adapters.embedded import Postgres, free_port, postgres_binary
from adapters.postgres_restore import RestoreError, restore
from adapters.settings import child_environment
from adapters.supervisor import Supervisor
from domain.errors import DatabaseUnavailable
from workers.home import HomeTaken, open_home
from workers.operations import HOME, NoDatabase, database_url

DATABASE = "media"


def backup(file: Path, *, home: Path = HOME) -> int:
    """Dump the database of the running instance into a file."""
    try:
        url = urlsplit(database_url(home))
    except NoDatabase as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    # Not as an argument, which the process list shows.
    environment = child_environment({"PGPASSWORD": url.password or ""})
    options = ("--no-password", f"--username={url.username}", f"--host={url.hostname}")
    finished = subprocess.run(  # noqa: S603 - our own arguments
        [
            postgres_binary("pg_dump"),
            *options,
            f"--port={url.port}",
            f"--file={file}",
            url.path.removeprefix("/"),
        ],
        env=environment,
        check=False,
    )
    if finished.returncode == 0:
        print(f"{file}: {file.stat().st_size:,} bytes. Objects are not in it.")  # noqa: T201
    return finished.returncode


def restore_into(file: Path, *, home: Path) -> int:
    """Load a dump into a new home, for `./dev up --home` to go on with."""
    try:
        with open_home(home, ephemeral=False) as opened:
            position = asyncio.run(
                _restore(
                    file.absolute(), opened.data / "postgres", opened.secrets().database_password
                )
            )
    except (HomeTaken, RestoreError, DatabaseUnavailable) as problem:
        print(problem, file=sys.stderr)  # noqa: T201
        return 1
    print(  # noqa: T201
        f"Loaded up to position {position}; every new event comes after it.\n"
        f"Copy the objects/ folder of the old home as well, then: ./dev up --home {home}"
    )
    return 0


async def _restore(file: Path, directory: Path, password: str) -> int:
    postgres = Postgres(directory=directory, port=free_port(), password=password)
    supervisor = Supervisor(lambda _name, _line: None)
    try:
        await postgres.start(supervisor)
        url = await postgres.ensure_database(DATABASE)
        return await restore(url, file, psql=postgres_binary("psql"))
    finally:
        await supervisor.stop()

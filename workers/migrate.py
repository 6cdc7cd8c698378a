"""`python -m workers.migrate`: bring the database up to this version, then exit."""

import asyncio
import sys

from adapters.postgres_migrations import MigrationError, migrate
from adapters.settings import Settings, SettingsError
from domain.errors import DatabaseUnavailable


def main() -> int:
    """Apply the migrations; 0 when the database is up to date, 1 with a sentence when not."""
    try:
        settings = Settings.from_environment()
        applied = asyncio.run(migrate(settings.database_url))
    except (SettingsError, MigrationError, DatabaseUnavailable) as error:
        print(error, file=sys.stderr)  # noqa: T201 - a one-shot command speaks to its caller
        return 1
    for name in applied:
        print(f"applied {name}")  # noqa: T201
    print("the database is up to date")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())

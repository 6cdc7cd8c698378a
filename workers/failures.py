"""`./dev failures` and `./dev retry`: what could not be done, and having it tried again.

Registered by `workers/cli.py`. They take the settings from the environment, or from the file that
`./dev up` leaves in its home.
"""

import asyncio
import shlex
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from adapters.postgres import Pool, open_pool
from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings, SettingsError, child_environment
from application.context import SystemContext
from application.placement import BytesMissing
from domain.errors import DatabaseUnavailable, ObjectStoreUnavailable
from projections import unfinished_work
from projections.unfinished_work import FailedWork

Command: TypeAlias = Callable[[Settings], Coroutine[Any, Any, int]]

HOME = Path(".media")
SHOWN = 1_000
"""The newest failures that a table shows and `--all` retries."""

console = Console(highlight=False)


def failures(*, home: Path = HOME) -> int:
    """Show what failed for good: removing or moving bytes, scanning, telling caches."""

    async def show(settings: Settings) -> int:
        pool = await open_pool(settings.database_url, role="media_worker", size=1)
        async with pool:
            found = await failed_work(pool)
        console.print(as_table(found) if found else "Nothing has failed.")
        return 0

    return run_with_settings(home, show)


def retry(
    media_id: str | None = None,
    *,
    everything: Annotated[bool, Parameter(name="--all", negative="")] = False,
    home: Path = HOME,
) -> int:
    """Have what failed for a file tried again, or for all files."""

    async def ask(settings: Settings) -> int:
        if (media_id is None) != everything:
            console.print("Name one file, or give --all.")
            return 2
        async with open_jobs_runtime(settings) as runtime:
            named = [media_id] if media_id is not None else []
            ids = named or [failure.stream for failure in await failed_work(runtime.pool)]
            asked = await retry_failed(runtime, ids)
        for one in asked:
            console.print(f"asked again for {escape(one)}")
        if named and not asked:
            console.print(f"{escape(named[0])} has nothing that failed.")
            return 1
        return 0

    return run_with_settings(home, ask)


async def failed_work(pool: Pool) -> Sequence[FailedWork]:
    """What was tried as often as allowed, newest first. Raises DatabaseUnavailable."""
    return await unfinished_work.failures(pool, SHOWN)


def as_table(found: Sequence[FailedWork]) -> Table:
    """The failures for a person to read."""
    table = Table(Column("file", no_wrap=True), "owner", "what", "failed at (UTC)", "why")
    for failure in found:
        # The reason is what some library said: on one line, and no markup.
        why = "".join(c if c.isprintable() else " " for c in failure.failure)
        at = f"{failure.failed_at:%Y-%m-%d %H:%M:%S}"
        table.add_row(failure.stream, escape(failure.owner), failure.kind, at, escape(why))
    return table


async def retry_failed(runtime: Runtime, media_ids: Sequence[str]) -> Sequence[str]:
    """Record that an operator asks again; the ids for which something had failed.

    The reactor sends the jobs; a move is made here and now. Raises DatabaseUnavailable,
    and of a move ObjectStoreUnavailable or BytesMissing.
    """
    asked = []
    for media_id in media_ids:
        context = SystemContext(
            actor="service:operator",
            at=runtime.clock(),
            command_id=runtime.identities.command_id(),
            correlation_id=f"retry-{media_id}",
        )
        purge = partial(runtime.deletion.retry_purge, media_id, context)
        told = partial(runtime.cache_purges.retry, media_id, context)
        retried = [
            await runtime.media.repeatedly(purge),
            await runtime.media.repeatedly(told),
            await runtime.scanning.retry_scan(media_id, context),
        ]
        if any(retried):
            asked.append(media_id)
        elif await runtime.placement.has_failed(media_id):
            move = partial(runtime.placement.place_objects, media_id, context)
            await runtime.media.repeatedly(move)
            asked.append(media_id)
    return asked


def settings_at(home: Path) -> Settings:
    """The settings of this environment, else of the `./dev up` of that home.

    Raises SettingsError.
    """
    environ = child_environment({})
    if not environ.get("MEDIA_DATABASE_URL", "").strip():
        try:
            lines = shlex.split((home / "environment").read_text())
        except OSError as error:
            raise SettingsError(
                f"MEDIA_DATABASE_URL is not set and {home}/environment is not there: "
                "is ./dev up running?"
            ) from error
        environ |= dict(line.split("=", 1) for line in lines)
    return Settings.from_environment(environ)


def run_with_settings(home: Path, command: Command) -> int:
    """Run the command with the settings there are; what went wrong is told in a sentence."""
    try:
        return asyncio.run(command(settings_at(home)))
    except (SettingsError, DatabaseUnavailable, ObjectStoreUnavailable, BytesMissing) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1

"""`./dev projections` and `./dev log`: looking at the log and who follows it.

Registered by `workers/cli.py`. They find the database in MEDIA_DATABASE_URL, or in the `run.json`
that `./dev up` leaves in its home.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from adapters.log_inspection import LogFilter, events_after, followers, newest_events
from adapters.postgres import Pool, open_pool
from adapters.settings import child_environment
from domain.errors import DatabaseUnavailable
from domain.event import Recorded
from domain.owner import tenant as tenant_owner
from domain.owner import user as user_owner
from projections.audit_trail import stored_type, told
from projections.read_models import READ_MODELS
from projections.shadow import RebuildRefused
from workers.failures import failures, retry
from workers.past import NoMoment, position_of, standing

__all__ = ["failures", "log", "projections", "retry"]

HOME = Path(".media")
POLL_SECONDS = 0.2
"""How often `./dev log --follow` looks: for people's eyes."""

console = Console(highlight=False)


class NoDatabase(Exception):
    """Neither the environment nor a running `./dev up` names a database."""


def database_url(home: Path = HOME) -> str:
    """Where the log is. Raises NoDatabase."""
    given = child_environment({}).get("MEDIA_DATABASE_URL", "").strip()
    if given:
        return given
    try:
        running: dict[str, Any] = msgspec.json.decode((home / "run.json").read_bytes())
    except (OSError, msgspec.DecodeError) as error:
        raise NoDatabase(
            f"MEDIA_DATABASE_URL is not set and {home}/run.json is not there: is ./dev up running?"
        ) from error
    return str(running["database"])


@asynccontextmanager
async def worker_pool(home: Path, *, seconds: int = 30) -> AsyncIterator[Pool]:
    """Connections of the role media_worker. Raises NoDatabase or DatabaseUnavailable."""
    pool = await open_pool(
        database_url(home), role="media_worker", size=2, transaction_seconds=seconds
    )
    async with pool:
        yield pool


def run_told(command: Awaitable[int], *, stopped: str = "") -> int:
    """Run the command; what went wrong is told in a sentence, and `stopped` after Ctrl-C."""

    async def told_in_a_sentence() -> int:
        try:
            return await command
        except DatabaseUnavailable as error:
            console.print(f"[red]{error}[/red] ({error.details.get('reason')})")
        except (NoDatabase, RebuildRefused, NoMoment) as error:
            console.print(f"[red]{escape(str(error))}[/red]")
        return 1

    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(told_in_a_sentence())
    if stopped:
        console.print(stopped)
    return 130


def projections(*, home: Path = HOME) -> int:
    """Show the position and the lag of every follower."""

    async def show() -> int:
        async with worker_pool(home) as pool:
            known = {status.follower: status for status in await followers(pool)}
        # A pipe is 80 wide: there the headers wrap, and no name is cut short.
        first = Column("follower", no_wrap=True)
        table = Table(first, "position", "events behind", "seconds behind", "stands before")
        for column in table.columns[1:4]:
            column.justify = "right"
        for name in sorted({*READ_MODELS, *known}):
            status = known.get(name)
            if status is None:
                table.add_row(name, "has never run")
                continue
            table.add_row(
                name,
                str(status.position),
                f"{status.behind_events:,}",
                f"{status.behind_seconds:,.1f}",
                status.next_type or "",
            )
        console.print(table)
        return 0

    return run_told(show())


def log(
    *,
    follow: Annotated[bool, Parameter(help="Go on with what is appended, until Ctrl-C.")] = False,
    tenant: Annotated[str | None, Parameter(help="Only this workspace.")] = None,
    user: Annotated[str | None, Parameter(help="Only this user's personal files.")] = None,
    file: Annotated[str | None, Parameter(help="Only this file, by its id.")] = None,
    type: Annotated[  # noqa: A002 - the option's name
        str | None, Parameter(help="Only types with this part, as `upload_completed`.")
    ] = None,
    since: Annotated[datetime | None, Parameter(help="Only from this time on, in UTC.")] = None,
    until: Annotated[datetime | None, Parameter(help="Only before this time, in UTC.")] = None,
    as_of: Annotated[
        str | None,
        Parameter(help="Only what the log held at a time (as 2026-05-03T10:00Z) or position."),
    ] = None,
    limit: Annotated[int, Parameter(help="How many to begin with.")] = 50,
    home: Path = HOME,
) -> int:
    """Print the last events of the log, in readable lines; with --as-of also what stood then."""
    owner: str | None = None
    if tenant or user:
        owner = str(tenant_owner(tenant) if tenant else user_owner(user or ""))
    wanted = LogFilter(owner=owner, stream=file, type_part=type, since=since, until=until)

    async def show() -> int:
        async with worker_pool(home) as pool:
            upto = None if as_of is None else await position_of(pool, as_of)
            position = 0
            shown = msgspec.structs.replace(wanted, upto=upto)
            for recorded in await newest_events(pool, shown, limit=limit):
                _print(recorded)
                position = recorded.position
            if upto is not None:
                for line in await standing(pool, upto, owner=owner, file=file):
                    console.print(escape(line), soft_wrap=True)
                return 0
            while follow:
                await asyncio.sleep(POLL_SECONDS)
                for recorded in await events_after(pool, wanted, position, limit=1000):
                    _print(recorded)
                    position = recorded.position
        return 0

    return run_told(show())


def _print(recorded: Recorded) -> None:
    _, _, name = stored_type(recorded.event).rpartition(".v")[0].rpartition(".")
    facts = _facts(told(recorded.event))
    console.print(
        f"[dim]{recorded.at:%Y-%m-%d %H:%M:%S}[/dim] [bold]{escape(name):22}[/bold]"
        f" {escape(recorded.stream)}[dim]#{recorded.version}[/dim]"
        f" [cyan]{escape(recorded.owner)}[/cyan] by {escape(recorded.actor)}"
        f" [dim]{escape(facts)} @{recorded.position}[/dim]",
        soft_wrap=True,
    )


def _facts(data: Mapping[str, Any]) -> str:
    """`name=value` of what is set; names of files may hold anything, terminal codes included."""
    parts = (f"{name}={value}" for name, value in data.items() if value is not None)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(parts))

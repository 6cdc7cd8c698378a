"""`./dev rebuild NAME` and `./dev verify`: read models against the log they are made from.

Registered by `workers/cli.py`. Both show how far they are, can be stopped with Ctrl-C, and go on
from there when they are called again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.markup import escape
from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table

from adapters.event_reader import PostgresEventReader
from adapters.postgres_migrations import MIGRATIONS
from projections.comparison import Compared, compare
from projections.read_models import READ_MODELS
from projections.rebuild import rebuild as rebuild_read_model
from projections.shadow import Progress
from workers.operations import HOME, console, database_url, run_told, worker_pool

READ_SECONDS = 600
"""The longest read of a replay."""
GOES_ON = "Stopped. Called again, it goes on from here."

Name = Annotated[str, Parameter(help="As `./dev projections` shows it, the version optional.")]


def rebuild(name: Name, *, home: Path = HOME) -> int:
    """Build a read model anew beside the live one, then switch."""
    names = _known(name)
    if not names:
        return 2
    (name,) = names

    async def run() -> int:
        async with worker_pool(home, seconds=READ_SECONDS) as pool:
            with _bar(name) as progress:
                position = await rebuild_read_model(
                    READ_MODELS[name],
                    PostgresEventReader(pool),
                    database_url=database_url(home),
                    ddl=_ddl(name),
                    progress=progress,
                )
        console.print(f"{name} was rebuilt and switched; it stands at {position}.")
        return 0

    return run_told(run(), stopped=GOES_ON)


def verify(name: Name | None = None, *, home: Path = HOME) -> int:
    """Compare read models row by row with what the log makes of them; 1 when a row differs."""
    names = list(READ_MODELS) if name is None else _known(name)
    if not names:
        return 2

    async def run() -> int:
        wrong = 0
        async with worker_pool(home, seconds=READ_SECONDS) as pool:
            for one in names:
                with _bar(one) as progress:
                    compared = await compare(
                        READ_MODELS[one],
                        PostgresEventReader(pool),
                        database_url=database_url(home),
                        ddl=_ddl(one),
                        progress=progress,
                    )
                _tell(one, compared)
                wrong += compared.differences > 0
        return 1 if wrong else 0

    return run_told(run(), stopped=GOES_ON)


def _known(name: str) -> Sequence[str]:
    names = [known for known in READ_MODELS if known == name or known.rpartition("_v")[0] == name]
    if not names:
        console.print(f"[red]There is no {escape(name)}.[/red] Known: {', '.join(READ_MODELS)}.")
    return names


def _ddl(name: str) -> str:
    (file,) = MIGRATIONS.glob(f"*_{name}.sql")
    return file.read_text()


@contextmanager
def _bar(name: str) -> Iterator[Progress]:
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeRemainingColumn(),
        console=console,
    )
    with bars:
        task = bars.add_task(name, total=None)
        yield lambda reached, goal: bars.update(task, completed=reached, total=goal)
        bars.update(task, completed=1, total=1)


def _tell(name: str, compared: Compared) -> None:
    if not compared.differences:
        console.print(
            f"[green]{name}[/green]: {compared.rows:,} rows are what the log makes of it,"
            f" up to position {compared.position}."
        )
        return
    table = Table("table", "key", "live", "by the log")
    for one in compared.shown:
        live, rebuilt = (escape(text or "-") for text in (one.live, one.rebuilt))
        table.add_row(one.table, escape(one.key), live, rebuilt)
    console.print(table)
    console.print(
        f"[red]{name}[/red]: {compared.differences:,} of {compared.rows:,} rows differ."
        f" `./dev rebuild {name}` mends them; tell the developers how it came to this."
    )

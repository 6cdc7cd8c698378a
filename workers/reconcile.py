"""`./dev reconcile`: the bytes in the buckets against the log.

Registered by `workers/cli.py`. It only tells, unless asked to repair. Ctrl-C stops it; with
`--resume` it goes on from the page it was at.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Annotated, Literal, get_args

import msgspec
from cyclopts import Parameter
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from adapters.postgres import Pool
from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings, SettingsError
from application.context import SystemContext
from application.reconciliation import Looked, Reconciliation
from domain.errors import Contention, DatabaseUnavailable, ObjectStoreUnavailable
from domain.reconciliation import Finding, FindingKind
from projections import file_list
from workers.failures import settings_at

HOME = Path(".media")
SHOWN = 50
"""Findings shown in the table; with `--report` all are added to a file."""
TOO_MANY = 20
"""Files without bytes from which on it matters how large a share they are."""

Stage = Literal["public", "private", "files"]
STAGES: tuple[Stage, ...] = get_args(Stage)

console = Console(highlight=False)


class WrongBuckets(Exception):
    """Most files have no bytes where this looks: a wrong bucket or database, not lost files."""


class Place(msgspec.Struct):
    """How far a look has come."""

    stage: Stage = "public"
    after: str = ""


class FileListLibrary:
    """`application.reconciliation.Library`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def files(self, *, after: str) -> AsyncIterator[Sequence[str]]:
        """Pages of ids."""
        while page := await file_list.every_id(self._pool, after=after):
            yield page
            after = page[-1]


def reconcile(
    *,
    repair: Annotated[bool, Parameter(help="Mend what is found.", negative=())] = False,
    hashes: Annotated[
        bool, Parameter(help="Read every file and compare its SHA-256.", negative=())
    ] = False,
    resume: Annotated[bool, Parameter(help="Go on where it was stopped.", negative=())] = False,
    report: Annotated[Path | None, Parameter(help="Add every finding, as JSON lines.")] = None,
    home: Path = HOME,
) -> int:
    """Compare the bytes in the buckets with the log; 1 when something is wrong and not mended."""

    async def run(settings: Settings) -> int:
        async with open_jobs_runtime(settings) as runtime:
            kept = home / "reconcile.json"
            look = _Look(runtime, kept, repair=repair, hashes=hashes, report=report)
            with look.bars:
                await look.run(resume=resume)
        look.tell()
        return 1 if look.left else 0

    try:
        with contextlib.suppress(KeyboardInterrupt):
            return asyncio.run(run(settings_at(home)))
    except (SettingsError, DatabaseUnavailable, ObjectStoreUnavailable, WrongBuckets) as error:
        console.print(f"[red]{escape(str(error))}[/red]")
        return 1
    console.print("Stopped. `./dev reconcile --resume` goes on from here.")
    return 130


class _Look:
    def __init__(
        self, runtime: Runtime, kept: Path, *, repair: bool, hashes: bool, report: Path | None
    ) -> None:
        self.bars = Progress(
            SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console
        )
        self.looked: Counter[Stage] = Counter()
        self.kinds: Counter[FindingKind] = Counter()
        self.mended = 0
        self._shown: list[tuple[Finding, bool]] = []
        """The first, with whether they were mended: a look may find a million."""
        self._runtime = runtime
        self._kept = kept
        self._repair = repair
        self._hashes = hashes
        self._report = report
        self._reconciliation = Reconciliation(
            runtime.media,
            runtime.objects,
            FileListLibrary(runtime.pool),
            clock=runtime.clock,
            bin_for=runtime.settings.bin_for,
        )

    @property
    def left(self) -> int:
        """How many findings were not mended."""
        return self.kinds.total() - self.mended

    async def run(self, *, resume: bool) -> None:
        """Look at all there is, from the kept place on."""
        place = self._place() if resume else Place()
        for stage in STAGES[STAGES.index(place.stage) :]:
            after = place.after if stage == place.stage else ""
            bar = self.bars.add_task(stage, total=None)
            async with aclosing(self._pages(stage, after)) as pages:
                async for page in pages:
                    await self._take(stage, page, bar)
        self._kept.unlink(missing_ok=True)

    def _pages(self, stage: Stage, after: str) -> AsyncGenerator[Looked, None]:
        if stage == "files":
            return self._reconciliation.files(after=after, hashes=self._hashes)
        return self._reconciliation.objects(stage, after=after)

    async def _take(self, stage: Stage, page: Looked, bar: TaskID) -> None:
        self.looked[stage] += page.count
        self.kinds.update(finding.kind for finding in page.findings)
        if self._repair:
            self._check_buckets(stage)
        for finding in page.findings:
            mended = self._repair and await self._mend(finding)
            self.mended += mended
            if len(self._shown) < SHOWN:
                self._shown.append((finding, mended))
        if self._report is not None:
            with self._report.open("ab") as file:
                file.writelines(msgspec.json.encode(one) + b"\n" for one in page.findings)
        self._kept.write_bytes(msgspec.json.encode(Place(stage, page.last)))
        unit = "files" if stage == "files" else f"objects in {stage}"
        text = f"{self.looked[stage]:,} {unit} looked at, {self.kinds.total():,} findings"
        self.bars.update(bar, description=text)

    def _check_buckets(self, stage: Stage) -> None:
        missing = self.kinds[FindingKind.MISSING]
        if missing >= TOO_MANY and 2 * missing > self.looked[stage]:
            raise WrongBuckets(
                f"{missing:,} of {self.looked[stage]:,} files have no bytes. These hardly are the "
                "buckets of this log; nothing of this page was changed."
            )

    async def _mend(self, finding: Finding) -> bool:
        context = SystemContext(
            actor="service:reconcile",
            at=self._runtime.clock(),
            command_id=self._runtime.identities.command_id(),
            correlation_id=f"reconcile-{finding.media_id or finding.bucket}",
        )
        try:
            return await self._reconciliation.repair(finding, context) is not None
        except Contention:
            return False

    def _place(self) -> Place:
        try:
            return msgspec.json.decode(self._kept.read_bytes(), type=Place)
        except (OSError, msgspec.MsgspecError):
            return Place()

    def tell(self) -> None:
        """Print what was found."""
        total = ", ".join(f"{count:,} {stage}" for stage, count in self.looked.items())
        if not self.kinds:
            console.print(f"[green]Bytes and log agree[/green] (looked at: {total}).")
            return
        table = Table("kind", "bucket", "key", "what", "mended")
        for finding, mended in self._shown:
            cells = (finding.kind, finding.bucket, finding.key, finding.detail)
            printable = ("".join(c if c.isprintable() else "?" for c in cell) for cell in cells)
            table.add_row(*map(escape, printable), "yes" if mended else "")
        console.print(table)
        told = ", ".join(f"{count:,} {kind}" for kind, count in self.kinds.most_common())
        console.print(f"Looked at {total}. Found {told}; {self.mended:,} mended.")
        if self.left and not self._repair:
            console.print("Nothing was changed. `./dev reconcile --repair` mends what it can.")

"""`./dev rerender PRESET`: has the renditions of a changed recipe made anew, a few at a time.

The workers make them; this asks for them and shows how far they are. It may be stopped at any
moment and begun again: what is made is known from the log.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from adapters.runtime import Runtime, open_jobs_runtime
from adapters.settings import Settings
from projections.outdated_renditions import outdated, under_way
from workers.failures import HOME, run_with_settings

BATCH = 50
MOST_UNDER_WAY = 200
"""So that what users ask for meanwhile does not wait behind a whole library."""
LOOK_SECONDS = 1.0

console = Console(highlight=False)


def rerender(preset: str, *, home: Path = HOME) -> int:
    """Have every rendition of a preset made anew whose recipe is another, or that failed."""

    async def work(settings: Settings) -> int:
        if preset not in settings.presets:
            console.print(f"There is no preset {preset!r}: {', '.join(settings.presets)}.")
            return 2
        async with open_jobs_runtime(settings) as runtime:
            asked = await ask_for_all(runtime, preset, say=console.print)
        console.print(f"{asked:,} renditions of {preset} were made anew.")
        return 0

    try:
        return run_with_settings(home, work)
    except KeyboardInterrupt:
        console.print("Stopped. Those asked for are still made; run it again for the others.")
        return 130


async def ask_for_all(
    runtime: Runtime,
    preset: str,
    *,
    say: Callable[[str], None],
    look_seconds: float = LOOK_SECONDS,
) -> int:
    """Ask for all, wait until they are made; how many. Raises DatabaseUnavailable."""
    recipe = runtime.settings.presets[preset]
    asked, last = 0, ""

    async def wait(most: int) -> None:
        # The follower that counts them must have seen the requests.
        await asyncio.sleep(look_seconds if asked else 0)
        while (left := await under_way(runtime.pool, preset)) > most:
            say(f"{preset}: {asked:,} asked for, {left:,} to be made")
            await asyncio.sleep(look_seconds)

    while ids := await outdated(
        runtime.pool, preset, recipe.recipe, at_once=recipe.at_once, after=last, limit=BATCH
    ):
        for media_id in ids:
            asked += await runtime.renditions.rerender(media_id, preset, "rerender")
        last = ids[-1]
        await wait(MOST_UNDER_WAY)
    await wait(0)
    return asked

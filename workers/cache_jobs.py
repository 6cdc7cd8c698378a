"""The body of the job that tells caches what is gone; run by `workers/jobs.py`."""

from collections.abc import Mapping

from adapters.dramatiq_worker import TryAgain
from adapters.runtime import Runtime
from application.cache_purge import StillPublic
from application.context import SystemContext
from application.jobs import PurgeCache

STILL_PUBLIC_SECONDS = 1.0
"""When to look again whether the bytes are gone; moving 10 MB takes less."""
CACHE_THREADS = 4
"""Purges one process has under way at once; their pace is Cloudflare's."""


async def purge_cache(
    runtime: Runtime, job: PurgeCache, context: SystemContext
) -> Mapping[str, object]:
    """Have the caches drop what they keep of a file, once the bucket has it no more."""
    try:
        file = await runtime.cache_purges.purge_cache(job.media_id, context)
    except StillPublic as early:
        why = "the public bucket still holds the file"
        raise TryAgain(why, delay_seconds=STILL_PUBLIC_SECONDS) from early
    return {"outcome": "nothing was due" if file is None else "purged"}

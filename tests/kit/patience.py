"""Limits of time as wide as a busy machine needs, for the tests that are not about them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from adapters import postgres, readiness, runtime
from adapters.guarded_http import FetchLimits, GuardedFetcher
from api import system_metrics
from application.uploads import Uploads

SECONDS = 30
FETCHES = FetchLimits(total_seconds=4 * SECONDS, silence_seconds=2 * SECONDS)


@contextmanager
def patience() -> Iterator[None]:
    """What is opened in this process waits so long for a connection, a check, a verification."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "POOL_TIMEOUT_SECONDS", float(SECONDS))
        patch.setattr(runtime, "TRANSACTION_SECONDS", SECONDS)
        patch.setattr(readiness, "CHECK_SECONDS", float(SECONDS))
        patch.setattr(system_metrics, "TIMEOUT_SECONDS", float(SECONDS))
        for init, name, value in (
            (Uploads.__init__, "complete_wait", timedelta(seconds=SECONDS)),
            (GuardedFetcher.__init__, "limits", FETCHES),
        ):
            patch.setitem(_defaults(init), name, value)
        yield


def _defaults(init: Any) -> Any:
    """Those of its arguments that are named: they were evaluated once."""
    return init.__kwdefaults__

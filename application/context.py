"""Who asks, and under which ids: made once per request or job, passed to every command."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from domain.access import Caller
from domain.owner import Owner, tenant, user


class Idempotency(msgspec.Struct, frozen=True):
    """A caller's Idempotency-Key on one route, with the fingerprint of the body it came with."""

    key: str
    route: str
    fingerprint: str
    """SHA-256 of the canonical JSON body."""
    repeats: Callable[[str], None] = lambda _: None
    """Told the id of the command that used the key before: this one is its repeat."""


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """The actor, the time and the ids of one command."""

    caller: Caller
    at: datetime
    command_id: str
    correlation_id: str
    idempotency: Idempotency | None = None

    @property
    def owner(self) -> Owner:
        """Whom the request is for: the caller's workspace, else the caller."""
        if self.caller.tenant_id is not None:
            return tenant(self.caller.tenant_id)
        return user(self.caller.user_id)


class SystemContext(msgspec.Struct, frozen=True, kw_only=True):
    """The same for a process of ours, which acts on no person's behalf."""

    actor: str
    """`system:<process>` or `service:<name>`."""
    at: datetime
    command_id: str
    correlation_id: str

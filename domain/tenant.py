"""Tenant: a workspace, of which this service knows one fact: that it was removed (spec 16).

TenantRemoved → TenantFilesRemoved
"""

from collections.abc import Iterable
from datetime import datetime
from typing import ClassVar, Self

import msgspec

from domain.event import Event, Recorded


class TenantRemoved(Event, frozen=True, kw_only=True):
    """The workspace is gone: its files leave every view at once and it takes no more commands."""

    TYPE: ClassVar[str] = "tenant.removed.v1"


class TenantFilesRemoved(Event, frozen=True, kw_only=True):
    """Every file of the removed workspace was deleted or cancelled."""

    TYPE: ClassVar[str] = "tenant.files_removed.v1"


TENANT_EVENTS: tuple[type[Event], ...] = (TenantRemoved, TenantFilesRemoved)


def stream_of(tenant_id: str) -> str:
    """The stream of a tenant's events."""
    return f"tenant_{tenant_id}"


class Tenant(msgspec.Struct, frozen=True):
    """A workspace as its events tell it."""

    removed_at: datetime | None = None
    files_removed: bool = False
    version: int = 0
    position: int = 0

    @classmethod
    def from_history(cls, history: Iterable[Recorded]) -> Self:
        """Fold a stream; an empty one is a living tenant."""
        tenant = cls()
        for recorded in history:
            tenant = tenant.evolve(recorded)
        return tenant

    def evolve(self, recorded: Recorded) -> Self:
        """The state after one more event."""
        tenant = msgspec.structs.replace(self, version=recorded.version, position=recorded.position)
        match recorded.event:
            case TenantRemoved():
                return msgspec.structs.replace(tenant, removed_at=recorded.at)
            case TenantFilesRemoved():
                return msgspec.structs.replace(tenant, files_removed=True)
        return tenant

    def remove(self) -> list[Event]:
        """Decide that the workspace is gone; [] when it already is."""
        return [] if self.removed_at else [TenantRemoved()]

    def record_files_removed(self) -> list[Event]:
        """Decide that nothing is left to delete."""
        if self.removed_at is None or self.files_removed:
            return []
        return [TenantFilesRemoved()]

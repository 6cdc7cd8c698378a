"""Permissions (PBAC, spec 6.2) and ownership (`assertMediaAccess`, spec 6.3)."""

from enum import StrEnum
from typing import Literal

import msgspec

from domain.errors import Forbidden
from domain.owner import Owner

SYSTEM_OWNER = "system:owner"

OwnerBypass = Literal["all", "tenant"]
"""How far `system:owner` reaches: every workspace, or only the request's own."""


class Permission(StrEnum):
    """What a route asks for."""

    FILES_READ = "media:files.read"
    FILES_WRITE = "media:files.write"
    WEBHOOKS_WRITE = "media:webhooks.write"
    AUDIT_READ = "media:audit.read"
    OWNER = SYSTEM_OWNER
    """Of what only `system:owner` may do."""


class Access(StrEnum):
    """The ground on which an actor was let in; recorded with every event."""

    WORKSPACE = "workspace"
    UPLOADER = "uploader"
    OWNER_BYPASS = "owner_bypass"
    SYSTEM = "system"


class Caller(msgspec.Struct, frozen=True):
    """A person, as the gateway vouches for them."""

    user_id: str
    tenant_id: str | None
    permissions: frozenset[str]

    def require(self, permission: Permission) -> None:
        """Raise Forbidden unless the caller holds the permission or is `system:owner`."""
        if permission not in self.permissions and SYSTEM_OWNER not in self.permissions:
            raise Forbidden(permission)

    def access_to(
        self, *, owner: Owner, uploaded_by: str | None, bypass: OwnerBypass
    ) -> Access | None:
        """The ground on which the caller may change a file, or None when there is none."""
        if self.tenant_id is not None and owner.tenant_id == self.tenant_id:
            return Access.WORKSPACE
        if uploaded_by == self.user_id:
            return Access.UPLOADER
        if SYSTEM_OWNER in self.permissions and bypass == "all":
            return Access.OWNER_BYPASS
        return None

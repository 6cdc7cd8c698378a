"""Who a file belongs to: a workspace (tenant) or one user (spec 4.3)."""

import re

import msgspec

ID_PATTERN = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""What a tenant or user id may look like: it becomes part of an object key."""


class Owner(msgspec.Struct, frozen=True):
    """A tenant or a user. `str()` gives the form that is stored: `t:<tenant>` or `u:<user>`."""

    kind: str
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"

    @property
    def tenant_id(self) -> str | None:
        """The tenant, or None for a personal file."""
        return self.id if self.kind == "t" else None


def tenant(tenant_id: str) -> Owner:
    """The workspace as an owner."""
    return Owner("t", tenant_id)


def user(user_id: str) -> Owner:
    """The person as an owner."""
    return Owner("u", user_id)


def parse(stored: str) -> Owner:
    """Read the stored form back."""
    kind, _, id_ = stored.partition(":")
    return Owner(kind, id_)


def valid_tenant_id(tenant_id: str) -> bool:
    """`users` is refused: it is the namespace of personal files."""
    return ID_PATTERN.fullmatch(tenant_id) is not None and tenant_id != "users"


def valid_user_id(user_id: str) -> bool:
    """Whether the id can stand in an object key."""
    return ID_PATTERN.fullmatch(user_id) is not None

"""The key namespace of the spec (4.3): made of ids, codes and dates, never of a file name."""

import re
from datetime import datetime

from domain.owner import Owner, tenant, user, valid_tenant_id, valid_user_id

ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 16
MEDIA_ID_PREFIX = "media_"
_KEY = re.compile(
    r"(?:users/(?P<user>[^/]+)|(?P<tenant>[^/]+))/[a-z0-9-]+/[0-9]{4}/[0-9]{2}"
    r"/(?P<nanoid>[A-Za-z0-9_-]{16})(?:\.[a-z0-9]+|/[A-Za-z0-9_.-]+)"
)
"""Of a file, or of what is made from it."""
MEDIA_ID = re.compile(r"media_[A-Za-z0-9_-]{16}")


def media_id(nanoid: str) -> str:
    """The public id of a file."""
    return MEDIA_ID_PREFIX + nanoid


def is_media_id(text: str) -> bool:
    """Whether a file could have this id; nothing else may name a stream."""
    return MEDIA_ID.fullmatch(text) is not None


def object_key(
    owner: Owner, *, service_code: str, at: datetime, media_id: str, extension: str
) -> str:
    """`{tenant}/{service}/{YYYY}/{MM}/{nanoid}.{ext}`, or `users/{user}/…` for a personal file."""
    namespace = owner.id if owner.tenant_id else f"users/{owner.id}"
    nanoid = media_id.removeprefix(MEDIA_ID_PREFIX)
    return f"{namespace}/{service_code}/{at:%Y}/{at:%m}/{nanoid}.{extension}"


def media_id_of_key(key: str) -> str | None:
    """Which file an object belongs to; None for a key that this service never makes."""
    match = _KEY.fullmatch(key)
    return None if match is None else MEDIA_ID_PREFIX + match["nanoid"]


def owner_of_key(key: str) -> Owner | None:
    """In whose namespace an object stands; None for a key that this service never makes."""
    match = _KEY.fullmatch(key)
    if match is None:
        return None
    if match["user"] is not None:
        return user(match["user"]) if valid_user_id(match["user"]) else None
    return tenant(match["tenant"]) if valid_tenant_id(match["tenant"]) else None

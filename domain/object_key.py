"""The key namespace of the spec (4.3): made of ids, codes and dates, never of a file name."""

import re
from datetime import datetime

from domain.owner import Owner

ID_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID_LENGTH = 16
MEDIA_ID_PREFIX = "media_"
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


def media_id_of(key: str) -> str | None:
    """The id of the file whose original has this key; None for a key of no file of ours."""
    nanoid, _, _ = key.rpartition("/")[2].partition(".")
    found = media_id(nanoid)
    return found if is_media_id(found) else None

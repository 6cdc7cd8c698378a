"""Rules of single settings, and the refusal of a wrong one. Used by `adapters/settings.py`."""

import re
from collections.abc import Mapping, Sequence

from domain.media_type import MEDIA_TYPES, ServiceRules

PREFIX = "MEDIA_"
ORIGIN = re.compile(r"https?://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
LOCAL_ORIGIN = re.compile(
    r"https?://([a-z0-9.-]*\.)?(localhost|127\.[0-9.]+|0\.0\.0\.0|\[[0:]*1?\])(:[0-9]+)?"
)
"""This machine: any page that runs on it would be trusted."""
SERVICE_CODE = re.compile(r"[a-z0-9-]{1,32}")
CATEGORIES = {media_type.category for media_type in MEDIA_TYPES.values()}


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which and what to write instead."""


def check_origins(origins: Sequence[str], *, development: bool) -> None:
    """Raise SettingsError for what is no origin, or none that production may trust."""
    for origin in origins:
        if ORIGIN.fullmatch(origin) is None:
            raise SettingsError(
                f"{PREFIX}CORS_ORIGINS: {origin!r} is no origin; write https://host[:port], "
                "in small letters, without a path or wildcard."
            )
        local = LOCAL_ORIGIN.fullmatch(origin) is not None
        if local and not development:
            raise SettingsError(f"{PREFIX}CORS_ORIGINS: {origin} is for development only.")
        if not local and not origin.startswith("https://"):
            raise SettingsError(f"{PREFIX}CORS_ORIGINS: {origin} must be https.")


def check_services(services: Mapping[str, ServiceRules]) -> None:
    """Raise SettingsError for a code, limit or type that cannot be."""
    for code, rules in services.items():
        if SERVICE_CODE.fullmatch(code) is None:
            raise SettingsError(f"{PREFIX}SERVICES: {code!r} is no service code (a-z, 0-9, -).")
        if set(rules.max_bytes) != CATEGORIES:
            raise SettingsError(
                f"{PREFIX}SERVICES: max_bytes of {code} needs {', '.join(sorted(CATEGORIES))}."
            )
        for mime_type in rules.types:
            if mime_type not in MEDIA_TYPES:
                raise SettingsError(
                    f"{PREFIX}SERVICES: {code} names {mime_type!r}; "
                    f"known are {', '.join(MEDIA_TYPES)}."
                )

"""What we accept: MIME types, categories, sizes, extensions (spec 5.3); set per service."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from domain.errors import FileTooLarge, InvalidField, UnsupportedMime

Category = Literal["image", "video", "document"]

MEBIBYTE = 1024 * 1024
IMMUTABLE = "public, max-age=31536000, immutable"
REPLACEABLE = "public, max-age=86400"


class MediaType(msgspec.Struct, frozen=True):
    """One accepted MIME type and what follows from it."""

    mime_type: str
    category: Category
    extension: str
    cache_control: str
    """Spec 9.2."""
    disposition: Literal["inline", "attachment"] = "inline"


MEDIA_TYPES: Mapping[str, MediaType] = {
    media_type.mime_type: media_type
    for media_type in (
        MediaType("image/jpeg", "image", "jpg", IMMUTABLE),
        MediaType("image/png", "image", "png", IMMUTABLE),
        MediaType("image/webp", "image", "webp", IMMUTABLE),
        MediaType("image/gif", "image", "gif", IMMUTABLE),
        MediaType("image/svg+xml", "image", "svg", IMMUTABLE, "attachment"),
        MediaType("image/avif", "image", "avif", IMMUTABLE),
        MediaType("video/mp4", "video", "mp4", IMMUTABLE),
        MediaType("video/webm", "video", "webm", IMMUTABLE),
        MediaType("application/pdf", "document", "pdf", REPLACEABLE),
    )
}


class ServiceRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one service may upload: types, and the largest size of a category in bytes."""

    types: tuple[str, ...] = tuple(MEDIA_TYPES)
    max_bytes: Mapping[Category, int] = msgspec.field(
        default_factory=lambda: {
            "image": 10 * MEBIBYTE,
            "video": 10 * MEBIBYTE,
            "document": 10 * MEBIBYTE,
        }
    )

    @property
    def largest_bytes(self) -> int:
        """The largest file of any type the service may upload."""
        return max((self.max_bytes[MEDIA_TYPES[one].category] for one in self.types), default=0)


class UploadRules(msgspec.Struct, frozen=True):
    """The allowlist per service code."""

    services: Mapping[str, ServiceRules]

    def of(self, service_code: str) -> ServiceRules:
        """The rules of one service. Raises InvalidField when there is no such service."""
        rules = self.services.get(service_code)
        if rules is None:
            raise InvalidField("serviceCode", f"one of {', '.join(self.services)}")
        return rules

    def check(self, *, service_code: str, mime_type: str, file_size: int) -> MediaType:
        """The accepted type.

        Raises InvalidField for an unknown service, UnsupportedMime, or FileTooLarge.
        """
        rules = self.of(service_code)
        if mime_type not in rules.types or mime_type not in MEDIA_TYPES:
            raise UnsupportedMime(mime_type, rules.types)
        media_type = MEDIA_TYPES[mime_type]
        limit = rules.max_bytes[media_type.category]
        if file_size > limit:
            raise FileTooLarge(limit)
        return media_type

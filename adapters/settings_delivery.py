"""What is wrong with the delivery routes and the caches before them. For `settings_checks.py`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapters.settings import Settings

LARGEST_PURGE = 500
"""Addresses a call that Cloudflare takes on any plan."""
FASTEST_PURGE = 3_000
"""Addresses a second, likewise."""


def delivery_mistakes(settings: "Settings") -> Iterator[str]:
    """A sentence for each."""
    for name in ("delivery_base_url", "cloudflare_api_url"):
        url = getattr(settings, name)
        if url and not url.startswith(("http://", "https://")):
            yield f"MEDIA_{name.upper()} must be an http(s) URL, not {url!r}."
        if url.endswith("/"):
            yield f"MEDIA_{name.upper()} must not end in a slash."
    if bool(settings.cloudflare_zone_id) != bool(settings.cloudflare_api_token):
        yield "MEDIA_CLOUDFLARE_ZONE_ID and MEDIA_CLOUDFLARE_API_TOKEN go together: set both."
    if settings.cloudflare_zone_id and not settings.cloudflare_zone_id.isalnum():
        yield "MEDIA_CLOUDFLARE_ZONE_ID is letters and digits, as the zone's overview shows it."
    if not 1 <= settings.cloudflare_purge_urls <= LARGEST_PURGE:
        yield f"MEDIA_CLOUDFLARE_PURGE_URLS must be from 1 to {LARGEST_PURGE}."
    if not 1 <= settings.cloudflare_urls_per_second <= FASTEST_PURGE:
        yield f"MEDIA_CLOUDFLARE_URLS_PER_SECOND must be from 1 to {FASTEST_PURGE}."
    if settings.environment != "production":
        return
    if not settings.delivery_base_url.startswith("https://"):
        yield "MEDIA_DELIVERY_BASE_URL must be set, and https, in production."
    if not settings.cloudflare_api_url.startswith("https://"):
        yield "MEDIA_CLOUDFLARE_API_URL must be https in production: it is told a token."
    if settings.cdn == "cloudflare" and not settings.cloudflare_zone_id:
        yield (
            "MEDIA_CLOUDFLARE_ZONE_ID is not set: a deleted file would stay in the CDN for a year. "
            "Where there is no CDN, set MEDIA_CDN=none."
        )

"""What a configuration must not be: the checks of `adapters/settings.py`, each with a sentence."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from adapters.scanner_address import ScannerAddress
from adapters.settings_delivery import delivery_mistakes
from adapters.settings_presets import preset_trouble
from adapters.stop_points import stop_point
from adapters.url_gate import check_permitted
from domain.media_type import MEDIA_TYPES, ServiceRules

if TYPE_CHECKING:
    from adapters.settings import Settings

PREFIX = "MEDIA_"
ORIGIN = re.compile(r"https?://([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:[0-9]{1,5})?")
LOCAL_ORIGIN = re.compile(
    r"https?://([a-z0-9.-]*\.)?(localhost|127\.[0-9.]+|0\.0\.0\.0|\[[0:]*1?\])(:[0-9]+)?"
)
"""This machine: any page that runs on it would be trusted."""
SERVICE_CODE = re.compile(r"[a-z0-9-]{1,32}")
CATEGORIES = {media_type.category for media_type in MEDIA_TYPES.values()}
DEVELOPMENT_GATEWAY_KEY = "development-gateway-key"
DEVELOPMENT_CURSOR_KEY = "development-cursor-key"
MIN_SECRET_LENGTH = 32
LAST_PORT = 65_535
MOST: Mapping[str, int] = {
    **dict.fromkeys(("limit_presign", "limit_ingest", "limit_list", "limit_bulk_delete"), 100_000),
    "limit_purge_cache": 100_000,
    "limit_audit_export": 100_000,
    "bin_days": 3650,
    "placement_wait_seconds": 25,
    "redrive_after_seconds": 86_400,
    "live_streams": 1_000_000,
    "metrics_port": LAST_PORT,
}
"""Of the limits because Redis keeps the time of each request, some 10 bytes."""
SCHEMES: Mapping[str, tuple[str, ...]] = {
    "database_url": ("postgresql://", "postgres://"),
    "redis_url": ("redis://", "rediss://", "unix://"),
}
LONGEST_INGEST_WAIT = 25
"""Less than `api/process.py` drains for."""


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which and what to write instead."""


def check(settings: "Settings") -> None:
    """Raise SettingsError for what is wrong, or unfit for production."""
    _check_addresses(settings)
    _check_numbers(settings)
    for name in ("gateway_keys", "cursor_keys", "services"):
        if not getattr(settings, name):
            raise SettingsError(f"{PREFIX}{name.upper()} must name at least one.")
    _check_buckets(settings)
    _check_origins(settings.cors_origins, development=settings.environment == "development")
    _check_services(settings.services)
    _check_ingest(settings)
    _check_tracing(settings)
    _check_scanner(settings)
    _check_stop_point(settings)
    if (trouble := preset_trouble(settings.presets)) is not None:
        raise SettingsError(f"{PREFIX}PRESETS: {trouble}")
    for mistake in delivery_mistakes(settings):
        raise SettingsError(mistake)
    if settings.environment == "production":
        _check_production(settings)


def _check_addresses(settings: "Settings") -> None:
    for name in ("public_base_url", "s3_endpoint", "s3_upload_endpoint"):
        url = getattr(settings, name)
        if url and not url.startswith(("http://", "https://")):
            raise SettingsError(f"{PREFIX}{name.upper()} must be an http(s) URL, not {url!r}.")
        if url.endswith("/"):
            raise SettingsError(f"{PREFIX}{name.upper()} must not end in a slash.")
    for name, schemes in SCHEMES.items():
        if not getattr(settings, name).startswith(schemes):
            # Not the value: it holds a password.
            raise SettingsError(f"{PREFIX}{name.upper()} must begin with {' or '.join(schemes)}.")


def _check_numbers(settings: "Settings") -> None:
    for name in (
        "pending_lifetime_seconds",
        "sweep_interval_seconds",
        "job_threads",
        "decoders",
        "fetch_threads",
        "scan_threads",
        "render_threads",
        "job_heartbeat_seconds",
        "events_retention_seconds",
        "events_stream_length",
        "as_of_events",
        "webhook_threads",
        "database_pool_size",
    ):
        if getattr(settings, name) < 1:
            raise SettingsError(f"{PREFIX}{name.upper()} must be at least 1.")
    for name in ("port", "internal_port", "edge_port", "web_port"):
        if not 1 <= getattr(settings, name) <= LAST_PORT:
            raise SettingsError(f"{PREFIX}{name.upper()} must be from 1 to {LAST_PORT}.")
    for name, most in MOST.items():
        if not 0 <= getattr(settings, name) <= most:
            raise SettingsError(f"{PREFIX}{name.upper()} must be from 0 to {most}.")
    if any(seconds < 0 for seconds in settings.webhook_retry_seconds):
        raise SettingsError(f"{PREFIX}WEBHOOK_RETRY_SECONDS must not be negative.")


def _check_buckets(settings: "Settings") -> None:
    buckets = {
        settings.s3_incoming_bucket,
        settings.s3_public_bucket,
        settings.s3_private_bucket,
    }
    if len(buckets) < 3:  # noqa: PLR2004 - so many are named above
        raise SettingsError(
            f"{PREFIX}S3_INCOMING_BUCKET, {PREFIX}S3_PUBLIC_BUCKET and {PREFIX}S3_PRIVATE_BUCKET "
            "must be three buckets: what is not verified, or private, would be public."
        )


def _check_origins(origins: Sequence[str], *, development: bool) -> None:
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


def _check_services(services: Mapping[str, ServiceRules]) -> None:
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


def _check_ingest(settings: "Settings") -> None:
    if not 0 <= settings.ingest_wait_seconds <= LONGEST_INGEST_WAIT:
        raise SettingsError(
            f"{PREFIX}INGEST_WAIT_SECONDS must be 0 to {LONGEST_INGEST_WAIT}: a process that "
            "is stopped finishes the requests in flight within the time a deployer gives it."
        )
    try:
        check_permitted(frozenset(settings.permitted_sources))
    except ValueError as error:
        raise SettingsError(f"{PREFIX}PERMITTED_SOURCES: {error}") from None


def _check_scanner(settings: "Settings") -> None:
    try:
        if settings.scanner:
            ScannerAddress.parse(settings.scanner)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}SCANNER: {error}") from None


def _check_tracing(settings: "Settings") -> None:
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise SettingsError(
            f"OTEL_EXPORTER_OTLP_ENDPOINT must be an http(s) URL, not {endpoint!r}."
        )
    if not 0 <= settings.otel_traces_sampler_arg <= 1:
        raise SettingsError("OTEL_TRACES_SAMPLER_ARG must be from 0 to 1.")


def _check_stop_point(settings: "Settings") -> None:
    try:
        stop_point(settings.stop_point)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}STOP_POINT: {error}") from None


def _check_production(settings: "Settings") -> None:
    if settings.permitted_sources:
        raise SettingsError(f"{PREFIX}PERMITTED_SOURCES is for development only.")
    if DEVELOPMENT_GATEWAY_KEY in settings.gateway_keys:
        raise SettingsError(
            f"{PREFIX}GATEWAY_KEYS holds the development key; production needs its own."
        )
    if DEVELOPMENT_CURSOR_KEY in settings.cursor_keys:
        raise SettingsError(
            f"{PREFIX}CURSOR_KEYS holds the development key; production needs its own."
        )
    if any(len(key) < MIN_SECRET_LENGTH for key in (*settings.gateway_keys, *settings.cursor_keys)):
        raise SettingsError(
            f"Gateway and cursor keys need {MIN_SECRET_LENGTH} characters in production."
        )
    if not (settings.s3_upload_endpoint or settings.s3_endpoint).startswith("https://"):
        raise SettingsError(
            f"{PREFIX}S3_UPLOAD_ENDPOINT, or {PREFIX}S3_ENDPOINT without it, must be https in "
            "production: browsers upload there."
        )
    if settings.permitted_receivers:
        raise SettingsError(f"{PREFIX}PERMITTED_RECEIVERS is for development only.")
    if settings.stop_point:
        raise SettingsError(f"{PREFIX}STOP_POINT is for development only.")
    if not settings.public_base_url.startswith("https://"):
        raise SettingsError(f"{PREFIX}PUBLIC_BASE_URL must be https in production.")

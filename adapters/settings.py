"""Every `MEDIA_*` variable, typed and checked at start. The one reader of the environment."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, Self, get_type_hints
from urllib.parse import unquote

import msgspec

from adapters.settings_checks import (
    DEVELOPMENT_CURSOR_KEY,
    DEVELOPMENT_GATEWAY_KEY,
    PREFIX,
    SettingsError,
    check,
)
from domain.access import OwnerBypass
from domain.media_type import ServiceRules, UploadRules
from domain.metadata import MetadataPolicy
from domain.rendition import DEFAULT_PRESETS, Preset

__all__ = [
    "DEFAULT_SERVICES",
    "DEVELOPMENT_CURSOR_KEY",
    "DEVELOPMENT_GATEWAY_KEY",
    "PREFIX",
    "Settings",
    "SettingsError",
    "child_environment",
    "variable_of",
]

DEFAULT_SERVICES = ("blog", "content", "chatbot", "newsletter", "store", "avatar", "workspace")
DEVELOPMENT_ORIGIN = "http://localhost:3000"

STANDARD_NAMES = ("otel_", "prometheus_")
"""Fields that begin so are variables other products know too, and have no prefix of ours."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration of one process. A field `x_y` is read from `MEDIA_X_Y`; lists by comma."""

    environment: Literal["development", "production"] = "production"
    """`production` refuses every development default."""
    database_url: str
    """PostgreSQL, as `postgresql://user:password@host:port/database`."""
    redis_url: str
    """Redis or Valkey, as `redis://[:password@]host:port/0`: job queue and wake-up hints."""
    redis_namespace: str = "media"
    """What every key and channel in Redis begins with, so that installations can share one."""

    gateway_keys: tuple[str, ...] = (DEVELOPMENT_GATEWAY_KEY,)
    """Secrets accepted in `x-gateway-key`. Rotation: add the new one, switch, drop the old."""
    cursor_keys: tuple[str, ...] = (DEVELOPMENT_CURSOR_KEY,)
    """Secrets that sign page cursors, the newest last."""
    owner_bypass: OwnerBypass = "all"
    """How far `system:owner` reaches: `all` workspaces, or its own `tenant` (spec 6.3)."""
    cors_origins: tuple[str, ...] = ("https://app.logicspike.com", "https://logicspike.com")
    """Origins whose pages may read answers (spec 6.8). Development adds `http://localhost:3000`."""

    public_base_url: str
    """Where public files are served, without a trailing slash. It has no fallback (spec 15)."""
    delivery_base_url: str = ""
    """Where `/cdn` and `/m` are reached from outside; production needs it. Else this machine."""
    cdn: Literal["cloudflare", "none"] = "cloudflare"
    """What keeps copies of public files: `none` says that production has no CDN to be purged."""
    cloudflare_zone_id: str = ""
    """The zone of the two domains above; without it, as in development, no cache is told."""
    cloudflare_api_token: str = ""
    """An API token with the permission *Cache Purge* on that zone, and no other."""
    cloudflare_api_url: str = "https://api.cloudflare.com/client/v4"
    """Cloudflare's API; in development the edge, which speaks as much of it."""
    cloudflare_purge_urls: int = 30
    """Addresses in one call: every plan takes 30, all but old ones 100, Enterprise 500."""
    cloudflare_urls_per_second: int = 200
    """Addresses a second of one process; the Free plan takes 800 from an account."""
    s3_endpoint: str
    """The S3 API, as `https://<account>.r2.cloudflarestorage.com`."""
    s3_upload_endpoint: str = ""
    """Where browsers send presigned requests; the S3 API itself unless set."""
    s3_region: str = "auto"
    """`auto` for R2."""
    s3_access_key: str
    """Access key id of an R2 token with read and write on the three buckets."""
    s3_secret_key: str
    """Its secret."""
    s3_incoming_bucket: str = "incoming"
    """Private: what browsers upload, until it is verified."""
    s3_public_bucket: str = "public"
    """Served by the CDN."""
    s3_private_bucket: str = "private"
    """Files with `isPublic: false`."""

    services: Mapping[str, ServiceRules] = msgspec.field(
        default_factory=lambda: {code: ServiceRules() for code in DEFAULT_SERVICES}
    )
    """JSON: service code → `{"types": […], "max_bytes": {"image": …}}`, both optional."""

    presets: Mapping[str, Preset] = msgspec.field(default_factory=lambda: DEFAULT_PRESETS)
    """JSON: the variants there are, name → `{"width", "height", "fit", "formats", …}` (ADR 19)."""
    metadata_policy: MetadataPolicy = "strip-location"
    """What is removed of metadata before a file is served (ADR 20); `keep`: nothing."""

    limit_presign: int = 60
    """Presigns a minute for each workspace (spec 6.7); 0 is no limit, here and below."""
    limit_ingest: int = 20
    """Fetches of a URL a minute for each workspace."""
    limit_list: int = 120
    """File lists a minute for each user."""
    limit_bulk_delete: int = 10
    """Bulk deletes a minute for each workspace."""
    limit_purge_cache: int = 60
    """Cache purges asked for a minute for each workspace: Cloudflare counts all of an account."""
    limit_audit_export: int = 6
    """Exports of the audit trail begun a minute for each workspace."""

    pending_lifetime_seconds: int = 24 * 3600
    """An upload that is not completed by then expires (spec 15, 16)."""
    bin_days: int = 30
    """How long a deleted file can be restored before its bytes are purged; 0 purges at once."""
    placement_wait_seconds: int = 10
    """How long a restore, an undo or a change of visibility waits for the bytes to have moved."""
    sweep_interval_seconds: int = 300
    """How often the scheduler asks for the expiry sweep."""
    redrive_after_seconds: int = 120
    """Work whose effect is not in the log this long after it was due is sent again."""

    metrics_port: int = 0
    """Port on which this process alone serves its `/metrics`; 0 is none. Never published."""
    prometheus_multiproc_dir: str = ""
    """A folder that the processes of one host share for their metrics; empty at the start."""
    ingest_wait_seconds: int = 25
    """How long `POST /upload/ingest-url` waits for the outcome before it answers 202; 0 to 25."""
    permitted_sources: tuple[str, ...] = ()
    """`host:port` pairs that an ingest may fetch from wherever they lead, as a server on this
    machine. For development: production does not start with any."""

    otel_exporter_otlp_endpoint: str = ""
    """Collector of traces (OTLP over HTTP), as `http://collector:4318`; without, none are made."""
    otel_exporter_otlp_headers: str = ""
    """What the collector asks for, as `name=value,name=value`. A secret."""
    otel_service_name: str = "media"
    """The name in traces."""
    otel_traces_sampler_arg: float = 1.0
    """The share of traces that is kept, 0 to 1, where the caller has not decided."""
    events_retention_seconds: int = 7 * 24 * 3600
    """How long integration events stay on their Redis streams; the log keeps them for ever."""
    events_stream_length: int = 100_000
    """How many of them stay at most, so that Redis cannot fill up: about 1 kB each, twice."""

    live_streams: int = 5_000
    """Open `GET /files/events` one process serves at most; a client beyond that tries later."""

    as_of_events: int = 250_000
    """Events of one library that a question about its past reads at most; more is refused."""

    host: str = "127.0.0.1"
    """Address the HTTP processes listen on."""
    port: int = 8789
    """Port of the public app."""
    internal_port: int = 8790
    """Port of the internal app; never published."""
    edge_port: int = 8787
    """Port of the development edge."""
    web_port: int = 3000
    """Port of the development gateway, which serves the dashboard."""
    database_pool_size: int = 10
    """Connections a process may hold."""
    job_threads: int = 8
    """Jobs one worker process runs at once, fetches of ingest sources apart."""
    render_threads: int = 4
    """Files one worker process looks into or makes variants of at once, as far as `decoders` go."""
    fetch_threads: int = 24
    """Sources one worker process fetches at once. More than a workspace may ask for in the minute
    that a fetch takes at most, so that no single one takes all with slow sources. Each needs
    room for its file in the temporary folder."""
    webhook_retry_seconds: tuple[int, ...] = (
        *(5, 300, 1800, 7200, 18_000),
        *(36_000, 50_400, 72_000, 86_400),
    )
    """How long to wait after each failed attempt to deliver a message; over three days in all."""
    webhook_threads: int = 16
    """Receivers one process sends to at once, and as many again that failed last time."""
    permitted_receivers: tuple[str, ...] = ()
    """`host:port` pairs that webhooks may call whatever they lead to; refused in production."""
    job_heartbeat_seconds: int = 20
    """A worker process silent for so long is taken for dead; others take up its jobs."""
    decoders: int = 2
    """Uploaded files a process decodes at once; each takes 50 MB idle and at most 1.5 GiB."""
    scanner: str = ""
    """ClamAV's daemon, as `clamd://host:3310`: nothing is released before it has said clean.
    Without, nothing is scanned."""
    scan_threads: int = 4
    """Files one worker process has scanned at once, of those no request waits for."""
    liveness_file: str = ""
    """A file that a worker touches every 5 s while it lives, for container health checks."""
    stop_point: str = ""
    """`name` or `name:n`: this process kills itself the n-th time it comes by there. For proofs
    that nothing is lost (`./dev faults`); the names stand in `adapters/stop_points.py`. Refused in
    production."""
    docs: bool = False
    """Whether `/openapi.json` and `/docs` are served."""
    log_format: Literal["json", "console"] = "json"
    """One JSON object a line, or coloured lines for people."""

    @property
    def delivery_url(self) -> str:
        """`delivery_base_url`, or the public app itself in development."""
        return self.delivery_base_url or f"http://localhost:{self.port}"

    @property
    def bin_for(self) -> timedelta:
        """`bin_days` as a duration."""
        return timedelta(days=self.bin_days)

    @property
    def pending_lifetime(self) -> timedelta:
        """`pending_lifetime_seconds` as a duration."""
        return timedelta(seconds=self.pending_lifetime_seconds)

    @property
    def upload_rules(self) -> UploadRules:
        """The allowlist of spec 5.3."""
        return UploadRules(self.services)

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """`cors_origins`, and the dashboard's in development."""
        local = (DEVELOPMENT_ORIGIN,) if self.environment == "development" else ()
        return (*self.cors_origins, *local)

    @property
    def otel_headers(self) -> Mapping[str, str]:
        """`otel_exporter_otlp_headers` by name."""
        pairs = (part.partition("=") for part in self.otel_exporter_otlp_headers.split(",") if part)
        return {name.strip().lower(): unquote(value.strip()) for name, _, value in pairs}

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read and check the environment. Raises SettingsError with a sentence."""
        environ = os.environ if environ is None else environ  # noqa: TID251 - this is the place
        values: dict[str, object] = {}
        hints = get_type_hints(cls)
        for field in msgspec.structs.fields(cls):
            text = environ.get(variable_of(field.name), "").strip()
            if not text:
                if field.required:
                    raise SettingsError(f"{variable_of(field.name)} is not set.")
                continue
            values[field.name] = _parse(field.name, text, hints[field.name])
        settings = cls(**values)  # type: ignore[arg-type]
        check(settings)
        return settings


def variable_of(field: str) -> str:
    """The environment variable that a field of Settings is read from."""
    return field.upper() if field.startswith(STANDARD_NAMES) else PREFIX + field.upper()


def child_environment(
    values: Mapping[str, str],
    *,
    defaults: Mapping[str, str] | None = None,
    without: tuple[str, ...] = (),
) -> dict[str, str]:
    """Our own environment for a child process, less the names with the prefixes `without`.

    `values` win over it, and it wins over `defaults`.
    """
    own = os.environ  # noqa: TID251 - this is the place
    kept = {name: text for name, text in own.items() if not name.startswith(without)}
    return {**(defaults or {}), **kept, **values}


def _parse(name: str, text: str, kind: object) -> object:
    try:
        if kind == tuple[str, ...]:
            return tuple(part.strip() for part in text.split(",") if part.strip())
        if kind == tuple[int, ...]:
            return msgspec.convert(text.split(","), kind, strict=False)
        if kind in (str, int, float, bool):
            return msgspec.convert(text, kind, strict=False)
        if name in ("services", "presets"):
            return msgspec.json.decode(text, type=kind)
        return msgspec.convert(text, kind)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{variable_of(name)} is wrong: {error}") from error

"""Every `MEDIA_*` variable, typed and checked at start. The one reader of the environment."""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Literal, Self, get_type_hints

import msgspec

from domain.access import OwnerBypass
from domain.media_type import MEDIA_TYPES, ServiceRules, UploadRules

DEVELOPMENT_GATEWAY_KEY = "development-gateway-key"
DEVELOPMENT_CURSOR_KEY = "development-cursor-key"
DEFAULT_SERVICES = ("blog", "content", "chatbot", "newsletter", "store", "avatar", "workspace")

PREFIX = "MEDIA_"
MIN_SECRET_LENGTH = 32
SERVICE_CODE = re.compile(r"[a-z0-9-]{1,32}")
CATEGORIES = {media_type.category for media_type in MEDIA_TYPES.values()}


class SettingsError(Exception):
    """A setting is missing or wrong; the message says which and what to write instead."""


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

    public_base_url: str
    """Where public files are served, without a trailing slash. It has no fallback (spec 15)."""
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

    pending_lifetime_seconds: int = 24 * 3600
    """An upload that is not completed by then expires (spec 15, 16)."""
    sweep_interval_seconds: int = 300
    """How often the scheduler asks for the expiry sweep."""
    redrive_after_seconds: int = 120
    """Work whose effect is not in the log this long after it was due is sent again."""

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
    """Jobs one worker process runs at once."""
    job_heartbeat_seconds: int = 20
    """A worker process silent for so long is taken for dead; others take up its jobs."""
    liveness_file: str = ""
    """A file that a worker touches every 5 s while it lives, for container health checks."""
    docs: bool = False
    """Whether `/openapi.json` and `/docs` are served."""
    log_format: Literal["json", "console"] = "json"
    """One JSON object a line, or coloured lines for people."""

    @property
    def pending_lifetime(self) -> timedelta:
        """`pending_lifetime_seconds` as a duration."""
        return timedelta(seconds=self.pending_lifetime_seconds)

    @property
    def upload_rules(self) -> UploadRules:
        """The allowlist of spec 5.3."""
        return UploadRules(self.services)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read and check the environment. Raises SettingsError with a sentence."""
        environ = os.environ if environ is None else environ  # noqa: TID251 - this is the place
        values: dict[str, object] = {}
        hints = get_type_hints(cls)
        for field in msgspec.structs.fields(cls):
            text = environ.get(PREFIX + field.name.upper(), "").strip()
            if not text:
                if field.required:
                    raise SettingsError(f"{PREFIX}{field.name.upper()} is not set.")
                continue
            values[field.name] = _parse(field.name, text, hints[field.name])
        settings = cls(**values)  # type: ignore[arg-type]
        settings._check()
        return settings

    def _check(self) -> None:
        for name in ("public_base_url", "s3_endpoint", "s3_upload_endpoint"):
            url = getattr(self, name)
            if url and not url.startswith(("http://", "https://")):
                raise SettingsError(f"{PREFIX}{name.upper()} must be an http(s) URL, not {url!r}.")
            if url.endswith("/"):
                raise SettingsError(f"{PREFIX}{name.upper()} must not end in a slash.")
        for name in (
            "pending_lifetime_seconds",
            "sweep_interval_seconds",
            "job_threads",
            "job_heartbeat_seconds",
        ):
            if getattr(self, name) < 1:
                raise SettingsError(f"{PREFIX}{name.upper()} must be at least 1.")
        for code, rules in self.services.items():
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
        if self.environment == "production":
            self._check_production()

    def _check_production(self) -> None:
        if DEVELOPMENT_GATEWAY_KEY in self.gateway_keys:
            raise SettingsError(
                f"{PREFIX}GATEWAY_KEYS holds the development key; production needs its own."
            )
        if DEVELOPMENT_CURSOR_KEY in self.cursor_keys:
            raise SettingsError(
                f"{PREFIX}CURSOR_KEYS holds the development key; production needs its own."
            )
        if any(len(key) < MIN_SECRET_LENGTH for key in (*self.gateway_keys, *self.cursor_keys)):
            raise SettingsError(
                f"Gateway and cursor keys need {MIN_SECRET_LENGTH} characters in production."
            )
        if not self.public_base_url.startswith("https://"):
            raise SettingsError(f"{PREFIX}PUBLIC_BASE_URL must be https in production.")


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
        if kind in (str, int, bool):
            return msgspec.convert(text, kind, strict=False)
        if name == "services":
            return msgspec.json.decode(text, type=dict[str, ServiceRules])
        return msgspec.convert(text, kind)
    except msgspec.MsgspecError as error:
        raise SettingsError(f"{PREFIX}{name.upper()} is wrong: {error}") from error

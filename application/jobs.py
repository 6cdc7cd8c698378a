"""The jobs: what is to be done outside a request, with the policy of each. All may run twice."""

from datetime import datetime
from typing import ClassVar

import msgspec


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work. The policy travels with the type."""

    NAME: ClassVar[str]
    """The actor's name; by hand, since messages outlive a deploy."""
    MAX_RETRIES: ClassVar[int] = 8
    MIN_BACKOFF_SECONDS: ClassVar[float] = 1
    MAX_BACKOFF_SECONDS: ClassVar[float] = 300
    TIME_LIMIT_SECONDS: ClassVar[float] = 90
    CHAIN_SECONDS: ClassVar[float] = 900
    """How long all retries take at most: for so long a job that was sent counts as not lost."""
    QUEUE: ClassVar[str] = "media"
    """Jobs of another queue have threads of their own, and wait for none of these."""


class FetchSource(Job, frozen=True, kw_only=True):
    """Copy what an ingest's URL leads to into incoming."""

    NAME: ClassVar[str] = "fetch_source"
    QUEUE: ClassVar[str] = "media_fetch"
    """A source may take a minute: no deletion waits behind it."""
    media_id: str


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """The event that called for a job. Told to logs and traces.

    Decided by it is only whether a job that was given up is asked for anew.
    """

    correlation_id: str
    """Of the request that wrote the event."""
    owner: str
    """Whose event it is, as stored: `t:<tenant>` or `u:<user>`."""
    position: int


class DiscardIncoming(Job, frozen=True, kw_only=True):
    """Remove the uploaded bytes from incoming, now that the file stands in its own bucket."""

    NAME: ClassVar[str] = "discard_incoming"
    media_id: str
    key: str


class VerifyUpload(Job, frozen=True, kw_only=True):
    """Finish a verification that took longer than its request could wait."""

    NAME: ClassVar[str] = "verify_upload"
    media_id: str


class ScanUpload(Job, frozen=True, kw_only=True):
    """Have the stored bytes of an upload scanned, which no request waits for."""

    NAME: ClassVar[str] = "scan_upload"
    QUEUE: ClassVar[str] = "media_scan"
    """A scanner may be slow, or away: nothing else waits behind it."""
    MAX_RETRIES: ClassVar[int] = 14
    MIN_BACKOFF_SECONDS: ClassVar[float] = 5
    """Over half an hour in all: a scanner that starts anew loads its signatures for minutes."""
    TIME_LIMIT_SECONDS: ClassVar[float] = 600
    CHAIN_SECONDS: ClassVar[float] = 3600
    media_id: str


class PurgeObjects(Job, frozen=True, kw_only=True):
    """Remove the bytes of a file whose life is over from every bucket."""

    NAME: ClassVar[str] = "purge_objects"
    media_id: str
    not_before: datetime | None = None
    """When the last possible writer is gone: a second, final pass."""


class PurgeCache(Job, frozen=True, kw_only=True):
    """Have the caches drop what they keep of a file."""

    NAME: ClassVar[str] = "purge_cache"
    QUEUE: ClassVar[str] = "media_cache"
    """A CDN that is slow or refuses holds up nothing else."""
    MAX_RETRIES: ClassVar[int] = 16
    CHAIN_SECONDS: ClassVar[float] = 2700
    TIME_LIMIT_SECONDS: ClassVar[float] = 180
    media_id: str
    not_before: datetime | None = None
    """Of a second pass."""


class InspectFile(Job, frozen=True, kw_only=True):
    """Look into a served file, and make of it what is made at once."""

    NAME: ClassVar[str] = "inspect_file"
    QUEUE: ClassVar[str] = "media_render"
    """Pictures take long and may take turns at dying: no deletion waits behind them."""
    TIME_LIMIT_SECONDS: ClassVar[float] = 300
    """Waiting for a decoder included; each decode has a limit of its own."""
    media_id: str


class DeriveRendition(Job, frozen=True, kw_only=True):
    """Make one rendition that somebody asked for."""

    NAME: ClassVar[str] = "derive_rendition"
    QUEUE: ClassVar[str] = InspectFile.QUEUE
    TIME_LIMIT_SECONDS: ClassVar[float] = 300
    media_id: str
    preset: str
    format: str
    """MIME type."""


class ClearRenditions(Job, frozen=True, kw_only=True):
    """Remove what stands beside a file and belongs to it no longer."""

    NAME: ClassVar[str] = "clear_renditions"
    media_id: str


class PlaceObjects(Job, frozen=True, kw_only=True):
    """Move the bytes of a file into the bucket where they belong."""

    NAME: ClassVar[str] = "place_objects"
    media_id: str
    not_before: datetime | None = None
    """When the last possible writer is gone: a second, final pass."""


class DeliverWebhook(Job, frozen=True, kw_only=True):
    """Send a webhook the messages that are due."""

    NAME: ClassVar[str] = "deliver_webhook"
    QUEUE: ClassVar[str] = "webhooks"
    MAX_RETRIES: ClassVar[int] = 0
    webhook_id: str


class RetryWebhook(DeliverWebhook, frozen=True, kw_only=True):
    """The same for a receiver that failed last time: it must not keep the others waiting."""

    NAME: ClassVar[str] = "retry_webhook"
    QUEUE: ClassVar[str] = "webhooks_failing"


class RemoveTenantFiles(Job, frozen=True, kw_only=True):
    """Delete every file of a removed workspace."""

    NAME: ClassVar[str] = "remove_tenant_files"
    MAX_RETRIES: ClassVar[int] = 100
    TIME_LIMIT_SECONDS: ClassVar[float] = 1800
    tenant_id: str


class SweepUploads(Job, frozen=True, kw_only=True):
    """Expire pending uploads that nobody completed, and empty incoming of what is left over."""

    NAME: ClassVar[str] = "sweep_uploads"
    MAX_RETRIES: ClassVar[int] = 0
    TIME_LIMIT_SECONDS: ClassVar[float] = 1800


JOBS: tuple[type[Job], ...] = (
    FetchSource,
    DiscardIncoming,
    VerifyUpload,
    ScanUpload,
    PurgeObjects,
    PurgeCache,
    InspectFile,
    DeriveRendition,
    ClearRenditions,
    PlaceObjects,
    DeliverWebhook,
    RetryWebhook,
    RemoveTenantFiles,
    SweepUploads,
)

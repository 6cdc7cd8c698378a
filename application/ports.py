"""What the application needs of the world, as Protocols. Adapters fill them; no vendor is named."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import BinaryIO, Literal, Protocol

import msgspec

from application.context import Idempotency
from application.jobs import Cause, Job
from domain.event import Recorded
from domain.placement import Home
from domain.reconciliation import Listed

Bucket = Literal["incoming", "public", "private"]
BUCKETS: tuple[Bucket, ...] = ("incoming", "public", "private")


class Clock(Protocol):
    """The time, in UTC, whole milliseconds."""

    def __call__(self) -> datetime:
        """Now."""
        ...


class Identities(Protocol):
    """Random ids."""

    def nanoid(self) -> str:
        """16 random characters of a public id."""
        ...

    def command_id(self) -> str:
        """The id of one command."""
        ...


class KeptOutcome(msgspec.Struct, frozen=True):
    """What a command with an Idempotency-Key answered the first time."""

    fingerprint: str
    outcome: bytes
    """JSON, as given to `append`."""
    position: int
    command_id: str | None = None
    """Of that command; None where a version before ids were kept wrote it."""


class StreamChanged(Exception):
    """Somebody else appended to one of the streams first: load and decide again."""


class KeyTaken(Exception):
    """The Idempotency-Key was used before, within its 24 h; carries what it led to."""

    def __init__(self, kept: KeptOutcome) -> None:
        super().__init__("idempotency key taken")
        self.kept = kept


class KeyClaim(msgspec.Struct, frozen=True):
    """An Idempotency-Key to be recorded in the same transaction as the events it led to."""

    owner: str
    user_id: str
    idempotency: Idempotency
    outcome: bytes
    at: datetime
    command_id: str | None = None


class IngestSource(msgspec.Struct, frozen=True):
    """The whole URL of an ingest, to be kept beside the log until it is fetched."""

    owner: str
    media_id: str
    url: str
    at: datetime


class EventStore(Protocol):
    """The write side of the log."""

    async def load(self, streams: Sequence[str]) -> Mapping[str, Sequence[Recorded]]:
        """The whole history of each stream, oldest first; a missing stream is an empty history.

        Reads across tenants by exact stream id: the ownership check comes after.
        """
        ...

    async def command_streams(self, command_id: str) -> Sequence[str]:
        """The streams that the command appended to, by its exact id; none when there is none.

        Reads across tenants: the ownership check comes after.
        """
        ...

    async def append(
        self,
        events: Sequence[Recorded],
        *,
        claim: KeyClaim | None = None,
        source: IngestSource | None = None,
    ) -> int:
        """Append atomically and return the position of the last event (0 if there is none).

        Positions are consecutive in the order of `events`, whose owners may differ.

        Raises StreamChanged, KeyTaken or TenantRemoved, when nothing was written, or
        DatabaseUnavailable, whose text says so where a lost connection leaves it unknown.
        """
        ...

    async def append_removal(self, event: Recorded) -> int:
        """Append TenantRemoved and close the tenant to further appends, atomically with them."""
        ...

    async def kept_outcome(
        self, *, owner: str, user_id: str, idempotency: Idempotency, at: datetime
    ) -> KeptOutcome | None:
        """What this key led to before, if it was used in the last 24 h."""
        ...


class StoredObject(msgspec.Struct, frozen=True):
    """What the store says of an object."""

    size: int
    content_type: str
    etag: str


class ObjectHeaders(msgspec.Struct, frozen=True):
    """What an object is served with."""

    content_type: str
    cache_control: str
    content_disposition: str


class SignedRequest(msgspec.Struct, frozen=True):
    """A URL that works without credentials, and the headers that must be sent with it."""

    url: str
    headers: Mapping[str, str]
    expires_at: datetime


class ObjectChanged(Exception):
    """The object is no longer the one that was looked at (its ETag differs)."""


class ObjectExists(Exception):
    """Something stands under the key, and nothing that stands is replaced."""


class ObjectStore(Protocol):
    """R2, or any S3 server. Methods raise ObjectStoreUnavailable after bounded retries."""

    def sign_put(
        self, key: str, *, content_type: str, size: int, sha256: str | None, at: datetime
    ) -> SignedRequest:
        """A PUT into the incoming bucket, good for UPLOAD_URL_LIFETIME from `at` (to the second).

        Pins type, length, `If-None-Match: *` and, if given, the SHA-256 (hex).
        """
        ...

    def sign_get(
        self,
        bucket: Bucket,
        key: str,
        *,
        content_disposition: str,
        lifetime: int,
        at: datetime,
        content_type: str | None = None,
    ) -> SignedRequest:
        """A GET that lives `lifetime` seconds and answers with this disposition, and type."""
        ...

    async def head(self, bucket: Bucket, key: str) -> StoredObject | None:
        """What is stored under the key, or None."""
        ...

    def stream(self, bucket: Bucket, key: str, *, etag: str) -> AsyncGenerator[bytes, None]:
        """The object's bytes in parts; whoever stops early closes it. Raises ObjectChanged."""
        ...

    async def copy(
        self, key: str, *, source: Bucket, target: Bucket, etag: str, headers: ObjectHeaders
    ) -> None:
        """Copy under the same key, if the source still has the ETag and the target has nothing.

        Raises ObjectChanged or ObjectExists.
        """
        ...

    async def write(
        self, bucket: Bucket, key: str, body: bytes | BinaryIO, *, headers: ObjectHeaders
    ) -> None:
        """Store bytes of our own making where nothing stands. Raises ObjectExists."""
        ...

    async def write_file(
        self, bucket: Bucket, key: str, file: BinaryIO, *, headers: ObjectHeaders
    ) -> None:
        """Store a file that can be sought in, from its beginning, in place of what stands there."""
        ...

    async def delete(self, bucket: Bucket, keys: Sequence[str]) -> None:
        """Remove the objects (at most 1,000); those that are not there count as removed."""
        ...

    def listed(self, bucket: Home, *, after: str) -> AsyncIterator[Sequence[Listed]]:
        """Pages of objects behind the key `after`, in the order of their keys."""
        ...

    def list_folder(self, bucket: Bucket, folder: str) -> AsyncIterator[str]:
        """Keys of all objects that begin with the folder's name, its slash included."""
        ...

    def list_older_than(self, bucket: Bucket, before: datetime) -> AsyncIterator[str]:
        """Keys of objects last modified before the time."""
        ...


class ContentInspector(Protocol):
    """The first look at untrusted bytes."""

    def is_of_type(self, head: bytes, mime_type: str) -> bool:
        """Whether the first bytes of a file are of the declared type."""
        ...


HEAD_BYTES = 4096
"""How much of a file `ContentInspector.is_of_type` wants to see."""


class Accepted(msgspec.Struct, frozen=True):
    """The file was decoded to its end."""

    size: int
    """Of what is to be served."""
    rewritten: BinaryIO | None = None
    """What is to be stored in its place, from the start; None: the bytes as they are."""
    removed: tuple[str, ...] = ()
    """Where it told what is not to be served, and does no longer (`domain/metadata.py`)."""


class Refused(msgspec.Struct, frozen=True):
    """The file is not to be served."""

    reason: str
    """A stable code, listed at `UploadRejected`."""
    detail: str
    """A sentence for the event and the caller; at most 200 printable characters."""


class SandboxUnavailable(Exception):
    """Nobody could look at the file, which says nothing about it: try again."""


class ContentProof(Protocol):
    """Proves that a whole file is what it is declared to be."""

    def prove(
        self, parts: AsyncIterator[bytes], *, mime_type: str
    ) -> AbstractAsyncContextManager[Accepted | Refused]:
        """The verdict on a file; its rewritten bytes live as long as the block.

        Waits for its turn before it takes the first part. Raises SandboxUnavailable, and
        whatever the parts raise.
        """
        ...


class WorkList(Protocol):
    """What is still to be done, as the read models know it."""

    def overdue_uploads(self, before: datetime) -> AsyncIterator[str]:
        """Ids of uploads that are pending and were requested before the time."""
        ...

    def overdue_bins(self, before: datetime) -> AsyncIterator[str]:
        """Ids of files whose time in the bin was over at the time."""
        ...

    async def unfinished_jobs(self, before: datetime, limit: int) -> Sequence[Job]:
        """Jobs whose effect was due before the time and is not yet in the log."""
        ...

    def files_of(self, owner: str) -> AsyncIterator[str]:
        """Ids of all files the owner ever had, from the audit trail."""
        ...

    async def caught_up(self, position: int) -> bool:
        """Whether the read models behind this list have reached the position."""
        ...


class JobQueue(Protocol):
    """Where jobs go. It may lose them: the log is the truth."""

    def send(self, job: Job, *, delay_seconds: float = 0, cause: Cause | None = None) -> None:
        """Hand the job over, to be run not before the delay is over."""
        ...

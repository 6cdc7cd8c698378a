"""A small library of real files: what a user can do and see, without HTTP between."""

from datetime import datetime, timedelta

from adapters.content_inspector import MagicContentInspector
from adapters.postgres_file_locks import PostgresFileLocks
from adapters.runtime import Runtime
from adapters.system import utc_now
from application.context import Context, Idempotency, SystemContext
from application.deletion import Deletion
from application.placement import Placement
from application.ports import BUCKETS, Bucket, ContentProof, ObjectHeaders, ObjectStore
from application.scan_ports import MalwareScanner
from application.uploads import CompleteUpload, RequestUpload, Uploads
from application.verification import Verification
from domain.access import Caller
from domain.media_file import MediaFile
from tests.kit.objects import replace

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000b49444154789c634800"
    "020003c50181277459130000000049454e44ae426082"
)
"""A whole one, of one pixel."""
AN_HOUR_AGO = timedelta(hours=1)
"""Long enough for no verification to be running any more, so that a purge is final at once."""


def uploads_over(
    objects: ObjectStore,
    runtime: Runtime,
    *,
    proof: ContentProof | None = None,
    scanner: MalwareScanner | None = None,
) -> Uploads:
    """The upload commands of the runtime over another object store, sandbox or scanner."""
    return Uploads(
        runtime.media,
        objects,
        Verification(objects, MagicContentInspector(), proof or runtime.proof, scanner),
        runtime.identities,
        Placement(runtime.media, objects, PostgresFileLocks(runtime.pool, at_once=2)),
        rules=runtime.settings.upload_rules,
        pending_lifetime=runtime.settings.pending_lifetime,
        owner_bypass=runtime.settings.owner_bypass,
    )


def deletion_over(
    objects: ObjectStore, runtime: Runtime, *, bin_for: timedelta | None = None
) -> Deletion:
    """The deletion commands and jobs of the runtime over another object store, or bin."""
    return Deletion(
        runtime.media,
        objects,
        PostgresFileLocks(runtime.pool, at_once=2),
        owner_bypass="all",
        bin_for=runtime.settings.bin_for if bin_for is None else bin_for,
    )


class Library:
    """What a user and an operator can do and see, without HTTP between."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime

    async def stored(
        self, *, tenant: str = "ls_abc123", at: datetime | None = None, body: bytes = PNG
    ) -> MediaFile:
        """A pending upload whose bytes are in incoming."""
        at = at or utc_now() - AN_HOUR_AGO
        command = RequestUpload(
            file_name="pixel.png",
            content_type="image/png",
            file_size=len(body),
            service_code="blog",
        )
        upload = await self.runtime.uploads.request_upload(command, self.context(tenant, at))
        await self.put("incoming", upload.file.key, body)
        return upload.file

    async def put(
        self, bucket: Bucket, key: str, body: bytes = PNG, *, content_type: str = "image/png"
    ) -> None:
        headers = ObjectHeaders(content_type, "no-store", "inline")
        await replace(self.runtime.objects, bucket, key, body, headers=headers)

    async def uploaded(self, *, tenant: str = "ls_abc123", at: datetime | None = None) -> MediaFile:
        at = at or utc_now() - AN_HOUR_AGO
        pending = await self.stored(tenant=tenant, at=at)
        file = await self.runtime.uploads.complete_upload(
            CompleteUpload(media_id=pending.id), self.context(tenant, at)
        )
        assert isinstance(file, MediaFile)
        return file

    async def delete(self, file: MediaFile, *, tenant: str = "ls_abc123") -> None:
        await self.runtime.deletion.delete_file(file.id, self.context(tenant, utc_now()))

    async def delete_for_good(self, file: MediaFile) -> None:
        """Delete as if there were no bin."""
        deletion = deletion_over(self.runtime.objects, self.runtime, bin_for=timedelta(0))
        await deletion.delete_file(file.id, self.context(at=utc_now()))

    async def events(self, stream: str) -> list[str]:
        """The stored types of a stream, without the family's name and the version."""
        histories = await self.runtime.media.load(stream)
        return [recorded.event.TYPE.split(".")[1] for recorded in histories.streams[stream]]

    async def places(self, file: MediaFile) -> set[str]:
        """The buckets that hold the file's bytes."""
        objects = self.runtime.objects
        return {bucket for bucket in BUCKETS if await objects.head(bucket, file.key) is not None}

    async def has(self, stream: str, event: str) -> bool:
        return event in await self.events(stream)

    def context(
        self,
        tenant: str | None = "ls_abc123",
        at: datetime | None = None,
        *,
        user: str = "user_789",
        idempotency: Idempotency | None = None,
    ) -> Context:
        return Context(
            caller=Caller(user, tenant, frozenset({"media:files.write"})),
            at=at or utc_now(),
            command_id=self.runtime.identities.command_id(),
            correlation_id="request-1",
            idempotency=idempotency,
        )

    def system(self, at: datetime | None = None) -> SystemContext:
        return SystemContext(
            actor="service:tests",
            at=at or utc_now(),
            command_id=self.runtime.identities.command_id(),
            correlation_id="request-1",
        )

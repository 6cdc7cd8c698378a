"""Uploads: ask for a URL, complete what was stored under it. Called by the API and the jobs."""

import asyncio
import re
import unicodedata
from collections.abc import Sequence
from datetime import timedelta
from typing import Literal, Self

import msgspec

from application.access import access_of, admit, check_still_open, tenant_streams
from application.context import Context, SystemContext
from application.media import Decided, Media, claim_for, same_request
from application.placement import Placement
from application.ports import (
    Identities,
    KeyClaim,
    KeyTaken,
    ObjectStore,
    SandboxUnavailable,
    SignedRequest,
    StreamChanged,
)
from application.scan_ports import ScannerUnavailable
from application.verification import (
    SCAN_SHARE,
    Mismatch,
    NothingStored,
    Verification,
    bucket_of,
)
from domain.access import Access, OwnerBypass
from domain.errors import (
    Infected,
    InvalidField,
    MediaNotFound,
    TenantRemoved,
    UploadExpired,
    UploadMismatch,
)
from domain.event import Event, Recorded
from domain.media_file import UPLOAD_URL_LIFETIME, VERIFICATION_TIME_LIMIT, MediaFile, Status
from domain.media_file_events import UploadRequested
from domain.media_type import UploadRules
from domain.object_key import media_id, object_key
from domain.owner import Owner, parse, user
from domain.scanning import Processing, processing_of, request_scan

COMPLETE_WAIT = timedelta(seconds=10)
"""How long a request waits for the verification before a worker takes over (api.md)."""
MAX_NAME_LENGTH = 255


class RequestUpload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Ask for a URL to upload one file to."""

    file_name: str
    content_type: str
    file_size: int
    service_code: str
    is_public: bool = True
    scope: Literal["tenant", "user"] | None = None
    sha256: str | None = None


class CompleteUpload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Say that the bytes are stored."""

    media_id: str


class PresignedUpload(msgspec.Struct, frozen=True):
    """A pending upload and the request that stores its bytes."""

    file: MediaFile
    request: SignedRequest


class VerificationPending(msgspec.Struct, frozen=True):
    """A worker is finishing the verification."""

    media_id: str
    position: int
    processing: Processing = "verifying"

    @classmethod
    def of(cls, file: MediaFile) -> Self:
        """What a worker does for the file, as its events tell it."""
        return cls(file.id, file.position, processing_of(file) or "verifying")


class Uploads:
    """The upload commands."""

    def __init__(
        self,
        media: Media,
        objects: ObjectStore,
        verification: Verification,
        identities: Identities,
        placement: Placement,
        *,
        rules: UploadRules,
        pending_lifetime: timedelta,
        owner_bypass: OwnerBypass,
        complete_wait: timedelta = COMPLETE_WAIT,
    ) -> None:
        self._media = media
        self._objects = objects
        self._verification = verification
        self._identities = identities
        self._placement = placement
        self._rules = rules
        self._pending_lifetime = pending_lifetime
        self._owner_bypass: OwnerBypass = owner_bypass
        self._complete_wait = complete_wait

    async def request_upload(self, command: RequestUpload, context: Context) -> PresignedUpload:
        """Record the upload and sign its URL."""
        owner = owner_of(command.scope, context)
        if owner != context.owner:
            # The log refuses what a removed workspace would own, not what is its member's.
            await check_still_open(self._media, context.caller.tenant_id)
        name = checked_file_name(command.file_name)
        if command.file_size < 1:
            raise InvalidField("fileSize", "at least 1 byte")
        media_type = self._rules.check(
            service_code=command.service_code,
            mime_type=command.content_type,
            file_size=command.file_size,
        )
        new_id = media_id(self._identities.nanoid())
        requested = UploadRequested(
            file_name=name,
            file_size=command.file_size,
            mime_type=command.content_type,
            service_code=command.service_code,
            key=object_key(
                owner,
                service_code=command.service_code,
                at=context.at,
                media_id=new_id,
                extension=media_type.extension,
            ),
            is_public=command.is_public,
            uploaded_by=context.caller.user_id,
            sha256=_checked_sha256(command.sha256),
        )
        access = Access.WORKSPACE if owner.tenant_id else Access.UPLOADER
        decided = Decided(new_id, str(owner), 0, access, [requested])
        claim = claim_for(context, {"mediaId": new_id})

        async def attempt() -> list[Recorded]:
            return await self._media.append([decided], context, claim=claim)

        try:
            recorded = await self._media.repeatedly(attempt)
        except KeyTaken as taken:
            await check_still_open(self._media, context.caller.tenant_id)
            outcome = msgspec.json.decode(same_request(taken.kept, context).outcome)
            return await self._presigned_before(outcome["mediaId"], context)
        file = MediaFile.evolve(None, recorded[-1])
        return PresignedUpload(file, self._sign(file, context))

    async def _presigned_before(self, known_id: str, context: Context) -> PresignedUpload:
        file = (await self._media.load(known_id)).file(known_id)
        if file is None:
            raise MediaNotFound(known_id)
        return PresignedUpload(file, self._sign(file, context))

    def _sign(self, file: MediaFile, context: Context) -> SignedRequest:
        # Signed with the event's own time a repeat gives the same URL; late in its hour, a URL
        # that still works is worth more.
        fresh = context.at < file.created_at + UPLOAD_URL_LIFETIME / 2
        return self._objects.sign_put(
            file.key,
            content_type=file.mime_type,
            size=file.file_size,
            sha256=file.sha256,
            at=file.created_at if fresh else context.at,
        )

    async def complete_upload(
        self, command: CompleteUpload, context: Context
    ) -> MediaFile | VerificationPending:
        """Verify the stored bytes and move them to where they are served from."""
        claim = claim_for(context, {"mediaId": command.media_id})
        if claim is not None and await self._media.kept_outcome(context) is not None:
            claim = None
        deadline = asyncio.get_running_loop().time() + self._complete_wait.total_seconds()

        async def attempt() -> MediaFile | VerificationPending:
            nonlocal claim
            histories = await self._media.load(command.media_id, *tenant_streams(context))
            file, access = admit(histories, command.media_id, context, self._owner_bypass)
            if file.awaits_source or (file.scan.waiting and not file.scan.failed):
                file.check_completable(at=context.at, pending_lifetime=self._pending_lifetime)
                return VerificationPending.of(file)
            try:
                return await self._complete(file, access, context, deadline, claim)
            except KeyTaken as taken:
                same_request(taken.kept, context)
                claim = None
                raise StreamChanged from taken
            except ScannerUnavailable:
                waiting = await self._record(file, access, context, request_scan(file))
                return VerificationPending.of(waiting)
            except (TimeoutError, SandboxUnavailable):
                deferred = await self._record(file, access, context, file.defer_verification())
                return VerificationPending.of(deferred)

        return await self._media.repeatedly(attempt)

    async def verify_upload(self, media_id: str, context: SystemContext) -> MediaFile | None:
        """Finish a deferred verification.

        The file, or None when it was refused, has moved on, or its workspace was removed. Raises
        UploadIncomplete where the store does not show what is to be verified: it is asked again.
        """
        limit = VERIFICATION_TIME_LIMIT - COMPLETE_WAIT
        deadline = asyncio.get_running_loop().time() + limit.total_seconds()

        async def attempt() -> MediaFile | None:
            file = (await self._media.load(media_id)).file(media_id)
            if file is None or file.status is not Status.PENDING or file.awaits_source:
                return None
            if file.scan.waiting:
                # The job that has it scanned asks for another verification.
                return None
            await check_still_open(self._media, parse(file.owner).tenant_id)
            try:
                return await self._complete(file, Access.SYSTEM, context, deadline, None)
            except ScannerUnavailable:
                return await self._record(file, Access.SYSTEM, context, request_scan(file))

        try:
            return await self._media.repeatedly(attempt)
        except (UploadMismatch, Infected, UploadExpired, TenantRemoved):
            return None

    async def upload_status(self, media_id: str, context: Context) -> MediaFile:
        """The file in whatever state, for those who may change it.

        Raises MediaNotFound, also for a file of another workspace: this is a read.
        """
        file = (await self._media.load(media_id)).file(media_id)
        if file is None or access_of(file, context, self._owner_bypass) is None:
            raise MediaNotFound(media_id)
        return file

    async def _complete(
        self,
        file: MediaFile,
        access: Access,
        context: Context | SystemContext,
        deadline: float,
        claim: KeyClaim | None,
    ) -> MediaFile:
        file.check_completable(at=context.at, pending_lifetime=self._pending_lifetime)
        if file.status is Status.UPLOADED:
            return await self._record(file, access, context, [], claim)
        now = asyncio.get_running_loop().time()
        scan_until = now + SCAN_SHARE * min(deadline - now, self._complete_wait.total_seconds())
        try:
            async with asyncio.timeout_at(deadline):
                verified = await self._verification.verify(file, scan_until=scan_until)
        except NothingStored:
            # A concurrent complete may have been faster and have emptied incoming since.
            current = (await self._media.load(file.id)).file(file.id)
            if current is not None and current.version != file.version:
                raise StreamChanged from None
            raise file.refuse_missing_object(at=context.at) from None
        except Mismatch as mismatch:
            rejection = file.reject(reason=mismatch.reason, detail=mismatch.detail, at=context.at)
            rejected = await self._record(file, access, context, rejection)
            refusal = mismatch.refusal()
            refusal.position = rejected.position
            raise refusal from None
        try:
            completed = [*verified.facts, *file.complete(served_bytes=verified.size)]
            return await self._record(file, access, context, completed, claim)
        except StreamChanged:
            current = (await self._media.load(file.id)).file(file.id)
            if current is not None and current.ended:
                await self._withdraw(file)
            elif current is not None and current.belongs not in (None, bucket_of(file)):
                # Deleted into the bin, or made private: what we have written is out of place.
                await self._placement.put(current)
            raise
        except TenantRemoved:
            await self._withdraw(file)
            raise

    async def _withdraw(self, file: MediaFile) -> None:
        """Remove our copy at once: the file, or its workspace, was ended while we made it.

        If this is missed, the final pass of the purge does it (`settles_at`).
        """
        await self._objects.delete(bucket_of(file), [file.key])

    async def _record(
        self,
        file: MediaFile,
        access: Access,
        context: Context | SystemContext,
        events: Sequence[Event],
        claim: KeyClaim | None = None,
    ) -> MediaFile:
        """The file after the events; unchanged when there are none and no key to keep."""
        if not events and claim is None:
            return file
        decided = Decided(file.id, file.owner, file.version, access, events)
        for recorded in await self._media.append([decided], context, claim=claim):
            file = MediaFile.evolve(file, recorded)
        return file


def owner_of(scope: Literal["tenant", "user"] | None, context: Context) -> Owner:
    """Whom a new file is for. Raises InvalidField for the scope `tenant` without a tenant."""
    if scope == "user":
        return user(context.caller.user_id)
    if scope == "tenant" and context.caller.tenant_id is None:
        raise InvalidField("scope", "this request has no tenant")
    return context.owner


def checked_file_name(name: str) -> str:
    """The name in NFC. Raises InvalidField for control characters or a wrong length."""
    name = unicodedata.normalize("NFC", name)
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise InvalidField("fileName", f"1 to {MAX_NAME_LENGTH} characters")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        raise InvalidField("fileName", "no control characters")
    return name


def _checked_sha256(sha256: str | None) -> str | None:
    if sha256 is not None and re.fullmatch("[0-9a-fA-F]{64}", sha256) is None:
        raise InvalidField("sha256", "64 hexadecimal digits")
    return sha256 and sha256.lower()

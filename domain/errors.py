"""Facts that refuse a command or a query, with stable codes; HTTP is `api/errors.py`'s."""

from collections.abc import Mapping, Sequence
from typing import ClassVar


class MediaError(Exception):
    """A refusal with a stable code, a sentence for people and structured details."""

    code: ClassVar[str]
    position: int | None = None
    """Of the fact that the refusal itself recorded, as a rejection does."""

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class Unauthorized(MediaError):
    """The gateway's key or the caller's identity is missing or wrong."""

    code = "UNAUTHORIZED"


class Forbidden(MediaError):
    """The caller lacks a permission (spec 6.2)."""

    code = "FORBIDDEN"

    def __init__(self, permission: str) -> None:
        super().__init__(f"This needs the permission {permission}.", permission=permission)


class MediaNotFound(MediaError):
    """No such file, or none the caller may know of."""

    code = "MEDIA_NOT_FOUND"

    def __init__(self, media_id: str) -> None:
        super().__init__("No such file.", mediaId=media_id)


class NotInBin(MediaError):
    """The file is in the library: there is nothing to restore, and nothing to purge."""

    code = "NOT_IN_BIN"

    def __init__(self, media_id: str) -> None:
        super().__init__("This file is not in the bin.", mediaId=media_id)


class CommandNotFound(MediaError):
    """No such command, or none whose files the caller may change."""

    code = "COMMAND_NOT_FOUND"

    def __init__(self, command_id: str) -> None:
        super().__init__("No such command.", commandId=command_id)


class CommandNotUndoable(MediaError):
    """The command did something that has no inverse, such as an upload."""

    code = "COMMAND_NOT_UNDOABLE"


class UndoImpossible(MediaError):
    """Later events stand in the way; `files` says of each file which. Nothing was undone."""

    code = "UNDO_IMPOSSIBLE"

    def __init__(self, files: Sequence[Mapping[str, str]]) -> None:
        super().__init__("What the command did cannot be taken back any more.", files=list(files))


class WebhookNotFound(MediaError):
    """No such webhook in the caller's workspace."""

    code = "WEBHOOK_NOT_FOUND"

    def __init__(self, webhook_id: str) -> None:
        super().__init__("No such webhook.", webhookId=webhook_id)


class TooManyWebhooks(MediaError):
    """The workspace has as many webhooks as one may have."""

    code = "TOO_MANY_WEBHOOKS"

    def __init__(self, limit: int) -> None:
        super().__init__(f"A workspace has at most {limit} webhooks.", limit=limit)


class OwnershipDenied(MediaError):
    """The caller is neither the uploader nor in the file's workspace (spec 6.3)."""

    code = "OWNERSHIP_DENIED"

    def __init__(self, media_id: str) -> None:
        super().__init__("This file belongs to another workspace.", mediaId=media_id)


class MissingFields(MediaError):
    """Required fields are absent."""

    code = "MISSING_FIELDS"

    def __init__(self, fields: Sequence[str]) -> None:
        super().__init__(f"Missing: {', '.join(fields)}.", fields=list(fields))


class InvalidField(MediaError):
    """A field or parameter is present but wrong."""

    code = "INVALID_FIELD"

    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}", field=field)


class UnsupportedMime(MediaError):
    """The type is not on the allowlist of the service (spec 5.3)."""

    code = "UNSUPPORTED_MIME"

    def __init__(self, mime_type: str, allowed: Sequence[str]) -> None:
        super().__init__(f"{mime_type[:100]} is not accepted here.", allowed=list(allowed))


class FileTooLarge(MediaError):
    """The file is over the limit of its type (spec 5.3)."""

    code = "FILE_TOO_LARGE"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The limit is {limit_bytes} bytes.", limit=limit_bytes)


class UploadIncomplete(MediaError):
    """Complete was called before the object is in the store."""

    code = "UPLOAD_INCOMPLETE"


class UploadExpired(MediaError):
    """The upload was not completed in time."""

    code = "UPLOAD_EXPIRED"


class UploadMismatch(MediaError):
    """The stored bytes are not what was presigned; final."""

    code = "UPLOAD_MISMATCH"


class Infected(MediaError):
    """The malware scanner knows the stored bytes; final."""

    code = "INFECTED"


class IdempotencyConflict(MediaError):
    """The same Idempotency-Key came with another body."""

    code = "IDEMPOTENCY_CONFLICT"


class TenantRemoved(MediaError):
    """The workspace was removed; it takes no more commands (spec 16)."""

    code = "TENANT_REMOVED"


class Contention(MediaError):
    """Others kept changing the same file; the command was not carried out."""

    code = "CONFLICT"


class InvalidCursor(MediaError):
    """A page cursor that is not ours, was altered, or belongs to another query."""

    code = "INVALID_CURSOR"


class AsOfTooLarge(MediaError):
    """The library had more events by then than a question about the past may read."""

    code = "AS_OF_TOO_LARGE"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The library had more than {limit} events by then.", limit=limit)


class AsOfBusy(MediaError):
    """As many questions about the past are being answered as one process answers at once."""

    code = "AS_OF_BUSY"


class ObjectStoreUnavailable(MediaError):
    """R2 does not answer, answers 5xx or refuses our credentials, after bounded retries."""

    code = "R2_UNAVAILABLE"


class DatabaseUnavailable(MediaError):
    """Postgres is away or a query failed; logged, not exposed (spec 7.1)."""

    code = "DB_ERROR"


class SsrfBlocked(MediaError):
    """The URL, or an address behind it, is not one the outside may make us call (spec 6.4)."""

    code = "SSRF_BLOCKED"

    def __init__(self, why: str) -> None:
        super().__init__(f"This URL may not be called: {why}.")


class RedirectLoop(MediaError):
    """The source redirects more often than is followed."""

    code = "REDIRECT_LOOP"

    def __init__(self, limit: int) -> None:
        super().__init__(f"The source redirects more than {limit} times.", limit=limit)


class SourceUnavailable(MediaError):
    """The source does not answer, answers an error, or breaks off."""

    code = "SOURCE_UNAVAILABLE"


ENDINGS: tuple[type[MediaError], ...] = (
    UploadMismatch,
    Infected,
    UploadExpired,
    SsrfBlocked,
    RedirectLoop,
    FileTooLarge,
    UnsupportedMime,
    SourceUnavailable,
)
"""What an upload or ingest that came to nothing answers from then on."""
_BY_CODE = {ending.code: ending for ending in ENDINGS}


def recalled(code: str, message: str) -> MediaError:
    """The refusal with this code, one of ENDINGS, and the message it had when it was recorded."""
    kind = _BY_CODE[code]
    refusal = kind.__new__(kind)
    MediaError.__init__(refusal, message)
    return refusal


class NoRendition(MediaError):
    """Files of this type have no variants."""

    code = "NO_RENDITION"

    def __init__(self, mime_type: str) -> None:
        super().__init__(f"A file of type {mime_type} has no variants.", mimeType=mime_type)


class RenditionUnavailable(MediaError):
    """The variant cannot be made of this file; the original can be had."""

    code = "RENDITION_FAILED"

    def __init__(self, preset: str, reason: str) -> None:
        super().__init__("This variant cannot be made.", variant=preset, reason=reason)


class RenditionPending(MediaError):
    """The variant is being made; ask again."""

    code = "RENDITION_PENDING"

    def __init__(self, preset: str, *, retry_after_seconds: int = 2) -> None:
        super().__init__(
            "This variant is being made; ask again.",
            variant=preset,
            retryAfter=retry_after_seconds,
        )

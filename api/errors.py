"""The error envelope: one table from code to status, one function for whatever is raised."""

from typing import Any, ClassVar

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException

from adapters.telemetry import get_logger
from api.routes import allowed_methods
from domain import errors
from domain.errors import InvalidField, MediaError


class UnknownRoute(MediaError):
    """No route has this path."""

    code = "NOT_FOUND"


class MethodNotAllowed(MediaError):
    """The path exists, for other methods."""

    code = "METHOD_NOT_ALLOWED"


class MalformedJson(MediaError):
    """The body is no JSON text in UTF-8."""

    code = "MALFORMED_JSON"

    def __init__(self) -> None:
        super().__init__("The body is not well-formed JSON in UTF-8.")


class PayloadTooLarge(MediaError):
    """The body is larger than any command is."""

    code = "PAYLOAD_TOO_LARGE"

    def __init__(self, limit_bytes: int) -> None:
        super().__init__(f"The limit is {limit_bytes} bytes.", limit=limit_bytes)


class UnsupportedMediaType(MediaError):
    """The body is of a type other than JSON."""

    code = "UNSUPPORTED_MEDIA_TYPE"

    def __init__(self) -> None:
        super().__init__("Send the body as application/json in UTF-8.")


class RateLimited(MediaError):
    """The tenant or user asked more often than the route allows (spec 6.7)."""

    code = "RATE_LIMITED"

    def __init__(self, limit: int, *, retry_after_seconds: int) -> None:
        super().__init__(
            f"At most {limit} such requests a minute; the next in {retry_after_seconds} s.",
            limit=limit,
            retryAfter=retry_after_seconds,
        )


class Crash(MediaError):
    """A mistake of ours; logged, not exposed."""

    code = "INTERNAL_ERROR"

    def __init__(self) -> None:
        super().__init__("Something went wrong here.")


STATUS: dict[type[MediaError], int] = {
    errors.MissingFields: 400,
    errors.InvalidField: 400,
    errors.InvalidCursor: 400,
    errors.AsOfTooLarge: 400,
    errors.UnsupportedMime: 400,
    errors.FileTooLarge: 400,
    errors.SsrfBlocked: 400,
    errors.RedirectLoop: 400,
    MalformedJson: 400,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.OwnershipDenied: 403,
    errors.TenantRemoved: 403,
    errors.MediaNotFound: 404,
    errors.WebhookNotFound: 404,
    errors.NoRendition: 404,
    errors.CommandNotFound: 404,
    UnknownRoute: 404,
    MethodNotAllowed: 405,
    errors.Contention: 409,
    errors.IdempotencyConflict: 409,
    errors.UploadIncomplete: 409,
    errors.UploadMismatch: 409,
    errors.TooManyWebhooks: 409,
    errors.RenditionPending: 409,
    errors.NotInBin: 409,
    errors.CommandNotUndoable: 409,
    errors.UndoImpossible: 409,
    errors.UploadExpired: 410,
    PayloadTooLarge: 413,
    UnsupportedMediaType: 415,
    errors.RenditionUnavailable: 422,
    errors.Infected: 422,
    RateLimited: 429,
    errors.DatabaseUnavailable: 500,
    Crash: 500,
    errors.ObjectStoreUnavailable: 502,
    errors.SourceUnavailable: 502,
    errors.AsOfBusy: 503,
}
"""Spec 7.1 and api.md."""

SERVER_ERROR = 500


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer that is not a success (spec 7)."""

    MEDIA_TYPE: ClassVar[str] = "application/json"
    error: str
    code: str
    status: int
    details: dict[str, Any] | None = None


def envelope(refusal: MediaError) -> Envelope:
    """What the caller is told. Details of our own trouble stay in the log."""
    status = STATUS[type(refusal)]
    details = refusal.details if status < SERVER_ERROR and refusal.details else None
    return Envelope(refusal.message, refusal.code, status, details)


def refusal_of(error: Exception, request: Request[Any, Any, Any]) -> MediaError:
    """The refusal behind whatever was raised, the framework's exceptions included."""
    match error:
        case MediaError():
            return error
        case NotFoundException():
            return UnknownRoute("There is no such route.")
        case MethodNotAllowedException():
            method = request.scope["method"]
            return MethodNotAllowed(f"{method[:20]} is not possible here.")
        case HTTPException(status_code=status) if status < SERVER_ERROR:
            return InvalidField("request", error.detail)
    return Crash()


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer anything that was raised. Registered for `Exception`, so nothing passes it by."""
    refusal = refusal_of(error, request)
    body = envelope(refusal)
    line = request.scope["state"]["line"]
    line["code"] = body.code
    if body.status >= SERVER_ERROR:
        get_logger().error(
            "media.error",
            code=body.code,
            requestId=line["requestId"],
            reason=refusal.details or None,
            # A crash is ours to mend; that a dependency is away needs no stack.
            exc_info=error if isinstance(refusal, Crash) else None,
        )
    headers = {}
    if isinstance(refusal, MethodNotAllowed):
        headers["allow"] = allowed_methods(request)
    if refusal.position is not None:
        headers["media-position"] = str(refusal.position)
    return Response(
        msgspec.json.encode(body),
        status_code=body.status,
        media_type=Envelope.MEDIA_TYPE,
        headers=headers,
    )

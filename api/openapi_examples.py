"""One story told in examples: a picture is asked for, uploaded, listed, deleted."""

from collections.abc import Mapping
from typing import Any

from api.errors import (
    Crash,
    MalformedJson,
    PayloadTooLarge,
    RateLimited,
    UnsupportedMediaType,
)
from domain import errors
from domain.access import Permission
from domain.errors import MediaError
from domain.media_type import MEBIBYTE, MEDIA_TYPES

Json = dict[str, Any]

MEDIA_ID = "media_xK9mQ2pLw3RtYb8c"
WEBHOOK_ID = "wh_7bC2dE5fG8hJ1kLm"
OTHER_ID = "media_aB3nR7kWq5TzLc1v"
KEY = "ls_abc123/blog/2026/04/xK9mQ2pLw3RtYb8c.webp"
URL = f"https://media.example/{KEY}"
POSITION = "51971153158144"
COMMAND_ID = "cmd_019dd8a1c4e05c1f2a7b93d84e60"

PRESIGN: Json = {
    "fileName": "hero.webp",
    "contentType": "image/webp",
    "fileSize": 245000,
    "serviceCode": "blog",
}
INGEST: Json = {
    "url": "https://images.example.com/hero.webp?token=…",
    "serviceCode": "blog",
    "fileName": "hero.webp",
}
REPORT: Json = {"mediaId": MEDIA_ID, "stage": "put", "status": 0, "attempt": 1}
PRESIGNED: Json = {
    "mediaId": MEDIA_ID,
    "key": KEY,
    "uploadUrl": f"https://account.r2.cloudflarestorage.com/incoming/{KEY}?X-Amz-Signature=…",
    "method": "PUT",
    "headers": {"content-type": "image/webp", "if-none-match": "*"},
    "publicUrl": URL,
    "expiresAt": "2026-04-29T11:00:00.000Z",
}
FILE: Json = {
    "id": MEDIA_ID,
    "tenantId": "ls_abc123",
    "serviceCode": "blog",
    "fileName": "hero.webp",
    "fileSize": 245000,
    "mimeType": "image/webp",
    "category": "image",
    "key": KEY,
    "status": "uploaded",
    "isPublic": True,
    "url": URL,
    "uploadedBy": "user_789",
    "createdAt": "2026-04-29T10:00:00.000Z",
    "updatedAt": "2026-04-29T10:00:03.120Z",
    "processing": None,
    "deletedAt": None,
    "deletedBy": None,
    "purgeAt": None,
    "width": 1600,
    "height": 900,
    "durationMs": None,
    "pageCount": None,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "placeholder": "HwgOBZpwh3dwh4iIeHiIiICIB/iH",
    "dominantColor": "#0077ff",
    "inspectionError": None,
    "variants": {
        "thumb_200": {
            "url": URL.replace(".webp", "/thumb_200.r1.webp"),
            "status": "ready",
            "error": None,
        },
        "og_1200x630": {
            "url": f"https://api.example/cdn/{KEY}?variant=og_1200x630",
            "status": "on_demand",
            "error": None,
        },
    },
}
VERIFYING: Json = {
    "mediaId": MEDIA_ID,
    "status": "pending_upload",
    "processing": "verifying",
    "statusUrl": f"/upload/{MEDIA_ID}",
}
STATUS: Json = {
    "mediaId": MEDIA_ID,
    "status": "uploaded",
    "processing": None,
    "file": FILE,
    "error": None,
}
PAGE: Json = {"items": [FILE], "nextCursor": None}
STATS: Json = {
    "totalFiles": 1,
    "totalBytes": 245000,
    "byType": {
        "image": {"files": 1, "bytes": 245000},
        "video": {"files": 0, "bytes": 0},
        "document": {"files": 0, "bytes": 0},
    },
    "byService": {"blog": {"files": 1, "bytes": 245000}},
    "pendingUploads": 0,
    "recent": [FILE],
}
LIBRARY_EVENT: Json = {"id": POSITION, "event": "file.added", "data": FILE}
DELETED: Json = {"id": MEDIA_ID, "deleted": True}
BULK_DELETED: Json = {
    "deleted": [MEDIA_ID],
    "failed": [{"id": OTHER_ID, "code": "MEDIA_NOT_FOUND", "error": "No such file."}],
}
SIGN: Json = {"expiresIn": 900, "download": True}
SIGNED: Json = {
    "url": f"https://account.r2.cloudflarestorage.com/private/{KEY}?X-Amz-Signature=…",
    "expiresAt": "2026-04-29T10:15:00.000Z",
}
PURGE_QUEUED: Json = {"id": MEDIA_ID, "queued": True}
UNDOING: Json = {"commandId": COMMAND_ID, "files": [MEDIA_ID], "processing": []}
REGISTER_WEBHOOK: Json = {
    "url": "https://search.example.com/hooks/media",
    "eventTypes": ["media.uploaded", "media.deleted"],
    "description": "Search index",
}
WEBHOOK: Json = {
    "id": WEBHOOK_ID,
    **REGISTER_WEBHOOK,
    "status": "active",
    "pauseReason": None,
    "createdBy": "user_789",
    "createdAt": "2026-04-29T10:00:00.000Z",
    "updatedAt": "2026-04-29T10:00:00.000Z",
}
WEBHOOK_WITH_SECRET: Json = WEBHOOK | {
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqr"
}
QUEUED: Json = {"id": WEBHOOK_ID, "queued": True}
DELIVERIES: Json = {
    "items": [
        {
            "position": POSITION,
            "type": "media.uploaded",
            "subject": MEDIA_ID,
            "status": "waiting",
            "dueAt": "2026-04-29T10:00:08.120Z",
            "attempts": [
                {
                    "at": "2026-04-29T10:00:03.120Z",
                    "durationMs": 41,
                    "responseStatus": 500,
                    "error": "The source answers 500.",
                }
            ],
        }
    ],
    "nextCursor": None,
}

REFUSALS: Mapping[type[MediaError], MediaError] = {
    type(refusal): refusal
    for refusal in (
        errors.MissingFields(["contentType", "fileSize"]),
        errors.InvalidField("serviceCode", "one of blog, content, chatbot"),
        errors.InvalidCursor("This cursor belongs to another query."),
        errors.AsOfTooLarge(250_000),
        errors.AsOfBusy("Others are asking about the past; try again soon."),
        errors.UnsupportedMime("text/html", list(MEDIA_TYPES)),
        errors.FileTooLarge(10 * MEBIBYTE),
        errors.SsrfBlocked("its host name leads to an address that is not public"),
        errors.RedirectLoop(3),
        MalformedJson(),
        errors.Unauthorized("The gateway key is missing or wrong."),
        errors.Forbidden(Permission.FILES_WRITE),
        errors.OwnershipDenied(OTHER_ID),
        errors.TenantRemoved("This workspace was removed."),
        errors.MediaNotFound(OTHER_ID),
        errors.WebhookNotFound(WEBHOOK_ID),
        errors.CommandNotFound(COMMAND_ID),
        errors.NotInBin(OTHER_ID),
        errors.CommandNotUndoable(
            "An upload is not undone: delete the file instead.", commandId=COMMAND_ID
        ),
        errors.UndoImpossible([{"id": OTHER_ID, "reason": "PURGED"}]),
        errors.TooManyWebhooks(20),
        errors.NoRendition("application/pdf"),
        errors.RenditionPending("og_1200x630"),
        errors.RenditionUnavailable("og_1200x630", "time"),
        errors.Contention("The file is being changed by others; try again."),
        errors.IdempotencyConflict("This Idempotency-Key was used with another body."),
        errors.UploadIncomplete("The file has not been uploaded yet."),
        errors.UploadMismatch("240 bytes are stored, 245000 declared.", reason="size"),
        errors.Infected(
            "The malware scanner found Eicar-Signature.",
            reason="infected",
            signature="Eicar-Signature",
        ),
        errors.UploadExpired("Upload expired, please try again."),
        PayloadTooLarge(128 * 1024),
        UnsupportedMediaType(),
        RateLimited(60, retry_after_seconds=12),
        errors.DatabaseUnavailable("The database does not answer."),
        Crash(),
        errors.SourceUnavailable("The source answers 503.", sourceStatus=503),
        errors.ObjectStoreUnavailable("The object store does not answer."),
    )
}
"""One of each kind, as it is answered."""

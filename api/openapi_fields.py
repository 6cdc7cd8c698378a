"""What each field of a body means and may hold, for the OpenAPI document.

The structs say the types; the rules behind them stand in the code that checks them.
"""

from collections.abc import Mapping
from typing import Any

from adapters.settings import Settings
from api.openapi_examples import KEY, MEDIA_ID, OTHER_ID, URL
from api.openapi_past import PAST_FIELDS, TIME
from api.signed_urls import LONGEST_SECONDS, SHORTEST_SECONDS
from application.uploads import MAX_NAME_LENGTH
from domain.media_file import Status
from domain.media_type import MEDIA_TYPES
from domain.webhook import MAX_DESCRIPTION_LENGTH, SUBSCRIBABLE

Schema = dict[str, Any]

ID: Schema = {"pattern": "^media_[A-Za-z0-9_-]{16}$", "examples": [MEDIA_ID]}
WEBHOOK_ID: Schema = {"pattern": "^wh_[A-Za-z0-9]{16}$"}
COUNT: Schema = {"minimum": 0}
SERVICE: Schema = {"description": "The service that asked for it.", "examples": ["blog"]}
STATES = [str(status) for status in Status]


def fields(settings: Settings) -> Mapping[str, Mapping[str, Schema]]:
    """By struct and field."""
    largest = max(size for rules in settings.services.values() for size in rules.max_bytes.values())
    return {
        "RequestUpload": {
            "fileName": {
                "description": "The name as people know it; kept in NFC.",
                "minLength": 1,
                "maxLength": MAX_NAME_LENGTH,
                "pattern": "^[^\u0000-\u001f\u007f-\u009f]+$",
                "examples": ["hero.webp"],
            },
            "contentType": {
                "description": "What the bytes are; a service may accept fewer types.",
                "enum": list(MEDIA_TYPES),
                "examples": ["image/webp"],
            },
            "fileSize": {
                "description": "Exactly so many bytes will be stored.",
                "minimum": 1,
                "maximum": largest,
                "examples": [245000],
            },
            "serviceCode": {
                "description": "The service it is for.",
                "enum": list(settings.services),
                "examples": ["blog"],
            },
            "isPublic": {"description": "Whether everybody may fetch it by its URL."},
            "scope": {
                "description": "Whose file it becomes: the workspace's where the request has one, "
                "else the caller's own. `tenant` needs a workspace."
            },
            "sha256": {
                "description": "The bytes must have this hash. Hexadecimal.",
                "pattern": "^[0-9a-fA-F]{64}$",
                "examples": ["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
            },
        },
        "IngestUrl": {
            "url": {
                "description": "http or https, on port 80 or 443, leading to a public address.",
                "maxLength": 2048,
                "examples": ["https://images.example.com/hero.webp"],
            },
            "serviceCode": {
                "description": "The service it is for.",
                "enum": list(settings.services),
                "examples": ["blog"],
            },
            "fileName": {
                "description": "Else the name that the source gives, or that of the path.",
                "minLength": 1,
                "maxLength": MAX_NAME_LENGTH,
                "pattern": "^[^\u0000-\u001f\u007f-\u009f]+$",
            },
            "isPublic": {"description": "Whether everybody may fetch it by its URL."},
            "scope": {"description": "Whose file it becomes, as for a presign."},
        },
        "ReportUpload": {
            "mediaId": {"description": "As presign gave it.", **ID},
            "stage": {"description": "What went wrong: storing the bytes."},
            "status": {"description": "Of the bucket's answer; 0 when there was none."},
            "attempt": {"description": "1 for the first."},
        },
        **_webhooks(),
        "CompleteUpload": {"mediaId": {"description": "As presign gave it.", **ID}},
        "BulkDelete": {
            "ids": {
                "description": "1 to 100 ids of files; repeats count once.",
                "minItems": 1,
                "examples": [[MEDIA_ID, OTHER_ID]],
            }
        },
        "Presigned": {
            "mediaId": {"description": "The file's id, now and later.", **ID},
            "key": {"description": "Its key in the bucket.", "examples": [KEY]},
            "uploadUrl": {
                "description": "Where to send the bytes: once, within an hour.",
                "format": "uri",
            },
            "method": {"description": "The method to send them with.", "const": "PUT"},
            "headers": {"description": "To be sent exactly so; they are signed."},
            "publicUrl": {
                "description": "Where the file will be served; null for a private one.",
                "examples": [URL],
            },
            "expiresAt": {"description": "Until when the URL works.", **TIME},
        },
        "Verifying": {
            "mediaId": {"description": "The upload that is looked at.", **ID},
            "status": {"description": "Not a file yet.", "const": "pending_upload"},
            "processing": {"description": "What a worker is doing."},
            "statusUrl": {"description": "Ask here how it went.", "pattern": "^/upload/"},
        },
        "UploadStatus": {
            "mediaId": {"description": "The upload.", **ID},
            "status": {"description": "Where it stands.", "enum": STATES},
            "processing": {"description": "What a worker is doing; null when none is."},
            "file": {"description": "The file, once it is uploaded."},
            "error": {"description": "Why it is over, if it failed."},
        },
        "UploadError": {
            "code": {"description": "As a refusal of complete would say."},
            "error": {"description": "The same for people."},
        },
        "FileResource": {
            "id": {"description": "For ever the same.", **ID},
            "tenantId": {"description": "The workspace; null for a personal file."},
            "serviceCode": SERVICE,
            "fileName": {"description": "As it was given, in NFC.", "examples": ["hero.webp"]},
            "fileSize": {"description": "Bytes that are served.", "minimum": 1},
            "mimeType": {"description": "Verified.", "enum": list(MEDIA_TYPES)},
            "category": {"description": "Follows from the type."},
            "key": {"description": "In the bucket.", "examples": [KEY]},
            "status": {
                "description": "`uploaded`; `pending_upload` is shown to its uploader only, "
                "`deleted` in the bin.",
                "enum": ["uploaded", "pending_upload", "deleted"],
            },
            "isPublic": {"description": "Whether `url` works for everybody."},
            "url": {"description": "Where it is served; null for a private file."},
            "uploadedBy": {"description": "The user's id."},
            "createdAt": {"description": "When the upload was asked for.", **TIME},
            "updatedAt": {"description": "When anything above changed last.", **TIME},
            "processing": {
                "description": "`inspecting` until the bytes were looked into; `moving` in the "
                "answer of a command whose bytes are still on their way to where they belong."
            },
            "deletedAt": {"description": "When it went into the bin; else null.", **TIME},
            "deletedBy": {"description": "The user's id; null in the library."},
            "purgeAt": {"description": "Until then it can be restored; else null.", **TIME},
            **_in_the_bytes(),
        },
        "Variant": {
            "url": {"description": "Of the picture once it is `ready`; else of whoever makes it."},
            "status": {"description": "`on_demand` is made when first asked for."},
            "error": {"description": "Why it cannot be made, as a reason of a rejected upload."},
        },
        **_bin(),
        "FileList": {
            "items": {"description": "The page; it may be short, also when more follow."},
            "nextCursor": {"description": "For the next page; null at the end."},
        },
        "LibraryEvent": {
            "id": {"description": "Position in the log; comes back as `Last-Event-ID`."},
            "event": {"description": "What happened; `resync` asks to list anew."},
            "data": {"description": "The file as it is listed; of a removed one its id."},
        },
        "StorageStats": {
            "totalFiles": {"description": "Uploaded files.", **COUNT},
            "totalBytes": {"description": "Their bytes.", **COUNT},
            "byType": {"description": "The same by category."},
            "byService": {"description": "The same by service code."},
            "pendingUploads": {"description": "Asked for and not completed.", **COUNT},
            "recent": {"description": "The newest.", "maxItems": 8},
        },
        "Usage": {
            "files": {"description": "How many.", **COUNT},
            "bytes": {"description": "How large together.", **COUNT},
        },
        "Deleted": {
            "id": {"description": "The file that was.", **ID},
            "deleted": {"description": "It is gone.", "const": True},
        },
        "BulkDeleted": {
            "deleted": {"description": "Ids of what is gone, in the order asked for."},
            "failed": {"description": "What stayed, and why."},
        },
        "Failed": {
            "id": {"description": "As it was asked for."},
            "code": {
                "description": "Why it stayed.",
                "enum": ["MEDIA_NOT_FOUND", "OWNERSHIP_DENIED"],
            },
            "error": {"description": "The same for people."},
        },
        "RequestSignedUrl": {
            "expiresIn": {
                "description": "Seconds that the URL is to work.",
                "minimum": SHORTEST_SECONDS,
                "maximum": LONGEST_SECONDS,
            },
            "download": {"description": "Whether a browser saves the file instead of showing it."},
            "variant": {"description": "A preset; without one the original."},
        },
        "SignedUrl": {
            "url": {"description": "To be kept from others, and nowhere.", "format": "uri"},
            "expiresAt": {"description": "Until when it works.", **TIME},
        },
        "CachePurgeQueued": {
            "id": {"description": "The file.", **ID},
            "queued": {"description": "The history says when it is done.", "const": True},
        },
        **PAST_FIELDS,
        "Health": {
            "status": {"description": "The process runs.", "const": "ok"},
            "service": {"description": "This one.", "const": "media"},
            "version": {"description": "Of the interface."},
        },
        "Readiness": {
            "status": {"description": "`failed` when a dependency is."},
            "checks": {"description": "Each dependency: `ok` or `failed`."},
        },
        "Envelope": {
            "error": {"description": "What went wrong, for people."},
            "code": {"description": "The same for programs; it stays."},
            "status": {"description": "The HTTP status once more.", "minimum": 400},
            "details": {"description": "What belongs to it, as `field` or `limit`."},
        },
    }


def _bin() -> Mapping[str, Mapping[str, Schema]]:
    return {
        "ChangeFile": {"isPublic": {"description": "Whether everybody may fetch it by its URL."}},
        "Purged": {
            "id": {"description": "The file that was.", **ID},
            "purged": {"description": "Its bytes are being removed for good.", "const": True},
        },
        "Undoing": {
            "commandId": {"description": "The command that was undone."},
            "files": {"description": "The files that are as they were before it."},
            "processing": {"description": "Those whose bytes are still on their way."},
        },
    }


def _in_the_bytes() -> Mapping[str, Schema]:
    """What looking into a file tells; null until then, and where its type has no such thing."""
    pixels = {"minimum": 1}
    return {
        "width": {"description": "In pixels, as shown.", **pixels},
        "height": {"description": "In pixels, as shown.", **pixels},
        "durationMs": {"description": "Of a video.", **COUNT},
        "pageCount": {"description": "Of a document.", **COUNT},
        "sha256": {"description": "Of the served bytes.", "pattern": "^[0-9a-f]{64}$"},
        "placeholder": {"description": "ThumbHash, base64: shown until the picture is there."},
        "dominantColor": {"description": "For the same.", "pattern": "^#[0-9a-f]{6}$"},
        "inspectionError": {"description": "Why nobody could look into it; else null."},
        "variants": {
            "description": "By preset; `{}` for what is no picture or video. `url` is null for a "
            "private file and for a variant that failed."
        },
    }


def _webhooks() -> Mapping[str, Mapping[str, Schema]]:
    url = {"description": "https, leading to a public address.", "maxLength": 2048}
    types = {"description": "What to tell of.", "minItems": 1}
    description = {"description": "For people.", "maxLength": MAX_DESCRIPTION_LENGTH}
    shown = {
        "id": {"description": "For ever the same.", **WEBHOOK_ID},
        "url": {"description": "Where messages go, in full."},
        "eventTypes": {"description": "What it is told of."},
        "description": {"description": "For people."},
        "status": {"description": "Whether messages are sent.", "enum": ["active", "paused"]},
        "pauseReason": {"description": "`user`, `failing` or `gone`; null while active."},
        "createdBy": {"description": "The user's id."},
        "createdAt": {"description": "When it was registered.", **TIME},
        "updatedAt": {"description": "When anything above changed last.", **TIME},
    }
    return {
        "RegisterWebhook": {
            "url": url,
            "eventTypes": types
            | {"items": {"type": "string", "enum": list(SUBSCRIBABLE)}, "maxItems": 100},
            "description": description,
        },
        "ChangeWebhook": {
            "url": {"description": "Another address; null keeps it."},
            "eventTypes": {"description": "Other types; null keeps them."},
            "description": {"description": "Another one; null keeps it."},
            "status": {"description": "`paused` stops sending, `active` goes on; null keeps it."},
        },
        "ReplayWebhook": {
            "position": {
                "description": "Everything after it is sent again; `0` for all.",
                "pattern": "^([0-9]{1,18}|[0-8][0-9]{18})$",
            },
        },
        "WebhookResource": shown,
        "WebhookWithSecret": shown
        | {"secret": {"description": "Signs the messages (Standard Webhooks). Shown once."}},
        "WebhookList": {"items": {"description": "Oldest first."}},
        "Queued": {
            "id": {"description": "The webhook.", **WEBHOOK_ID},
            "queued": {"description": "The deliveries show it soon.", "const": True},
        },
        "Removed": {
            "id": {"description": "The webhook that was.", **WEBHOOK_ID},
            "removed": {"description": "It is gone.", "const": True},
        },
        "DeliveryList": {
            "items": {"description": "Newest first."},
            "nextCursor": {"description": "For the next page; null at the end."},
        },
        "Delivery": {
            "position": {"description": "Of the event in the log.", "pattern": "^[0-9]{1,19}$"},
            "type": {"description": "An event type, or `media.ping`."},
            "subject": {"description": "The file; of a ping the webhook."},
            "status": {
                "description": "Where it stands; `held`: an earlier one of its file has failed.",
                "enum": ["waiting", "delivered", "failed", "held"],
            },
            "dueAt": {"description": "When it is tried next, while it waits.", **TIME},
            "attempts": {"description": "Newest first."},
        },
        "DeliveryAttempt": {
            "at": {"description": "When it began.", **TIME},
            "durationMs": {"description": "How long it took.", **COUNT},
            "responseStatus": {"description": "Of the receiver's answer; null without one."},
            "error": {"description": "Why it does not count; null if it does."},
        },
    }

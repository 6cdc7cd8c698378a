"""What the routes themselves do not say, for the OpenAPI document: bodies, answers, refusals."""

from collections.abc import Mapping, Sequence

from api.audit import AuditList
from api.audit_export import AuditLine
from api.bin import Undoing
from api.errors import (
    Crash,
    MalformedJson,
    PayloadTooLarge,
    RateLimited,
    UnsupportedMediaType,
)
from api.files import BIN_SORTS, CATEGORIES, MAX_LIMIT, MAX_SEARCH_LENGTH, FileList
from api.history import History
from api.library_changes import LibraryEvent
from api.openapi_delivery import DELIVERY
from api.openapi_described import Described, Refusal, Schema
from api.openapi_examples import (
    BULK_DELETED,
    DELETED,
    DELIVERIES,
    FILE,
    INGEST,
    LIBRARY_EVENT,
    MEDIA_ID,
    PAGE,
    POSITION,
    PRESIGN,
    PRESIGNED,
    QUEUED,
    REGISTER_WEBHOOK,
    REPORT,
    STATS,
    STATUS,
    UNDOING,
    VERIFYING,
    WEBHOOK,
    WEBHOOK_ID,
    WEBHOOK_WITH_SECRET,
)
from api.openapi_past import (
    AS_OF,
    AUDIT_LINE,
    AUDIT_LIST,
    AUDIT_QUERY,
    EXPORT_QUERY,
    HISTORY,
    SCOPE,
)
from api.operations import Health, Readiness
from api.uploads import Presigned, UploadStatus, Verifying
from api.webhooks import DeliveryList, Queued, Removed, WebhookList, WebhookWithSecret
from application.bin import ChangeFile, Purged
from application.deletion import BulkDelete, BulkDeleted, Deleted
from application.ingest import IngestUrl
from application.upload_reports import ReportUpload
from application.uploads import CompleteUpload, RequestUpload
from application.webhooks import ChangeWebhook, RegisterWebhook, ReplayWebhook
from domain import errors
from domain.media_type import MEDIA_TYPES
from projections.file_resource import FileResource
from projections.storage_stats import StorageStats
from projections.webhooks import WebhookResource


def _several(*values: str) -> Schema:
    one = "|".join(value.replace("+", r"\+").replace(".", r"\.") for value in values)
    return {"type": "string", "pattern": f"^({one})(,({one}))*$"}


LIST_QUERY: Mapping[str, Schema] = {
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_LIMIT,
        "default": 20,
        "description": "Files a page.",
        "example": 50,
    },
    "cursor": {
        "type": "string",
        "description": "`nextCursor` of the page before, with the same filters and sort.",
    },
    "service": {
        "type": "string",
        "pattern": "^-*[A-Za-z0-9][A-Za-z0-9-]*(,-*[A-Za-z0-9][A-Za-z0-9-]*)*$",
        "description": "One service code, or several by comma.",
        "example": "blog,newsletter",
    },
    "type": {
        **_several(*CATEGORIES),
        "description": f"Of {', '.join(CATEGORIES)}: one, or several by comma.",
        "example": "image,video",
    },
    "mime": {
        **_several(*MEDIA_TYPES),
        "description": "One MIME type, or several by comma.",
        "example": "image/png",
    },
    "search": {
        "type": "string",
        "maxLength": MAX_SEARCH_LENGTH,
        "pattern": "^[^\u0000-\u001f\u007f-\u009f]*$",
        "description": "Any part of the name, in any case of letters.",
        "example": "hero",
    },
    "sort": {
        "type": "string",
        "enum": list(BIN_SORTS),
        "default": "-createdAt",
        "description": "A minus sorts downwards. By `deletedAt` only in the bin, whose default is "
        "`-deletedAt`.",
        "example": "-fileSize",
    },
    "scope": SCOPE,
    "asOf": AS_OF,
    "status": {
        "type": "string",
        "enum": ["uploaded", "deleted"],
        "default": "uploaded",
        "description": "`deleted` lists the bin: what was deleted and can be restored.",
        "example": "uploaded",
    },
}

AFTER: Schema = {
    "type": "string",
    "pattern": "^([0-9]{1,18}|[0-8][0-9]{18})$",
    "description": "Position up to which the client has seen the library; `Last-Event-ID` wins.",
    "example": POSITION,
}
PREFER: Schema = {
    "type": "string",
    "description": "`respond-async` answers 202 at once; `wait=10` waits so many seconds.",
    "example": "respond-async",
}

ASKING: Sequence[Refusal] = (
    errors.Unauthorized,
    errors.Forbidden,
    errors.InvalidField,
    errors.DatabaseUnavailable,
    Crash,
)
"""Of every route that asks who the caller is."""
COMMANDING: Sequence[Refusal] = (
    errors.TenantRemoved,
    errors.IdempotencyConflict,
    errors.Contention,
)
READING_BODY: Sequence[Refusal] = (
    errors.MissingFields,
    MalformedJson,
    PayloadTooLarge,
    UnsupportedMediaType,
)
LIMITED: Sequence[Refusal] = (RateLimited,)
OF_THE_PAST: Sequence[Refusal] = (errors.AsOfTooLarge, errors.AsOfBusy)
OF_ONE_FILE: Sequence[Refusal] = (errors.MediaNotFound,)
CHANGING_ONE: Sequence[Refusal] = (*OF_ONE_FILE, errors.OwnershipDenied)
OF_A_SOURCE: Sequence[Refusal] = (
    errors.SsrfBlocked,
    errors.RedirectLoop,
    errors.FileTooLarge,
    errors.UnsupportedMime,
    errors.SourceUnavailable,
)
"""How an ingest may end; a complete of it says the same."""

OF_ONE_WEBHOOK: Sequence[Refusal] = (errors.WebhookNotFound,)
DELIVERIES_QUERY: Mapping[str, Schema] = {
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_LIMIT,
        "default": 50,
        "description": "Messages a page.",
        "example": 50,
    },
    "cursor": {
        "type": "string",
        "pattern": "^([0-9]{1,18}|[0-8][0-9]{18})$",
        "description": "`nextCursor` of the page before.",
    },
    "status": {
        "type": "string",
        "enum": ["waiting", "delivered", "failed", "held"],
        "description": "Only those.",
        "example": "failed",
    },
}

DESCRIBED: Mapping[str, Described] = {
    "media.upload.presign": Described(
        body=RequestUpload,
        asked=PRESIGN,
        answers={200: (Presigned, PRESIGNED)},
        refusals=(errors.UnsupportedMime, errors.FileTooLarge),
    ),
    "media.upload.complete": Described(
        body=CompleteUpload,
        asked={"mediaId": MEDIA_ID},
        answers={200: (FileResource, FILE), 202: (Verifying, VERIFYING)},
        refusals=(
            *CHANGING_ONE,
            errors.UploadIncomplete,
            errors.UploadMismatch,
            errors.Infected,
            errors.UploadExpired,
            errors.ObjectStoreUnavailable,
            *OF_A_SOURCE,
        ),
    ),
    "media.upload.ingest": Described(
        body=IngestUrl,
        asked=INGEST,
        headers={"Prefer": PREFER},
        answers={200: (FileResource, FILE), 202: (Verifying, VERIFYING)},
        refusals=(
            *OF_ONE_FILE,
            *OF_A_SOURCE,
            errors.UploadMismatch,
            errors.Infected,
            errors.UploadExpired,
            errors.ObjectStoreUnavailable,
        ),
    ),
    "media.upload.report": Described(
        body=ReportUpload, asked=REPORT, answers={204: (None, None)}, refusals=OF_ONE_FILE
    ),
    "media.upload.status": Described(answers={200: (UploadStatus, STATUS)}, refusals=OF_ONE_FILE),
    "media.files.list": Described(
        answers={200: (FileList, PAGE)},
        query=LIST_QUERY,
        refusals=(errors.InvalidCursor, *OF_THE_PAST),
    ),
    "media.files.events": Described(
        answers={200: (LibraryEvent, LIBRARY_EVENT)},
        query={"scope": SCOPE, "after": AFTER},
        headers={"Last-Event-ID": AFTER},
    ),
    "media.files.stats": Described(
        answers={200: (StorageStats, STATS)},
        query={"scope": SCOPE, "asOf": AS_OF},
        refusals=OF_THE_PAST,
    ),
    "media.files.get": Described(
        answers={200: (FileResource, FILE)}, query={"asOf": AS_OF}, refusals=OF_ONE_FILE
    ),
    "media.files.download": Described(answers={302: (None, None)}, refusals=OF_ONE_FILE),
    "media.files.delete": Described(answers={200: (Deleted, DELETED)}, refusals=CHANGING_ONE),
    "media.files.bulk_delete": Described(
        body=BulkDelete, asked={"ids": [MEDIA_ID]}, answers={200: (BulkDeleted, BULK_DELETED)}
    ),
    "media.files.restore": Described(
        answers={200: (FileResource, FILE)}, refusals=(*CHANGING_ONE, errors.NotInBin)
    ),
    "media.files.purge": Described(
        answers={200: (Purged, {"id": MEDIA_ID, "purged": True})},
        refusals=(*CHANGING_ONE, errors.NotInBin),
    ),
    "media.files.change": Described(
        body=ChangeFile,
        asked={"isPublic": False},
        answers={200: (FileResource, FILE | {"isPublic": False, "url": None})},
        refusals=CHANGING_ONE,
    ),
    "media.commands.undo": Described(
        answers={200: (Undoing, UNDOING)},
        refusals=(errors.CommandNotFound, errors.CommandNotUndoable, errors.UndoImpossible),
    ),
    "media.files.history": Described(answers={200: (History, HISTORY)}, refusals=OF_ONE_FILE),
    "media.audit.list": Described(
        answers={200: (AuditList, AUDIT_LIST)},
        query=AUDIT_QUERY,
        refusals=(errors.InvalidCursor,),
    ),
    "media.audit.export": Described(
        answers={200: (AuditLine, AUDIT_LINE)},
        query=EXPORT_QUERY,
        refusals=(errors.MissingFields,),
    ),
    "media.webhooks.add": Described(
        body=RegisterWebhook,
        asked=REGISTER_WEBHOOK,
        answers={201: (WebhookWithSecret, WEBHOOK_WITH_SECRET)},
        refusals=(errors.SsrfBlocked, errors.TooManyWebhooks),
    ),
    "media.webhooks.list": Described(answers={200: (WebhookList, {"items": [WEBHOOK]})}),
    "media.webhooks.get": Described(
        answers={200: (WebhookResource, WEBHOOK)}, refusals=OF_ONE_WEBHOOK
    ),
    "media.webhooks.edit": Described(
        body=ChangeWebhook,
        asked={"status": "paused"},
        answers={200: (WebhookResource, WEBHOOK)},
        refusals=(*OF_ONE_WEBHOOK, errors.SsrfBlocked),
    ),
    "media.webhooks.rotate_secret": Described(
        answers={200: (WebhookWithSecret, WEBHOOK_WITH_SECRET)}, refusals=OF_ONE_WEBHOOK
    ),
    "media.webhooks.ping": Described(answers={202: (Queued, QUEUED)}, refusals=OF_ONE_WEBHOOK),
    "media.webhooks.remove": Described(
        answers={200: (Removed, {"id": WEBHOOK_ID, "removed": True})}, refusals=OF_ONE_WEBHOOK
    ),
    "media.webhooks.replay": Described(
        body=ReplayWebhook,
        asked={"position": "0"},
        answers={202: (Queued, QUEUED)},
        refusals=OF_ONE_WEBHOOK,
    ),
    "media.webhooks.deliveries": Described(
        answers={200: (DeliveryList, DELIVERIES)}, query=DELIVERIES_QUERY, refusals=OF_ONE_WEBHOOK
    ),
    "media.webhooks.redeliver": Described(answers={202: (Queued, QUEUED)}, refusals=OF_ONE_WEBHOOK),
    **DELIVERY,
    "media.health": Described(
        answers={200: (Health, {"status": "ok", "service": "media", "version": "1.0.0"})}
    ),
    "media.ready": Described(
        answers={
            200: (Readiness, {"status": "ok", "checks": {"postgres": "ok", "redis": "ok"}}),
            503: (Readiness, {"status": "failed", "checks": {"postgres": "ok", "redis": "failed"}}),
        }
    ),
}

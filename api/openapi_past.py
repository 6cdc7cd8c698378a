"""What the OpenAPI document says of history and audit: parameters, fields, examples."""

from collections.abc import Mapping
from typing import Any

from api.audit import MAX_LIMIT, TYPE_NAMES
from api.openapi_examples import KEY, MEDIA_ID, POSITION

Schema = dict[str, Any]
Json = dict[str, Any]

TIME: Schema = {"format": "date-time", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"}
SCOPE: Schema = {
    "type": "string",
    "enum": ["tenant", "user"],
    "default": "tenant",
    "description": "The workspace's files, or the caller's personal ones; without a workspace "
    "always those.",
    "example": "tenant",
}
MOMENT: Schema = {
    "type": "string",
    "pattern": r"^([0-9]{1,19}"
    r"|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{1,9})?(Z|[+-][0-9:]{5}))$",
}
_ONE_TYPE = "|".join(name.replace(".", r"\.") for name in TYPE_NAMES)
AS_OF: Schema = {
    **MOMENT,
    "description": "The library as it was: at a time (RFC 3339), or at a position of the log. "
    "`Media-Position` says which position was told of.",
    "example": "2026-04-29T12:00:00Z",
}
_FILTERS: Mapping[str, Schema] = {
    "file": {
        "type": "string",
        "pattern": "^media_[A-Za-z0-9_-]{16}$",
        "description": "Only this file.",
        "example": MEDIA_ID,
    },
    "actor": {
        "type": "string",
        "pattern": "^(user|service|system):[A-Za-z0-9_.-]{1,64}$",
        "description": "Only what this person or process did.",
        "example": "user:user_789",
    },
    "type": {
        "type": "string",
        "pattern": f"^({_ONE_TYPE})(,({_ONE_TYPE}))*$",
        "description": "One event type (docs/events.md), or several by comma; without its version "
        "all versions of it.",
        "example": "media_file.file_deleted",
    },
    "from": {
        **MOMENT,
        "description": "The first that counts: a time (RFC 3339), or a position of the log.",
        "example": "2026-04-01T00:00:00Z",
    },
    "to": {
        **MOMENT,
        "description": "The first that counts no more: a time, or a position.",
        "example": "2026-05-01T00:00:00Z",
    },
    "scope": SCOPE,
}
AUDIT_QUERY: Mapping[str, Schema] = {
    "limit": {
        "type": "integer",
        "minimum": 1,
        "maximum": MAX_LIMIT,
        "default": 50,
        "description": "Entries a page.",
        "example": 50,
    },
    "cursor": {
        "type": "string",
        "description": "`nextCursor` of the page before, with the same filters.",
    },
    **_FILTERS,
}
EXPORT_QUERY: Mapping[str, Schema] = {
    "format": {
        "type": "string",
        "enum": ["jsonl", "csv"],
        "description": "JSON Lines or CSV (RFC 4180). Needed.",
        "example": "jsonl",
    },
    **_FILTERS,
}

_ENTRY: Json = {
    "position": POSITION,
    "at": "2026-04-29T10:00:00.000Z",
    "type": "media_file.upload_requested.v1",
    "subject": MEDIA_ID,
    "version": 1,
    "actor": "user:user_789",
    "access": "workspace",
    "commandId": "cmd_4fR8sT2uVw",
    "requestId": "req_7f3a",
    "data": {"fileName": "hero.webp", "fileSize": 245000, "key": KEY},
}
AUDIT_LIST: Json = {"items": [_ENTRY], "nextCursor": None}
AUDIT_LINE: Json = _ENTRY
HISTORY: Json = {
    "items": [
        {name: value for name, value in _ENTRY.items() if name != "subject"}
        | {"changes": [{"field": "fileName", "from": None, "to": "hero.webp"}]}
    ]
}

_WHO: Mapping[str, Schema] = {
    "position": {"description": "In the log.", "pattern": "^[0-9]{1,19}$"},
    "version": {"description": "1 for the first of its stream.", "minimum": 1},
    "type": {"description": "The event's stored name (docs/events.md)."},
    "at": {"description": "When.", **TIME},
    "actor": {"description": "`user:…`, or the process that did it."},
    "access": {
        "description": "On what ground the actor was let in.",
        "enum": ["workspace", "uploader", "owner_bypass", "system"],
    },
    "commandId": {"description": "The command it was part of."},
    "requestId": {"description": "The `x-request-id` of the request that caused it."},
    "data": {"description": "The event's own fields."},
}
_SUBJECT: Schema = {"description": "A file's id, a webhook's, or `tenant_<id>`."}
PAST_FIELDS: Mapping[str, Mapping[str, Schema]] = {
    "History": {"items": {"description": "Oldest first."}},
    "HistoryEntry": {
        **_WHO,
        "changes": {"description": "What became of the file's fields, in that event."},
    },
    "FieldDiff": {
        "field": {"description": "Its name."},
        "from": {"description": "Before; null where there was no file."},
        "to": {"description": "After."},
    },
    "AuditList": {
        "items": {"description": "Newest first; may be short, even empty, also when more follow."},
        "nextCursor": {"description": "For the next page; null at the end."},
    },
    "AuditEntry": {**_WHO, "subject": _SUBJECT},
    "AuditLine": {
        **_WHO,
        "subject": _SUBJECT,
        "type": {"description": "The event's stored name; `export.complete` of the last line."},
        "at": {"description": "When; empty in the last line."},
        "version": {"description": "0 in the last line.", "minimum": 0},
        "access": {"description": "On what ground the actor was let in."},
    },
}

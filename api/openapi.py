"""The OpenAPI document of the public app, made from the routes and the structs they speak."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from api.errors import Envelope
from api.files import CATEGORIES, MAX_LIMIT, SORTS, FileList, History
from api.library_changes import LibraryEvent
from api.routes import OPEN
from api.uploads import Presigned, UploadStatus, Verifying
from application.deletion import BulkDelete, BulkDeleted, Deleted
from application.uploads import CompleteUpload, RequestUpload
from projections.file_resource import FileResource
from projections.storage_stats import StorageStats

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
SCOPE: Schema = {"type": "string", "enum": ["tenant", "user"], "default": "tenant"}
MEDIA_ID: Schema = {"type": "string", "pattern": "^media_[A-Za-z0-9_-]{16}$"}
KEY: Schema = {"type": "string", "minLength": 1, "maxLength": 255}
POSITION: Schema = {"type": "string", "pattern": "^[0-9]{1,19}$"}


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """What the routes themselves do not say."""

    body: type | None = None
    answers: Mapping[int, type | None]
    query: Mapping[str, Schema] = msgspec.field(default_factory=dict)
    refusals: Sequence[int] = ()


DESCRIBED: Mapping[str, Described] = {
    "media.upload.presign": Described(body=RequestUpload, answers={200: Presigned}),
    "media.upload.complete": Described(
        body=CompleteUpload,
        answers={200: FileResource, 202: Verifying},
        refusals=(404, 410, 502),
    ),
    "media.upload.status": Described(answers={200: UploadStatus}, refusals=(404,)),
    "media.files.list": Described(
        answers={200: FileList},
        query={
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": 20},
            "cursor": TEXT,
            "service": TEXT,
            "type": {"type": "string", "description": f"{', '.join(CATEGORIES)}; by comma"},
            "mime": TEXT,
            "search": {"type": "string", "maxLength": 255},
            "sort": {"type": "string", "enum": list(SORTS), "default": "-createdAt"},
            "scope": SCOPE,
        },
    ),
    "media.files.events": Described(
        answers={200: LibraryEvent}, query={"scope": SCOPE, "after": POSITION}
    ),
    "media.files.stats": Described(answers={200: StorageStats}, query={"scope": SCOPE}),
    "media.files.get": Described(answers={200: FileResource}, refusals=(404,)),
    "media.files.download": Described(answers={302: None}, refusals=(404,)),
    "media.files.delete": Described(answers={200: Deleted}, refusals=(404,)),
    "media.files.bulk_delete": Described(body=BulkDelete, answers={200: BulkDeleted}),
    "media.files.history": Described(answers={200: History}, refusals=(404,)),
}

IDENTITY: Sequence[tuple[str, bool, str]] = (
    ("x-gateway-key", True, "Set by the gateway."),
    ("x-user-id", True, "Set by the gateway."),
    ("x-tenant-id", False, "The workspace; absent for a personal request."),
    ("x-user-permissions", False, "By comma or space."),
    ("x-request-id", False, "Echoed back; made when absent."),
)
QUERY_REFUSALS = (400, 401, 403, 500)
COMMAND_REFUSALS = (*QUERY_REFUSALS, 409)
BODY_REFUSALS = (413, 415)


def document(routes: Iterable[HTTPRouteHandler]) -> bytes:
    """The document as JSON."""
    named: set[type] = {Envelope}
    for described in DESCRIBED.values():
        named |= {kind for kind in (described.body, *described.answers.values()) if kind}
    _, components = msgspec.json.schema_components(
        sorted(named, key=lambda kind: kind.__name__),
        ref_template="#/components/schemas/{name}",
    )
    paths: dict[str, dict[str, Schema]] = {}
    for handler in routes:
        described = DESCRIBED[handler.opt["event"]]
        for path in handler.paths:
            for method in handler.http_methods:
                paths.setdefault(path.replace(":str", ""), {})[str(method).lower()] = _operation(
                    handler, described, str(method), path
                )
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {"title": "Media Service", "version": "1.0.0"},
            "paths": paths,
            "components": {"schemas": components},
        }
    )


def _operation(handler: HTTPRouteHandler, described: Described, method: str, path: str) -> Schema:
    refusals = set(QUERY_REFUSALS if method == "GET" else COMMAND_REFUSALS)
    refusals |= set(described.refusals) | set(BODY_REFUSALS if described.body else ())
    responses = {str(status): _answer(kind) for status, kind in described.answers.items()}
    responses |= {str(status): _answer(Envelope) for status in sorted(refusals)}
    operation: Schema = {
        "operationId": handler.opt["event"],
        "summary": (handler.fn.__doc__ or "").strip(),
        "parameters": _parameters(described, method, path),
        "responses": responses,
    }
    if handler.opt["access"] != OPEN:
        operation["description"] = f"Needs the permission {handler.opt['access']}."
    if described.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(described.body)}
    return operation


def _parameters(described: Described, method: str, path: str) -> list[Schema]:
    parameters = [
        {"name": name, "in": "header", "required": required, "description": why, "schema": TEXT}
        for name, required, why in IDENTITY
    ]
    if "{media_id" in path:
        parameters.append({"name": "media_id", "in": "path", "required": True, "schema": MEDIA_ID})
    if method == "GET":
        parameters.append({"name": "Media-Position", "in": "header", "schema": POSITION})
    else:
        parameters.append({"name": "Idempotency-Key", "in": "header", "schema": KEY})
    parameters.extend(
        {"name": name, "in": "query", "schema": schema} for name, schema in described.query.items()
    )
    return parameters


def _answer(kind: type | None) -> Schema:
    headers: Schema = {"x-request-id": {"schema": TEXT}}
    if kind is not Envelope:
        headers["media-position"] = {"schema": POSITION}
    described: Schema = {"description": _sentence(kind), "headers": headers}
    if kind is not None:
        described["content"] = _content(kind)
    return described


def _sentence(kind: type | None) -> str:
    return (kind.__doc__ or "").strip() if kind is not None else "Go to `Location`."


@cache
def _content(kind: type) -> Schema:
    media_type = getattr(kind, "MEDIA_TYPE", "application/json")
    return {media_type: {"schema": {"$ref": f"#/components/schemas/{kind.__name__}"}}}

"""The OpenAPI document of the public app, made from the routes and the structs they speak."""

from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from litestar.handlers import HTTPRouteHandler

from adapters.settings import Settings
from api.errors import STATUS, Envelope, RateLimited, envelope
from api.limits import Limit
from api.openapi_described import Described, Refusal, Schema
from api.openapi_examples import COMMAND_ID, KEY, MEDIA_ID, POSITION, REFUSALS, WEBHOOK_ID
from api.openapi_fields import fields
from api.openapi_routes import (
    ASKING,
    COMMANDING,
    DESCRIBED,
    LIMITED,
    READING_BODY,
)
from api.routes import OPEN
from domain.errors import Infected, UploadMismatch

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer", "minimum": 0}
POSITION_TEXT: Schema = {"type": "string", "pattern": "^([0-9]{1,18}|[0-8][0-9]{18})$"}

SECURITY: dict[str, tuple[str, str]] = {
    "gatewayKey": ("x-gateway-key", "The gateway's secret."),
    "user": ("x-user-id", "Whom the gateway vouches for."),
    "permissions": ("x-user-permissions", "What they may do, by comma or space."),
}
TENANT: Schema = {
    "name": "x-tenant-id",
    "in": "header",
    "description": "The workspace; absent for a personal request.",
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$", "not": {"const": "users"}},
    "example": "ls_abc123",
}
REQUEST_ID: Schema = {
    "name": "x-request-id",
    "in": "header",
    "description": "Echoed back; made when absent or unfit.",
    "schema": TEXT,
    "example": "req_7f3a",
}
WANTED: Schema = {
    "name": "Media-Position",
    "in": "header",
    "description": "Answer with what was written up to here; waits for at most 2 s.",
    "schema": POSITION_TEXT,
    "example": POSITION,
}
IDEMPOTENCY_KEY: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and body within 24 h have the same outcome. 1 to 255 characters.",
    "schema": {"type": "string", "pattern": "^[!-~]([ -~]{0,253}[!-~])?$"},
    "example": "5f2c8a3e",
}
PATH_PARAMETERS: dict[str, tuple[str, Schema, str]] = {
    "media_id": ("The file's id.", TEXT | {"pattern": "^media_[A-Za-z0-9_-]{16}$"}, MEDIA_ID),
    "webhook_id": ("The webhook's id.", TEXT | {"pattern": "^wh_[A-Za-z0-9]{16}$"}, WEBHOOK_ID),
    "key": ("The file's key.", TEXT, KEY),
    "position": ("Of the message.", POSITION_TEXT, POSITION),
    "command_id": (
        "`Media-Command-Id` of the command.",
        TEXT | {"pattern": "^cmd_[0-9a-f]{28}$"},
        COMMAND_ID,
    ),
}
COMMANDS = {"POST", "PATCH", "DELETE"}


def document(routes: Iterable[HTTPRouteHandler], settings: Settings) -> bytes:
    """The document as JSON."""
    paths: dict[str, dict[str, Schema]] = {}
    for handler in routes:
        described = DESCRIBED[handler.opt["event"]]
        for path in handler.paths:
            for method in sorted(map(str, handler.http_methods)):
                operation = _operation(handler, described, method, path, settings)
                paths.setdefault(_template(path), {})[method.lower()] = operation
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Media Service",
                "version": "1.0.0",
                "description": "Uploads go from the browser to a bucket: presign, PUT, complete. "
                "Identity comes from the gateway, as headers. Every error is the same envelope. "
                "Unknown fields and parameters are ignored, wrong ones refused.",
            },
            "paths": paths,
            "components": {
                "schemas": _schemas(settings),
                "securitySchemes": {
                    name: {"type": "apiKey", "in": "header", "name": header, "description": why}
                    for name, (header, why) in SECURITY.items()
                },
            },
        }
    )


def _template(path: str) -> str:
    """The path as OpenAPI writes it."""
    return path.replace(":str", "").replace(":path", "")


def _schemas(settings: Settings) -> dict[str, Schema]:
    """Every struct, with what each of its fields means."""
    named: set[type] = {Envelope}
    for one in DESCRIBED.values():
        named |= {kind for kind in (one.body, *(kind for kind, _ in one.answers.values())) if kind}
    _, schemas = msgspec.json.schema_components(
        sorted(named, key=lambda kind: kind.__name__),
        ref_template="#/components/schemas/{name}",
    )
    for name, about in fields(settings).items():
        for field, said in about.items():
            schema = schemas[name]["properties"][field]
            # A rule of the text leaves null alone, but an enumeration or a type beside it does not.
            schema.update(said)
    return schemas


def _operation(
    handler: HTTPRouteHandler, described: Described, method: str, path: str, settings: Settings
) -> Schema:
    limit: Limit | None = handler.opt.get("limit")
    is_open = handler.opt["access"] == OPEN
    commands = method in COMMANDS and not handler.opt.get("reads", False)
    responses: Schema = {}
    for status, (kind, example) in described.answers.items():
        responses[str(status)] = _answer(
            kind, example, status, method, is_open=is_open, commands=commands
        )
        responses[str(status)]["headers"] |= described.answer_headers
    for status, refusals in _by_status(_refusals(handler, described, commands=commands)).items():
        responses[str(status)] = _refused(status, refusals)
    if limit is not None:
        for answered, response in responses.items():
            response["headers"] |= _limit_headers(refused=answered == str(STATUS[RateLimited]))
    operation: Schema = {
        "operationId": handler.opt["event"] + (".head" if method == "HEAD" else ""),
        "tags": [path.split("/")[1]],
        "summary": (handler.fn.__doc__ or "").strip(),
        "parameters": _parameters(described, path, is_open=is_open, commands=commands),
        "responses": responses,
    }
    if not is_open:
        operation["description"] = f"Needs the permission `{handler.opt['access']}`."
        operation["security"] = [{name: [] for name in SECURITY}]
    if limit is not None and (number := getattr(settings, f"limit_{limit.name}")):
        operation["description"] += f" At most {number} a minute for each {limit.per}."
    if described.body is not None:
        operation["requestBody"] = {
            "required": described.body_required,
            "content": _content(described.body, {"example": {"value": described.asked}}),
        }
    return operation


def _refusals(handler: HTTPRouteHandler, described: Described, *, commands: bool) -> list[Refusal]:
    """Everything the route may answer beside success, in the order of the checks."""
    refusals: list[Refusal] = []
    if handler.opt["access"] != OPEN:
        refusals += ASKING
    if commands:
        refusals += COMMANDING
    if described.body is not None:
        refusals += READING_BODY
    if handler.opt.get("limit") is not None:
        refusals += LIMITED
    return [*refusals, *described.refusals]


def _by_status(refusals: Sequence[Refusal]) -> dict[int, list[Refusal]]:
    grouped: dict[int, list[Refusal]] = {}
    for refusal in sorted(refusals, key=lambda one: (STATUS[one], one.code)):
        grouped.setdefault(STATUS[refusal], []).append(refusal)
    return grouped


def _parameters(described: Described, path: str, *, is_open: bool, commands: bool) -> list[Schema]:
    parameters: list[Schema] = []
    for name, (why, schema, example) in PATH_PARAMETERS.items():
        if f"{{{name}" in path:
            one = {"name": name, "in": "path", "required": True, "description": why}
            parameters.append({**one, "schema": schema, "example": example})
    given = [("query", *one) for one in described.query.items()]
    given += [("header", *one) for one in described.headers.items()]
    for place, name, schema in given:
        said: Schema = {key: schema[key] for key in ("description", "example") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in said}
        parameters.append({"name": name, "in": place, **said, "schema": rest})
    if not is_open:
        own = IDEMPOTENCY_KEY if commands else WANTED
        parameters += [TENANT, own]
    return [*parameters, REQUEST_ID]


def _answer(
    kind: type | None,
    example: object,
    status: int,
    method: str,
    *,
    is_open: bool,
    commands: bool,
) -> Schema:
    headers: Schema = {"x-request-id": _header("The request's id.", TEXT, required=True)}
    if not is_open:
        why = "The place in the log that was written, or up to which this is known."
        headers["media-position"] = _header(why, POSITION_TEXT, required=True)
        if commands:
            why = "The command's id; a repeat under an Idempotency-Key has that of the first."
            headers["media-command-id"] = _header(why, TEXT, required=True)
    if status == HTTPStatus.ACCEPTED:
        headers["location"] = _header("The status URL.", TEXT)
    if status == HTTPStatus.FOUND:
        why = "Where the bytes are."
        headers["location"] = _header(why, TEXT | {"format": "uri"}, required=True)
    if kind is not None:
        said = (kind.__doc__ or "").strip()
    else:
        said = "Go to `Location`." if status == HTTPStatus.FOUND else "Done."
    described: Schema = {"description": said, "headers": headers}
    if kind is not None and method != "HEAD":
        described["content"] = _content(kind, {"example": {"value": example}})
    return described


def _refused(status: int, refusals: Sequence[Refusal]) -> Schema:
    """One status: its codes, each with its sentence and an example as it is really answered."""
    content = _content(
        Envelope,
        {
            refusal.code: {
                "summary": _sentence(refusal),
                "value": msgspec.to_builtins(envelope(REFUSALS[refusal])),
            }
            for refusal in refusals
        },
    )
    content["application/json"]["schema"] = {
        "allOf": [content["application/json"]["schema"]],
        "properties": {
            "code": {"enum": [refusal.code for refusal in refusals]},
            "status": {"const": status},
        },
    }
    headers = {"x-request-id": _header("The request's id.", TEXT, required=True)}
    if UploadMismatch in refusals or Infected in refusals:
        headers["media-position"] = _header("Of the refusal itself.", POSITION_TEXT)
    described = "\n".join(f"`{refusal.code}` {_sentence(refusal)}" for refusal in refusals)
    return {"description": described, "headers": headers, "content": content}


def _sentence(refusal: Refusal) -> str:
    return " ".join((refusal.__doc__ or "").split())


def _limit_headers(*, refused: bool) -> Schema:
    headers = {
        "ratelimit-limit": _header("Requests a minute; absent while nothing is counted.", NUMBER),
        "ratelimit-remaining": _header("How many more are free now.", NUMBER),
        "ratelimit-reset": _header("Seconds until the next one is free.", NUMBER),
    }
    if refused:
        headers["retry-after"] = _header("Seconds to wait.", NUMBER, required=True)
    return headers


def _header(why: str, schema: Schema, *, required: bool = False) -> Schema:
    return {"description": why, "required": required, "schema": schema}


def _content(kind: type, examples: dict[str, Any]) -> Schema:
    schema = {"$ref": f"#/components/schemas/{kind.__name__}"}
    media_types = getattr(kind, "MEDIA_TYPES", (getattr(kind, "MEDIA_TYPE", "application/json"),))
    return {one: {"schema": schema, "examples": examples} for one in media_types}

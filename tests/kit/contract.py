"""Holds answers against the OpenAPI document: status, code, headers and body are as it says."""

import re
from functools import cache
from typing import Any

import httpx
import jsonschema_rs
import msgspec

from adapters.settings import Settings
from api.openapi import document
from api.public_routes import ROUTES

Json = dict[str, Any]
SETTINGS = Settings(
    database_url="", redis_url="", public_base_url="", s3_endpoint="", s3_access_key="",
    s3_secret_key="",
)  # fmt: skip


@cache
def documented() -> Json:
    """The document with the default settings."""
    return dict(msgspec.json.decode(document(ROUTES, SETTINGS)))


def check_documented(answer: httpx.Response) -> None:
    """Fail unless the document knows this answer. What is no operation is none of its business."""
    operation = _operation(answer.request.method, answer.request.url.path)
    if operation is None:
        return
    what = f"{operation['operationId']} {answer.status_code} {answer.text[:200]}"
    response = operation["responses"].get(str(answer.status_code))
    assert response is not None, f"not in the OpenAPI document: {what}"
    for name, header in response["headers"].items():
        given = answer.headers.get(name)
        assert given is not None or not header["required"], f"no {name}: {what}"
        if given is not None:
            value = int(given) if header["schema"]["type"] == "integer" else given
            validator(header["schema"]).validate(value)
    content = response.get("content")
    if content is None:
        assert answer.content == b"", what
        return
    if "text/event-stream" in content:
        return
    if "application/json" not in content:
        assert answer.headers["content-type"].partition(";")[0] in content, what
        return
    assert answer.headers["content-type"] == "application/json", what
    body = msgspec.json.decode(answer.content)
    try:
        validator(content["application/json"]["schema"]).validate(body)
    except jsonschema_rs.ValidationError as error:
        raise AssertionError(f"{error.message}: {what}") from None


def _operation(method: str, path: str) -> Json | None:
    """The operation of a request; paths without a parameter win."""
    paths = documented()["paths"]
    for template in sorted(paths, key=lambda one: "{" in one):
        pattern = re.sub(r"\{[a-z_]+\}", "[^/]+", template.replace("{key}", ".+"))
        if re.fullmatch(pattern, path):
            return dict(paths[template]).get(method.lower())
    return None


def validator(schema: Json) -> Any:
    """Of a schema that may point into the document."""
    return _validator(msgspec.json.encode(schema))


@cache
def _validator(schema: bytes) -> Any:
    components = {"components": documented()["components"]}
    return jsonschema_rs.Draft202012Validator(msgspec.json.decode(schema) | components)

"""The OpenAPI document is true. Every answer of the other tests is held against it as well."""

from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import msgspec
import pytest

from adapters.runtime import Runtime
from api import app, errors
from api.openapi_fields import fields
from api.openapi_routes import DESCRIBED
from api.public_routes import ROUTES
from api.routes import OPEN
from tests.kit.contract import SETTINGS, documented, validator
from tests.kit.http import serving

Json = dict[str, Any]
NOT_OF_A_ROUTE = {errors.UnknownRoute, errors.MethodNotAllowed}
OPERATIONS = [
    (f"{method.upper()} {path}", operation)
    for path, methods in documented()["paths"].items()
    for method, operation in methods.items()
]
every_operation = pytest.mark.parametrize(
    "operation", [one for _, one in OPERATIONS], ids=[name for name, _ in OPERATIONS]
)


def test_every_route_is_described_and_nothing_else() -> None:
    assert {route.opt["event"] for route in ROUTES} == set(DESCRIBED)


def test_every_refusal_is_documented_somewhere() -> None:
    codes = {
        code
        for _, operation in OPERATIONS
        for response in operation["responses"].values()
        for code in response.get("content", {}).get("application/json", {}).get("examples", ())
    }
    expected = {kind.code for kind in errors.STATUS if kind not in NOT_OF_A_ROUTE}
    assert expected <= codes


@every_operation
def test_each_operation_has_a_sentence_answers_and_examples_that_are_as_it_says(
    operation: Json,
) -> None:
    assert operation["summary"]
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    for response in operation["responses"].values():
        assert response["description"]
        assert "x-request-id" in response["headers"]
        bodies += [response] if "content" in response else []
    for body in bodies:
        for content in body["content"].values():
            assert content["examples"]
            for example in content["examples"].values():
                validator(content["schema"]).validate(example["value"])
    for parameter in operation["parameters"]:
        assert parameter["description"]
        if "example" in parameter:
            value = parameter["example"]
            validator(parameter["schema"]).validate(value)


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.opt["event"])
def test_a_route_that_asks_who_you_are_documents_what_that_can_answer(route: Any) -> None:
    for _, operation in OPERATIONS:
        if operation["operationId"] != route.opt["event"]:
            continue
        answers = set(operation["responses"])
        if route.opt["access"] == OPEN:
            assert "security" not in operation
        else:
            assert {"400", "401", "403", "500"} <= answers
            assert route.opt["access"] in operation["description"]
        assert ("429" in answers) == ("limit" in route.opt)


def test_every_field_of_every_body_says_what_it_means() -> None:
    schemas = documented()["components"]["schemas"]
    said = fields(SETTINGS)
    assert {name: set(about) for name, about in said.items()} == {
        name: set(schema["properties"]) for name, schema in schemas.items()
    }
    for about in said.values():
        assert all(one["description"] for one in about.values())


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for below in value.values():
            yield from references(below)
    elif isinstance(value, list):
        for below in value:
            yield from references(below)


def test_every_schema_is_one_and_every_reference_leads_somewhere() -> None:
    for name, schema in documented()["components"]["schemas"].items():
        jsonschema_rs.meta.validate(
            {"$schema": "https://json-schema.org/draft/2020-12/schema"} | schema
        )
        assert name
    known = {f"#/components/schemas/{name}" for name in documented()["components"]["schemas"]}
    assert set(references(documented())) <= known


async def test_the_document_speaks_of_the_settings_of_this_process(runtime: Runtime) -> None:
    settings = msgspec.structs.replace(runtime.settings, docs=True, limit_presign=7)
    async with serving(app.create_app(msgspec.structs.replace(runtime, settings=settings))) as http:
        served = (await http.get("/openapi.json")).json()
    presign = served["paths"]["/upload/presign"]["post"]
    assert "At most 7 a minute for each tenant." in presign["description"]
    unlimited = served["paths"]["/files"]["get"]
    assert "a minute" not in unlimited["description"]


async def test_the_page_brings_everything_along(runtime: Runtime) -> None:
    settings = msgspec.structs.replace(runtime.settings, docs=True)
    async with serving(app.create_app(msgspec.structs.replace(runtime, settings=settings))) as http:
        page, script = await http.get("/docs"), await http.get("/docs/page.js")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert script.headers["content-type"].startswith("text/javascript")
    assert "https://" not in page.text + script.text
    assert "innerHTML" not in script.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_without_the_setting_there_is_no_page(http: httpx.AsyncClient) -> None:
    for path in ("/docs", "/docs/page.js", "/docs/page.css", "/openapi.json"):
        assert (await http.get(path)).status_code == 404

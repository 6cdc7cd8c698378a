"""The published contract of integration events: a page, JSON Schemas and an AsyncAPI document.

Part of `./dev docs`; everything in them comes from `application/integration_events.py`.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import msgspec

from application.integration_events import ANNOUNCED, Announcement, IntegrationEvent, schema_name

TITLE = "Media Service integration events"
VERSION = "1.0.0"
DIALECT = "https://json-schema.org/draft/2020-12/schema"


def page() -> str:
    """docs/integration-events.md."""
    # Imported late: docs/generate.py imports this module.
    from docs.generate import GENERATED, field_notes  # noqa: PLC0415

    lines = [
        "# Integration events\n",
        GENERATED.strip() + "\n",
        "What other services are told: [CloudEvents 1.0](https://cloudevents.io) in structured",
        "JSON. How to subscribe: [subscribing.md](subscribing.md). For machines:",
        "[asyncapi.json](asyncapi.json), and a JSON Schema per type in [schemas](schemas).\n",
        "## The envelope\n",
        *_table(_envelope()["properties"], field_notes(IntegrationEvent)),
    ]
    common = _inline(Announcement)["properties"]
    lines += ["\n## `data` of every event\n", *_table(common)]
    for announcement in ANNOUNCED.values():
        properties = _inline(announcement)["properties"]
        own = {name: one for name, one in properties.items() if name not in common}
        lines += [
            f"\n## {announcement.TYPE}\n",
            f"{inspect.getdoc(announcement)} `{schema_name(announcement)}`\n",
            *(_table(own) if own else ["`data` has nothing beside that."]),
        ]
    return "\n".join(lines).rstrip() + "\n"


def _table(properties: Mapping[str, Any], notes: Mapping[str, str] | None = None) -> list[str]:
    rows = ["| field | type | |", "|---|---|---|"]
    for name, described in properties.items():
        kinds = [one.get("type", "object") for one in described.get("anyOf", [described])]
        note = described.get("description") or (notes or {}).get(name, "")
        rows.append(f"| `{name}` | {' or '.join(kinds)} | {note} |")
    return rows


def schema(announcement: type[Announcement]) -> str:
    """docs/schemas/<type>.v<n>.json: the schema of the data of one type."""
    return _json({"$schema": DIALECT, "$id": schema_name(announcement), **_inline(announcement)})


def _inline(announcement: type[Announcement]) -> dict[str, Any]:
    """The schema itself, with the fields' notes."""
    from docs.generate import field_notes  # noqa: PLC0415

    _, components = msgspec.json.schema_components([announcement])
    found: dict[str, Any] = components[announcement.__name__]
    notes = field_notes(Announcement) | field_notes(announcement)
    for name, encoded in zip(
        announcement.__struct_fields__, announcement.__struct_encode_fields__, strict=True
    ):
        if name in notes:
            found["properties"][encoded]["description"] = notes[name]
    return found


def asyncapi() -> str:
    """docs/asyncapi.json, AsyncAPI 3.0."""
    messages = {announcement.TYPE: _message(announcement) for announcement in ANNOUNCED.values()}
    references = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    channels: dict[str, Any] = {
        "events": {
            "address": "{namespace}:events",
            "description": "All of them, in the order of the log. A Redis stream.",
            "parameters": {"namespace": {"description": "`MEDIA_REDIS_NAMESPACE`."}},
            "messages": references,
        }
    }
    operations: dict[str, Any] = {
        "publish": {"action": "send", "channel": {"$ref": "#/channels/events"}}
    }
    for name, reference in references.items():
        channels[f"events.{name}"] = {
            "address": f"{{namespace}}:events:{name}",
            "description": f"Only {name}, in the order of the log. A Redis stream.",
            "parameters": {"namespace": {"description": "`MEDIA_REDIS_NAMESPACE`."}},
            "messages": {name: reference},
        }
        operations[f"publish.{name}"] = {
            "action": "send",
            "channel": {"$ref": f"#/channels/events.{name}"},
        }
    return _json(
        {
            "asyncapi": "3.0.0",
            "info": {"title": TITLE, "version": VERSION},
            "defaultContentType": "application/cloudevents+json",
            "channels": channels,
            "operations": operations,
            "components": {"messages": messages},
        }
    )


def _envelope() -> dict[str, Any]:
    _, components = msgspec.json.schema_components([IntegrationEvent])
    envelope: dict[str, Any] = components[IntegrationEvent.__name__]
    # The encoder writes them always; only `tenantid` may be absent.
    envelope["required"] = [name for name in envelope["properties"] if name != "tenantid"]
    return envelope


def _message(announcement: type[Announcement]) -> dict[str, Any]:
    envelope = _envelope()
    envelope["properties"]["type"] = {"const": announcement.TYPE}
    envelope["properties"]["dataschema"] = {"const": schema_name(announcement)}
    envelope["properties"]["data"] = _inline(announcement)
    return {
        "name": announcement.TYPE,
        "summary": inspect.getdoc(announcement),
        "contentType": "application/cloudevents+json",
        "payload": envelope,
    }


def _json(value: Mapping[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(value)).decode() + "\n"


PAGES = {"integration-events.md": page, "asyncapi.json": asyncapi} | {
    f"schemas/{announcement.TYPE}.v{announcement.SCHEMA}.json": (
        lambda announcement=announcement: schema(announcement)
    )
    for announcement in ANNOUNCED.values()
}

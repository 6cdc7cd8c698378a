"""Writes the pages, schemas and documents that are made from the code: `./dev docs`.

A test fails when they are not what this would write.
"""

import ast
import inspect
import textwrap
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from adapters.settings import Settings, variable_of
from api.openapi import document
from api.public_routes import ROUTES
from docs import contract
from domain.event import Event, Recorded
from domain.event_catalogue import FAMILIES

DOCS = Path(__file__).parent
GENERATED = "<!-- Written by `./dev docs`. Change the code instead. -->\n\n"


def field_notes(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring under each field of a struct, as one line."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(struct))).body
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{struct} is not a class")
    notes: dict[str, str] = {}
    for statement, following in zip(definition.body, definition.body[1:], strict=False):
        match statement, following:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(note))),
            ):
                notes[name] = " ".join(note.split())
    return notes


def field_rows(struct: type[msgspec.Struct]) -> Iterator[tuple[str, str, str]]:
    """Name, type and note of each field."""
    notes = field_notes(struct)
    for field in msgspec.structs.fields(struct):
        kind = getattr(field.type, "__name__", None)
        text = kind if kind and "[" not in str(field.type) else str(field.type)
        yield field.name, text.replace("|", "or"), notes.get(field.name, "")


def events() -> str:
    """The event catalogue."""
    lines = [
        "# Events\n",
        GENERATED.strip() + "\n",
        "The facts in the log, as stored. A shipped event is never edited: a change is a new",
        "version with an upcaster, and a stored example of each version decodes for ever",
        "(`tests/stored_events/`).\n",
        "## The envelope of every event\n",
        *table(Recorded, leave_out={"event"}),
        "\nThe column `type` holds the stored type, `data` the fields below as JSON.\n",
    ]
    for title, members in FAMILIES.items():
        lines.append(f"## {title}\n")
        lines += [line for event in members for line in event_section(event)]
    return "\n".join(lines).rstrip() + "\n"


def event_section(event: type[Event]) -> list[str]:
    """One event: its stored type, its sentence, its fields."""
    section = [f"### {event.__name__}\n", f"`{event.TYPE}` — {inspect.getdoc(event)}\n"]
    if msgspec.structs.fields(event):
        section += [*table(event), ""]
    return section


def table(struct: type[msgspec.Struct], leave_out: Collection[str] = ()) -> list[str]:
    """The fields as a Markdown table."""
    rows = [row for row in field_rows(struct) if row[0] not in leave_out]
    return [
        "| field | type | |",
        "|---|---|---|",
        *(f"| `{name}` | {kind} | {note} |" for name, kind, note in rows),
    ]


def configuration() -> str:
    """Every setting."""
    notes = field_notes(Settings)
    lines = [
        "# Configuration\n",
        GENERATED.strip() + "\n",
        "Read once at start from the environment. A wrong value stops the start with a sentence",
        "that names it. `./dev up` sets what it needs by itself.\n",
        "| variable | default | meaning |",
        "|---|---|---|",
    ]
    for field in msgspec.structs.fields(Settings):
        default = "required" if field.required else default_text(field)
        note = notes.get(field.name, "").replace("|", "\\|")
        lines.append(f"| `{variable_of(field.name)}` | {default} | {note} |")
    return "\n".join(lines) + "\n"


def default_text(field: msgspec.structs.FieldInfo) -> str:
    """The default as one would write it into the environment."""
    if field.name == "services":
        return "the seven services of the specification"
    if field.name == "presets":
        return "those of docs/renditions.md"
    value = field.default
    if isinstance(value, tuple):
        value = ",".join(map(str, value))
    if isinstance(value, bool):
        value = str(value).lower()
    return f"`{value}`" if value != "" else "none"


def openapi() -> str:
    """The API as the dashboard's client is typed from it, with the default settings."""
    settings = Settings(
        database_url="",
        redis_url="",
        public_base_url="",
        s3_endpoint="",
        s3_access_key="",
        s3_secret_key="",
    )
    return msgspec.json.format(document(ROUTES, settings)).decode() + "\n"


PAGES = {
    "events.md": events,
    "configuration.md": configuration,
    "../web/openapi.json": openapi,
    **contract.PAGES,
}

if __name__ == "__main__":
    for name, page in PAGES.items():
        (DOCS / name).parent.mkdir(exist_ok=True)
        (DOCS / name).write_text(page())
        print(f"wrote {(DOCS / name).resolve().relative_to(DOCS.parent)}")  # noqa: T201 - it is a command

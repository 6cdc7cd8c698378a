"""Bounds a drawing and hands it to the sanitiser. Runs in the decode child."""

import contextlib
import re
from xml.parsers import expat

import py_svg_hush

from adapters.decode_verdict import Refusal, drawing_limit

DEPTH = 200
ELEMENTS = 200_000
SVG_ROOT = "http://www.w3.org/2000/svg svg"
PICTURES = {"image": ["png", "jpeg", "gif", "webp"]}
"""What a drawing may embed as a data URL."""
REFERENCES = {"href", "http://www.w3.org/1999/xlink href", "src"}
OUTSIDE_STYLE = re.compile(r"@import|url\(\s*['\"]?\s*(?!['\"#\s]|data:image/)", re.IGNORECASE)


def sanitised(body: bytes) -> bytes:
    """The drawing without scripts and handlers. Raises Refusal (`svg`)."""
    _DrawingCheck().run(body)
    try:
        drawing = bytes(py_svg_hush.filter_svg(body, PICTURES))
    except ValueError as error:
        raise Refusal("svg", f"The drawing is not usable: {error}") from None
    if not _begins_as_svg(drawing):
        # It drops the namespace of a prefixed root (`<svg:svg>`): no browser would draw that.
        raise Refusal("svg", "The drawing's root element has a namespace prefix.")
    if len(drawing) > drawing_limit(len(body)):
        raise Refusal("limits", "The drawing grows too much when it is cleaned.")
    return drawing


def _begins_as_svg(drawing: bytes) -> bool:
    roots: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")

    def first(name: str, _attributes: object) -> None:
        roots.append(name)
        parser.StartElementHandler = None

    parser.StartElementHandler = first
    with contextlib.suppress(expat.ExpatError):
        parser.Parse(drawing, True)  # noqa: FBT003 - expat takes no keyword here
    return roots == [SVG_ROOT]


class _DrawingCheck:
    """One pass over the XML: well formed, an SVG, bounded, and pointing at nothing outside."""

    def __init__(self) -> None:
        self._depth = 0
        self._elements = 0
        self._in_style = 0
        self._style: list[str] = []

    def run(self, body: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.ProcessingInstructionHandler = self._instruction
        parser.buffer_text = True
        parser.buffer_size = 1 << 16
        try:
            parser.Parse(body, True)  # noqa: FBT003 - expat takes no keyword here
        except expat.ExpatError as error:
            raise Refusal("svg", f"The drawing is not well-formed XML: {error}") from None

    def _doctype(self, _name: str, _system: object, _public: object, subset: int) -> None:
        # Drawing programs write a bare DOCTYPE, which the sanitiser drops; only an internal
        # subset can declare anything.
        if subset:
            raise Refusal("svg", "The drawing declares its own document type.")

    def _entity(self, *_declaration: object) -> None:
        raise Refusal("svg", "The drawing declares entities.")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._depth == 0 and name != SVG_ROOT:
            raise Refusal("content", "The bytes are not an SVG drawing.")
        self._depth += 1
        self._elements += 1
        if self._depth > DEPTH or self._elements > ELEMENTS:
            raise Refusal("limits", f"More than {DEPTH} levels or {ELEMENTS} elements.")
        local = name.rpartition(" ")[2]
        self._in_style += local == "style"
        for attribute, value in attributes.items():
            # A link waits for a click; the sanitiser decides on its address.
            if attribute in REFERENCES and local != "a":
                self._check_reference(value.strip())
            elif OUTSIDE_STYLE.search(value):
                raise Refusal("svg", "The drawing's style refers to something outside.")

    def _check_reference(self, value: str) -> None:
        if value and not value.startswith("#") and not value.lower().startswith("data:image/"):
            raise Refusal("svg", "The drawing refers to something outside.")

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name.rpartition(" ")[2] != "style":
            return
        self._in_style -= 1
        # Whole, since an element in its middle must not hide a word from us.
        if not self._in_style:
            if OUTSIDE_STYLE.search("".join(self._style)):
                raise Refusal("svg", "The drawing's style refers to something outside.")
            self._style.clear()

    def _text(self, text: str) -> None:
        if self._in_style:
            self._style.append(text)

    def _instruction(self, target: str, _data: str) -> None:
        if target == "xml-stylesheet":
            raise Refusal("svg", "The drawing takes its style from outside.")

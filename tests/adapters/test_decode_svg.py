"""What is left of a drawing, and which drawings are refused; in this process, without the jail."""

import pytest

from adapters.decode_svg import sanitised
from adapters.decode_verdict import Refusal

SVG = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'
HTML = b"<!DOCTYPE html><html><body><script>alert(1)</script></body></html>"


def drawn(inside: str) -> str:
    return sanitised(SVG.format(inside).encode()).decode()


def drawn_if_at_all(inside: str) -> str:
    try:
        return drawn(inside)
    except Refusal:
        return ""


@pytest.mark.parametrize(
    "inside",
    [
        "<script>alert(1)</script>",
        "<script href='http://evil.test/x.js'/>",
        "<rect onload='alert(1)' onclick='alert(1)'/>",
        (
            "<foreignObject><iframe xmlns='http://www.w3.org/1999/xhtml' src='http://evil.test'/>"
            "</foreignObject>"
        ),
        "<a xlink:href='javascript:alert(1)'><rect/></a>",
        "<a href='&#106;avascript:alert(1)'><rect/></a>",
        "<image href='http://evil.test/x.png'/>",
        "<image href='//evil.test/x.png'/>",
        "<image href='data:image/svg+xml;base64,PHN2Zy8+'/>",
        "<use href='http://evil.test/a.svg#x'/>",
        "<rect fill='url(http://evil.test/x)' style='fill:url(//evil.test/y)'/>",
        "<style>rect { background: url(http://evil.test/x) }</style>",
        r"<style>@\69mport 'http://evil.test/x.css';</style>",
        "<handler xmlns='http://www.w3.org/2001/xml-events'>alert(1)</handler>",
        "<set attributeName='onmouseover' to='alert(1)'/>",
    ],
)
def test_a_drawing_that_acts_or_reaches_outside_is_cleaned_or_refused(inside: str) -> None:
    drawing = drawn_if_at_all(inside)

    for gone in ("<script", "evil.test", "onload", "onclick", "onmouseover", "foreignObject"):
        assert gone not in drawing
    for gone in ("javascript", "iframe", "handler", "data:image/svg"):
        assert gone not in drawing


def test_a_drawing_keeps_what_it_shows() -> None:
    drawing = drawn(
        "<style>.a{fill:red}</style><defs><linearGradient id='g'/></defs>"
        "<rect class='a' fill='url(#g)' width='4' height='4'/><text>a<tspan>b</tspan>é</text>"
        "<image href='data:image/png;base64,iVBORw0KGgo='/>",
    )

    for kept in (".a{fill:red}", "url(#g)", "a<tspan>b</tspan>é", "data:image/png"):
        assert kept in drawing
    assert sanitised(drawing.encode()).decode() == drawing


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "not well-formed"),
        (b"\xff\xd8\xff\xe0", "not well-formed"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><rect>", "not well-formed"),
        (SVG.format("").encode() + b"<script/>", "not well-formed"),
        (HTML, "not well-formed|not an SVG"),
        (b"<svg><rect/></svg>", "not an SVG"),
        (b"<s:svg xmlns:s='http://www.w3.org/2000/svg'><s:rect/></s:svg>", "prefix"),
        (b'<!DOCTYPE svg [<!ENTITY a "b">]>' + SVG.format("&a;").encode(), "document type"),
        (
            b'<!DOCTYPE svg [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
            + SVG.format("<text>&a;</text>").encode(),
            "document type",
        ),
        (SVG.format("<style>@import url(http://evil.test)</style>").encode(), "outside"),
        (SVG.format("<style>@im<a/>port 'x';</style>").encode(), "outside"),
        (SVG.format("<g>" * 20_000 + "</g>" * 20_000).encode(), "levels"),
        (
            SVG.format("<g>" * 190 + "<g/>" * 20_000 + "</g>" * 190).encode(),
            "grows too much",
        ),
    ],
)
def test_what_is_no_drawing_or_abuses_xml_is_refused_with_the_reason(body: bytes, why: str) -> None:
    with pytest.raises(Refusal, match=why):
        sanitised(body)

import email.message
from typing import Literal
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content_disposition import content_disposition

HOSTILE = [
    'a"; filename=evil.exe; x="',
    "a\r\nSet-Cookie: session=stolen",
    "a\nb\0c\x7f",
    "photo\u202egpj.exe",
    "schöne Grüße 東京 🎉.webp",
    "100%25.png",
    "it's; a=b, c\\d/e*f'g",
    "x" * 255,
    "🎉" * 255,
    "",
    "   ",
    "=?utf-8?q?=0d=0aSet-Cookie?=",
    "\ud800 lone surrogate",
]


def parsed(value: str) -> dict[str, str]:
    """The parameters as a standard MIME parser sees them."""
    message = email.message.Message()
    message["Content-Disposition"] = value
    found = message.get_params(header="content-disposition", unquote=True) or []
    return {str(name): str(value) for name, value in found}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("disposition", ["inline", "attachment"])
def test_a_hostile_name_adds_no_parameter_and_no_line(
    name: str, disposition: Literal["inline", "attachment"]
) -> None:
    value = content_disposition(name, disposition)

    assert value.isascii()
    assert value.isprintable()
    head, fallback, extended = value.split("; ")
    assert (head, fallback) == (disposition, 'filename="file"')
    assert extended.startswith("filename*=UTF-8''")
    assert not set(extended.removeprefix("filename*=UTF-8''")) & set("\"'\\;,/ *()<>@:?={}[]")


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=255))
def test_every_name_comes_back_as_it_was(name: str) -> None:
    encoded = content_disposition(name, "attachment").partition("filename*=UTF-8''")[2]

    assert unquote(encoded, errors="strict") == name


def test_a_standard_parser_sees_the_disposition_and_two_names() -> None:
    assert set(parsed(content_disposition('a"; b="c', "inline"))) == {"inline", "filename"}


def test_plain_characters_stay_readable() -> None:
    value = content_disposition("hero-2_final.webp", "inline")

    assert value == "inline; filename=\"file\"; filename*=UTF-8''hero-2_final.webp"

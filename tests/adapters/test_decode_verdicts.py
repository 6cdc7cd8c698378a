"""What the decode sandbox lets through as it is, what it trims, and what it refuses and why."""

from collections.abc import AsyncIterator, Callable

import pytest

from adapters.decode_sandbox import DecodeSandbox
from application.ports import Refused
from tests.kit import hostile_files as hostile
from tests.kit.decoding import Accepted, prove
from tests.kit.hostile_cases import HOSTILE
from tests.kit.hostile_files import GOOD_FILES, HTML, SCRIPT


@pytest.fixture(scope="session")
async def sandbox() -> AsyncIterator[DecodeSandbox]:
    async with DecodeSandbox() as opened:
        yield opened


@pytest.mark.parametrize("mime_type", GOOD_FILES)
async def test_a_good_file_is_accepted_byte_for_byte(
    sandbox: DecodeSandbox, mime_type: str
) -> None:
    assert await prove(sandbox, GOOD_FILES[mime_type](), mime_type) == Accepted()


async def test_variants_that_cameras_and_browsers_write_are_accepted_byte_for_byte(
    sandbox: DecodeSandbox,
) -> None:
    for name, mime_type, body in hostile.more_good_files():
        assert await prove(sandbox, body, mime_type) == Accepted(), name


@pytest.mark.parametrize("tail", [HTML, b"\0" * 7, b"x", hostile.zip_archive(), SCRIPT * 999])
@pytest.mark.parametrize("mime_type", [kind for kind in GOOD_FILES if kind != "image/svg+xml"])
async def test_bytes_behind_a_valid_file_are_cut_off_and_nothing_else_changes(
    sandbox: DecodeSandbox, mime_type: str, tail: bytes
) -> None:
    body = GOOD_FILES[mime_type]()
    assert await prove(sandbox, body + tail, mime_type) == Accepted(rewritten=body)


async def test_bytes_behind_a_recording_of_unknown_length_are_cut_off(
    sandbox: DecodeSandbox,
) -> None:
    body = hostile.video("webm", "libvpx", live="1")
    assert await prove(sandbox, body + HTML, "video/webm") == Accepted(rewritten=body)


@pytest.mark.parametrize(
    ("mime_type", "make", "reasons"), [case[1:] for case in HOSTILE], ids=[c[0] for c in HOSTILE]
)
async def test_a_hostile_file_is_refused_with_its_reason(
    sandbox: DecodeSandbox, mime_type: str, make: Callable[[], bytes], reasons: set[str]
) -> None:
    proof = await prove(sandbox, make(), mime_type)
    assert isinstance(proof, Refused)
    assert proof.reason in reasons, proof
    assert proof.detail
    assert proof.detail.isprintable()


async def test_scripts_and_handlers_are_taken_out_of_a_drawing(sandbox: DecodeSandbox) -> None:
    drawing = hostile.svg(b'<rect onclick="alert(1)" width="5"/>' + SCRIPT)
    proof = await prove(sandbox, drawing, "image/svg+xml")
    assert isinstance(proof, Accepted)
    assert proof.rewritten is not None
    assert b"rect" in proof.rewritten
    assert b"alert" not in proof.rewritten


async def test_a_bare_doctype_of_a_drawing_program_is_dropped(sandbox: DecodeSandbox) -> None:
    doctype = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/svg11.dtd">'
    proof = await prove(sandbox, hostile.svg(b"<rect/>", before=doctype), "image/svg+xml")
    assert isinstance(proof, Accepted)
    assert proof.rewritten is not None
    assert b"DOCTYPE" not in proof.rewritten

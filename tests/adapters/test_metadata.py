"""What a served file tells beside its picture, and that the picture is the very same."""

import io

import av
import pytest
import pyvips  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from adapters.decode_formats import layout
from adapters.decode_sandbox import DecodeSandbox
from adapters.metadata import STRIPPERS
from adapters.metadata_exif import Exif, minimal, without_places
from adapters.metadata_xmp import without_places as xmp_without_places
from adapters.scratch_file import ScratchFile
from application.ports import Accepted
from domain.metadata import MetadataPolicy
from tests.kit import places
from tests.kit.samples import sample

PHOTOGRAPHS = {
    "image/jpeg": lambda: places.with_iptc(places.photograph(".jpg", Q=85)),
    "image/png": lambda: places.photograph(".png"),
    "image/webp": lambda: places.photograph(".webp"),
    "image/avif": lambda: places.photograph(".avif", effort=0),
}
FILMS = {
    "keys": places.film,
    "loci": places.film_with_atom,
    "xyz": lambda: places.film_with_atom().replace(b"loci", b"\xa9xyz"),
}
COORDINATES = (b"+50.8100", b"\x00\x32\xcf\x5c")
TYPES = sorted(PHOTOGRAPHS)


def opened(body: bytes) -> pyvips.Image:
    return pyvips.Image.new_from_buffer(body, "")


def pixels(body: bytes) -> bytes:
    return bytes(opened(body).write_to_memory())


def exif_of(body: bytes) -> dict[str, str]:
    image = opened(body)
    return {name: image.get(name) for name in image.get_fields() if name.startswith("exif-ifd")}


def xmp_of(body: bytes) -> bytes:
    image = opened(body)
    return bytes(image.get("xmp-data")) if "xmp-data" in image.get_fields() else b""


def says_a_place(body: bytes) -> bool:
    fields = exif_of(body)
    return (
        any(name.startswith("exif-ifd3-") for name in fields)
        or b"GPS" in xmp_of(body)
        or places.CITY in body
    )


async def served(body: bytes, mime_type: str, policy: MetadataPolicy) -> tuple[bytes, set[str]]:
    """What a complete would put into the bucket."""
    async with DecodeSandbox(servers=1, metadata=policy) as sandbox:
        with ScratchFile() as file:
            await file.append(body)
            verdict = await sandbox.prove(file, mime_type)
            assert isinstance(verdict, Accepted), verdict
            if verdict.rewritten is None:
                return body, set(verdict.removed)
            return verdict.rewritten.read(), set(verdict.removed)


@pytest.mark.parametrize("mime_type", TYPES)
async def test_a_picture_is_served_without_its_place_and_otherwise_as_it_was(
    mime_type: str,
) -> None:
    body = PHOTOGRAPHS[mime_type]()
    assert says_a_place(body)
    kept, removed = await served(body, mime_type, "strip-location")
    assert removed >= {"exif", "xmp"}
    assert not says_a_place(kept)
    assert pixels(kept) == pixels(body)
    before, after = exif_of(body), exif_of(kept)
    assert {name: value for name, value in before.items() if "-ifd3-" not in name} == after
    assert places.MAKER in after["exif-ifd0-Make"]
    assert b"All rights reserved" in xmp_of(kept)


@pytest.mark.parametrize("mime_type", TYPES)
async def test_where_nothing_is_to_be_told_how_it_is_held_is_still_known(mime_type: str) -> None:
    body = PHOTOGRAPHS[mime_type]()
    kept, removed = await served(body, mime_type, "strip-all")
    assert removed
    assert pixels(kept) == pixels(body)
    assert places.MAKER.encode() not in kept
    assert b"All rights reserved" not in kept
    if mime_type != "image/avif":  # whose own boxes say it
        assert opened(kept).get("orientation") == 6


@pytest.mark.parametrize("mime_type", TYPES)
async def test_a_picture_may_be_served_with_all_that_it_tells(mime_type: str) -> None:
    body = PHOTOGRAPHS[mime_type]()
    assert await served(body, mime_type, "keep") == (body, set())


@pytest.mark.parametrize("mime_type", sorted(STRIPPERS))
async def test_a_file_that_tells_no_place_is_served_byte_for_byte(mime_type: str) -> None:
    body = sample(mime_type)
    assert await served(body, mime_type, "strip-location") == (body, set())


async def test_the_captions_of_a_picture_stay_without_its_city() -> None:
    kept, removed = await served(PHOTOGRAPHS["image/jpeg"](), "image/jpeg", "strip-location")
    assert "iptc" in removed
    assert b"\x1c\x02\x74\x00\x03Ann" in kept
    assert b"\x1c\x02\x69\x00\x03sun" in kept


async def test_the_profile_of_colours_stays() -> None:
    made = places.camera_picture().icc_transform("srgb", embedded=True)
    body = bytes(made.write_to_buffer(".jpg", profile="srgb"))
    kept, _ = await served(body, "image/jpeg", "strip-all")
    assert opened(kept).get("icc-profile-data") == opened(body).get("icc-profile-data")


@pytest.mark.parametrize("kind", sorted(FILMS))
async def test_a_video_is_served_without_its_place(kind: str) -> None:
    body = FILMS[kind]()
    assert any(one in body for one in COORDINATES)
    kept, removed = await served(body, "video/mp4", "strip-location")
    assert removed == {"container"}
    assert not any(one in kept for one in COORDINATES)
    assert frames(kept) == frames(body)
    if kind == "keys":
        assert places.MAKER.encode() in kept


def frames(body: bytes) -> list[bytes]:
    with av.open(io.BytesIO(body), "r") as container:
        return [bytes(frame.planes[0]) for frame in container.decode(video=0)]


@pytest.mark.parametrize("order", ["<", ">"])
def test_only_the_list_of_places_leaves_a_block(order: str) -> None:
    block = places.exif_block(order)
    after, removed = without_places(block)
    assert removed == {"exif"}
    assert len(after) == len(block)
    assert b"N\0\0\0" not in after
    assert Exif(after).orientation() == 6
    assert without_places(after) == (after, set())


@pytest.mark.parametrize(
    "block",
    [
        b"", b"II*\0", b"MM\0*\xff\xff\xff\xff", places.exif_block(gps=9999),
        places.exif_block(gps=8), b"II*\0\x08\0\0\0\xff\xff",
    ],
)  # fmt: skip
def test_a_block_that_cannot_be_followed_is_not_served(block: bytes) -> None:
    after, removed = without_places(block)
    assert removed == {"exif"}
    assert b"N\0\0\0" not in after


@given(st.binary(max_size=200))
def test_no_block_makes_trouble(tail: bytes) -> None:
    after, _ = without_places(b"II*\0\x08\0\0\0" + tail)
    assert len(after) in {len(tail) + 8, len(minimal(1))}


@pytest.mark.parametrize(
    "packet",
    [
        b"<a", b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", b"<a>" * 200 + b"</a>" * 200,
        b"\xff\xfe<a/>", b"",
    ],
)  # fmt: skip
def test_a_packet_that_cannot_be_read_is_not_served(packet: bytes) -> None:
    assert xmp_without_places(packet) == b""


@pytest.mark.parametrize("mime_type", sorted(PHOTOGRAPHS))
@given(at=st.integers(0, 4000), value=st.integers(0, 255))
def test_a_changed_byte_makes_no_trouble(mime_type: str, at: int, value: int) -> None:
    body = bytearray(_made(mime_type))
    body[at % len(body)] = value
    try:
        after, _ = STRIPPERS[mime_type](bytes(body), everything=False)
    except (IndexError, ValueError):
        return
    assert len(after) <= len(body) + 64


MADE: dict[str, bytes] = {}


def _made(mime_type: str) -> bytes:
    if mime_type not in MADE:
        MADE[mime_type] = PHOTOGRAPHS[mime_type]()
    return MADE[mime_type]


def test_what_is_left_ends_where_it_should() -> None:
    for mime_type, make in PHOTOGRAPHS.items():
        for everything in (False, True):
            after, _ = STRIPPERS[mime_type](make(), everything=everything)
            assert layout(after, mime_type).end == len(after)

"""What is made of pictures and videos, and what that may cost."""

import base64
import io
from collections.abc import AsyncIterator
from fractions import Fraction

import av
import pytest
import pyvips  # type: ignore[import-untyped]

from adapters.decode_answers import REPORT_BYTES
from adapters.decode_orders import begins_as
from adapters.decode_sandbox import DecodeSandbox
from adapters.scratch_file import ScratchFile
from application.derivation import POSTER_ORDER, order_of
from application.ports import Refused
from application.rendering import Order, PictureOrder, Rendered
from domain.rendition import DEFAULT_PRESETS
from tests.kit import hostile_files as hostile
from tests.kit.places import camera_picture, photograph
from tests.kit.samples import SVG, picture

BOX = PictureOrder(name="thumb_200", width=200, height=200, format="webp")


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[DecodeSandbox]:
    async with DecodeSandbox(servers=1) as opened:
        yield opened


async def render(
    sandbox: DecodeSandbox, body: bytes, mime_type: str, *pictures: PictureOrder
) -> Rendered | Refused:
    with ScratchFile() as file:
        await file.append(body)
        return await sandbox.carry_out(
            file, Order(mime_type=mime_type, facts=True, pictures=pictures)
        )


async def made(
    sandbox: DecodeSandbox, body: bytes, mime_type: str, *pictures: PictureOrder
) -> tuple[Rendered, list[pyvips.Image]]:
    rendered = await render(sandbox, body, mime_type, *pictures)
    assert isinstance(rendered, Rendered), rendered
    opened = [pyvips.Image.new_from_buffer(one.body, "") for one in rendered.pictures]
    for image, told in zip(opened, rendered.pictures, strict=True):
        assert image.width == told.width
    return rendered, opened


async def test_a_large_picture_fits_into_the_box_and_tells_nothing_of_itself(
    sandbox: DecodeSandbox,
) -> None:
    body = bytes(picture(1_000, 500).write_to_buffer(".jpg"))
    rendered, (image,) = await made(sandbox, body, "image/jpeg", BOX)
    assert (image.width, image.height) == (200, 100)
    assert rendered.facts is not None
    assert (rendered.facts.width, rendered.facts.height) == (1_000, 500)
    assert not {"exif-data", "xmp-data", "icc-profile-data"} & set(image.get_fields())


async def test_how_a_picture_is_held_is_applied(sandbox: DecodeSandbox) -> None:
    body = photograph(".jpg")
    rendered, (image,) = await made(sandbox, body, "image/jpeg", BOX)
    assert rendered.facts is not None
    assert (rendered.facts.width, rendered.facts.height) == (48, 64)
    assert (image.width, image.height) == (48, 64)
    upright = camera_picture(orientation=1).rot90()
    assert abs(image.extract_area(0, 0, 8, 8).avg() - upright.extract_area(0, 0, 8, 8).avg()) < 12


async def test_nothing_is_enlarged_but_cut_to_its_shape(sandbox: DecodeSandbox) -> None:
    og = order_of("og_1200x630", DEFAULT_PRESETS["og_1200x630"], "jpeg")
    _, (small,) = await made(sandbox, bytes(picture().write_to_buffer(".png")), "image/png", og)
    assert (small.width, small.height) == (64, 34)
    large = bytes(picture(2_000, 3_000).write_to_buffer(".jpg"))
    _, (cut,) = await made(sandbox, large, "image/jpeg", og)
    assert (cut.width, cut.height) == (1_200, 630)


async def test_transparency_becomes_png_or_lies_on_its_background(sandbox: DecodeSandbox) -> None:
    clear = picture().bandjoin(picture()[0] > 128)
    body = bytes(clear.write_to_buffer(".png"))
    as_jpeg = PictureOrder(name="a", width=50, height=50, format="jpeg")
    on_red = PictureOrder(name="b", width=50, height=50, format="jpeg", background="#ff0000")
    rendered, (png, red) = await made(sandbox, body, "image/png", as_jpeg, on_red)
    assert [one.format for one in rendered.pictures] == ["png", "jpeg"]
    assert png.hasalpha()
    assert not red.hasalpha()
    assert rendered.facts is not None
    assert rendered.facts.transparent
    assert red(0, 0)[0] > 200


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
async def test_an_animation_stays_one_where_the_preset_says_so(
    sandbox: DecodeSandbox, suffix: str
) -> None:
    body = hostile.animation(suffix, 6, 164)
    moving = PictureOrder(
        name="avatar_96", width=96, height=64, format="webp", fit="cover", animated=True
    )
    rendered, _ = await made(sandbox, body, f"image/{suffix[1:]}", moving, BOX)
    assert rendered.facts is not None
    assert rendered.facts.frame_count == 6
    animation = pyvips.Image.new_from_buffer(rendered.pictures[0].body, "", n=-1)
    assert (animation.get("n-pages"), animation.width, animation.get("page-height")) == (6, 96, 64)
    assert pyvips.Image.new_from_buffer(rendered.pictures[1].body, "").height == 164


@pytest.mark.parametrize("kind", ["grey", "sixteen bits", "grey with transparency", "cmyk"])
async def test_every_way_to_code_colours_becomes_srgb(sandbox: DecodeSandbox, kind: str) -> None:
    suffix = ".png"
    match kind:
        case "grey":
            image = picture()[0].copy(interpretation="b-w")
        case "sixteen bits":
            image = picture().colourspace("rgb16")
        case "grey with transparency":
            image = picture()[0].bandjoin(picture()[1]).copy(interpretation="b-w")
        case _:
            image, suffix = picture().icc_transform("cmyk", input_profile="srgb"), ".jpg"
    body = bytes(image.write_to_buffer(suffix))
    mime_type = "image/png" if suffix == ".png" else "image/jpeg"
    rendered, (shown,) = await made(sandbox, body, mime_type, BOX)
    assert shown.interpretation == "srgb"
    assert shown.format == "uchar"
    assert rendered.facts is not None
    assert rendered.facts.placeholder is not None


async def test_a_drawing_is_drawn_as_large_as_the_box(sandbox: DecodeSandbox) -> None:
    rendered, (image,) = await made(sandbox, SVG, "image/svg+xml", BOX)
    assert (image.width, image.height) == (200, 150)
    assert rendered.facts is not None
    assert rendered.facts.dominant_color == "#0077ff"


async def test_a_drawing_as_large_as_a_house_is_refused(sandbox: DecodeSandbox) -> None:
    body = SVG.replace(b'width="64" height="48"', b'width="640000" height="480000"')
    answer = await render(sandbox, body, "image/svg+xml", BOX)
    assert isinstance(answer, Rendered)
    assert max(answer.pictures[0].width, answer.pictures[0].height) == 200


async def test_bombs_are_refused_from_their_header(sandbox: DecodeSandbox) -> None:
    answer = await render(sandbox, hostile.png_bomb(), "image/png", BOX)
    assert isinstance(answer, Refused)
    assert answer.reason == "limits"
    frames = await render(sandbox, hostile.gif_of_frames(4_900, 2_000), "image/gif", BOX)
    assert isinstance(frames, Refused)


async def test_a_broken_file_is_refused_and_the_next_one_is_not(sandbox: DecodeSandbox) -> None:
    for body, mime_type in ((b"\xff\xd8\xff", "image/jpeg"), (b"no video", "video/mp4")):
        answer = await render(sandbox, body, mime_type, BOX)
        assert isinstance(answer, Refused)
    await made(sandbox, bytes(picture().write_to_buffer(".png")), "image/png", BOX)


def film(*, black: int, shown: int) -> bytes:
    """A video that begins with black frames."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        stream = output.add_stream("libx264", rate=Fraction(24))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        ramp = bytes(range(0, 256, 4))
        for number in range(black + shown):
            frame = av.VideoFrame(64, 48, "gray")
            line = frame.planes[0].line_size
            row = bytes(64) if number < black else ramp
            frame.planes[0].update(row.ljust(line, b"\0") * 48)
            output.mux(stream.encode(frame.reformat(format="yuv420p")))
        output.mux(stream.encode(None))
    return target.getvalue()


@pytest.mark.parametrize("black", [0, 10, 200])
async def test_the_poster_of_a_video_is_its_first_frame_that_shows_something(
    sandbox: DecodeSandbox, black: int
) -> None:
    rendered, (poster, thumb) = await made(
        sandbox, film(black=black, shown=30), "video/mp4", POSTER_ORDER, BOX
    )
    assert rendered.facts is not None
    assert rendered.facts.video_codec == "h264"
    assert rendered.facts.duration_ms == pytest.approx((black + 30) * 1000 / 24, abs=100)
    if black < 200:  # behind so many only key frames are looked at
        assert rendered.at_ms == pytest.approx(black * 1000 / 24, abs=50)
        assert poster.avg() > 60
    assert (thumb.width, thumb.height) == (64, 48)


async def test_a_video_that_is_black_throughout_has_a_black_poster(sandbox: DecodeSandbox) -> None:
    _, (poster,) = await made(sandbox, film(black=24, shown=0), "video/mp4", POSTER_ORDER)
    assert poster.avg() < 30


def test_the_placeholder_tells_the_mean_colour_and_the_shape() -> None:
    from adapters.thumbhash import thumbhash  # noqa: PLC0415 - the child's

    flat = bytes((255, 128, 0, 255)) * (32 * 16)
    hash_ = base64.b64decode(thumbhash(32, 16, flat))
    head = int.from_bytes(hash_[:3], "little")
    luminance = (head & 63) / 63
    yellow_blue = (head >> 6 & 63) / 31.5 - 1
    red_green = (head >> 12 & 63) / 31.5 - 1
    blue = luminance - 2 / 3 * yellow_blue
    red = (3 * luminance - blue + red_green) / 2
    assert (round(red, 1), round(red - red_green, 1), round(blue, 1)) == (1.0, 0.5, 0.0)
    assert hash_[4] >> 7 == 1  # wider than high
    clear = base64.b64decode(thumbhash(1, 1, bytes(4)))
    assert int.from_bytes(clear[:3], "little") >> 23 == 1


@pytest.mark.parametrize("format_", ["webp", "jpeg", "png", "gif", "avif"])
def test_what_does_not_begin_as_its_format_is_not_believed(format_: str) -> None:
    assert not begins_as(b"<!DOCTYPE html><script>", format_)  # type: ignore[arg-type]
    assert REPORT_BYTES < 1 << 20


async def test_the_child_may_read_the_file_and_nothing_else(sandbox: DecodeSandbox) -> None:
    linked = SVG.replace(
        b"<rect", b'<image href="file:///etc/hostname" width="9" height="9"/><rect'
    )
    rendered, (image,) = await made(sandbox, linked, "image/svg+xml", BOX)
    assert rendered.facts is not None
    assert (image.width, image.height) == (200, 150)

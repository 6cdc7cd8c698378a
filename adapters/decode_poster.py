"""The picture that stands for a video, and what the container says of it. In the decode child."""

import av
import av.error
import msgspec
import pyvips  # type: ignore[import-untyped]  # ships no types
from av.container import InputContainer
from av.video.stream import VideoStream

from adapters.decode_loaders import check_pixels, refusal_of
from adapters.decode_verdict import DecodeLimits, Refusal
from adapters.decode_video import CONTAINERS, opened
from domain.rendition import Facts

DARK = 24.0
"""Mean brightness (0 to 255) up to which a frame counts as black."""
FLAT = 6.0
"""Deviation of brightness up to which a frame is one colour and tells nothing."""
FRAMES_IN_A_ROW = 120
"""Frames looked at one by one; behind them key frames only."""
LOOK_AT_MOST = 400


class Poster(msgspec.Struct, frozen=True):
    """A frame, upright and with square pixels, and what the video is."""

    image: pyvips.Image
    at_ms: int
    facts: Facts


def poster_of(body: bytes, mime_type: str, limits: DecodeLimits) -> Poster:
    """The first frame that is neither black nor of one colour, else the most telling one.

    Raises Refusal.
    """
    try:
        return _poster_of(body, mime_type, limits)
    except av.error.FFmpegError as error:
        raise refusal_of(str(error)) from None


def _poster_of(body: bytes, mime_type: str, limits: DecodeLimits) -> Poster:
    with opened(body, CONTAINERS[mime_type]) as container:
        stream = next(iter(container.streams.video), None)
        if stream is None:
            raise Refusal("content", "There is no moving picture in the file.")
        context = stream.codec_context
        check_pixels(context.width, context.height, 1, limits)
        context.thread_count = 1
        frame = _chosen(container, stream, limits)
        image = _upright(frame)
        facts = _facts(container, stream, image)
        return Poster(image, max(0, round(1000 * (frame.time or 0))), facts)


def _chosen(container: InputContainer, stream: VideoStream, limits: DecodeLimits) -> av.VideoFrame:
    best: av.VideoFrame | None = None
    best_score, seen, pixels = -1.0, 0, 0
    for packet in container.demux(stream):
        if seen > FRAMES_IN_A_ROW:
            stream.codec_context.skip_frame = "NONKEY"
        for frame in packet.decode():
            check_pixels(frame.width, frame.height, 1, limits)
            seen += 1
            pixels += frame.width * frame.height
            mean, deviation = _brightness(frame)
            if mean > DARK and deviation > FLAT:
                return frame
            score = deviation + (mean > DARK)
            if score > best_score:
                best, best_score = frame, score
        if seen >= LOOK_AT_MOST or pixels > limits.video_pixels:
            break
    if best is None:
        raise Refusal("damaged", "The video has no frame that can be decoded.")
    return best


def _brightness(frame: av.VideoFrame) -> tuple[float, float]:
    small = frame.reformat(width=32, height=32, format="gray")
    image = _image(small, 1)
    return float(image.avg()), float(image.deviate())


def _upright(frame: av.VideoFrame) -> pyvips.Image:
    rotation = int(frame.rotation) % 360
    image = _image(frame.reformat(format="rgb24"), 3).copy(interpretation="srgb")
    # Of pixels that are not square the longer side is taken as it is: nothing is enlarged twice.
    shape = frame.sample_aspect_ratio if hasattr(frame, "sample_aspect_ratio") else None
    if shape is not None and shape > 0 and shape != 1:
        ratio = float(shape)
        image = image.resize(min(1.0, ratio), vscale=min(1.0, 1 / ratio))
    if rotation:
        # FFmpeg counts against the clock, libvips with it.
        image = image.rot(f"d{360 - rotation}") if rotation % 90 == 0 else image
    return image.copy_memory()


def _image(frame: av.VideoFrame, bands: int) -> pyvips.Image:
    plane = frame.planes[0]
    row = frame.width * bands
    raw = bytes(plane)
    if plane.line_size != row:
        raw = b"".join(
            raw[at : at + row] for at in range(0, plane.line_size * frame.height, plane.line_size)
        )
    return pyvips.Image.new_from_memory(
        raw[: row * frame.height], frame.width, frame.height, bands, "uchar"
    )


def _facts(container: InputContainer, stream: VideoStream, image: pyvips.Image) -> Facts:
    duration = None
    if container.duration is not None and container.duration > 0:
        duration = round(container.duration / 1000)
    audio = container.streams.audio[0].codec_context.name if container.streams.audio else None
    return Facts(
        width=image.width,
        height=image.height,
        duration_ms=duration,
        frame_count=stream.frames or None,
        container=container.format.name.partition(",")[0],
        video_codec=stream.codec_context.name,
        audio_codec=audio,
    )

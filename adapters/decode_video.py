"""Decodes what moves: videos, and animations in PNG and AVIF. In a child of the heavy server."""

import contextlib
import importlib
import io

import av
import av.error
from av.container import InputContainer

from adapters.decode_loaders import check_pixels, refusal_of
from adapters.decode_verdict import DecodeLimits, Refusal

CODECS = {
    "mov": (
        "h264,hevc,av1,libdav1d,libaom-av1,vp9,libvpx-vp9,mpeg4,aac,mp3,mp3float,opus,libopus,flac"
    ),
    "matroska": "vp8,libvpx,vp9,libvpx-vp9,av1,libdav1d,libaom-av1,vorbis,libvorbis,opus,libopus",
    "apng": "apng",
}
"""FFmpeg has hundreds of decoders; a container may ask only for those that browsers play."""
PICTURE_CODECS = {"h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "apng"}
CONTAINERS = {"video/mp4": "mov", "image/avif": "mov", "video/webm": "matroska"}


def decode(body: bytes, mime_type: str, limits: DecodeLimits) -> None:
    """Decode its moving pictures, and all else that is in it. Raises Refusal."""
    try:
        _decode(body, CONTAINERS.get(mime_type, "apng"), limits)
    except av.error.FFmpegError as error:
        raise refusal_of(str(error)) from None


def opened(body: bytes, container_format: str) -> InputContainer:
    """The container, which opens nothing else and asks only for decoders of its kind.

    Raises FFmpegError.
    """
    options = {
        "codec_whitelist": CODECS[container_format], "max_streams": "16",
        "protocol_whitelist": "", "enable_drefs": "0",
    }  # fmt: skip
    return av.open(io.BytesIO(body), "r", format=container_format, options=options)


def _decode(body: bytes, container_format: str, limits: DecodeLimits) -> None:
    with opened(body, container_format) as container:
        if not container.streams.video:
            raise Refusal("content", "There is no moving picture in the file.")
        for stream in container.streams.video:
            context = stream.codec_context
            if context.name not in {
                *PICTURE_CODECS, *CODECS[container_format].split(",")
            }:  # fmt: skip
                raise Refusal("content", "The video is of no kind that browsers play.")
            check_pixels(context.width, context.height, 1, limits)
            context.thread_count = 1
        _decode_packets(container, limits)


def _decode_packets(container: InputContainer, limits: DecodeLimits) -> None:
    seen, pixels = 0, 0
    for packet in container.demux():
        if packet.is_corrupt:
            raise Refusal("truncated", "A part of the video is missing.")
        if packet.stream.type != "video" or pixels > 2 * limits.video_pixels:
            continue
        if pixels > limits.video_pixels:
            packet.stream.codec_context.skip_frame = "NONKEY"
        for picture in packet.decode():
            if not isinstance(picture, av.VideoFrame):
                continue
            check_pixels(picture.width, picture.height, 1, limits)
            if picture.is_corrupt:
                raise Refusal("damaged", "A frame of the video is damaged.")
            seen += 1
            pixels += picture.width * picture.height
    if seen == 0:
        raise Refusal("damaged", "The video has no frame that can be decoded.")


def warm() -> None:
    """Load what would be opened lazily, since the child of one file can open nothing."""
    for stream in ("attachments", "audio", "data", "subtitles", "video"):
        with contextlib.suppress(ModuleNotFoundError):
            importlib.import_module(f"av.{stream}.stream")
    av.logging.set_level(None)

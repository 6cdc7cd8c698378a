"""The facts about what was found in a file and made from it, as they are stored. Never edited."""

from typing import ClassVar

from domain.event import Event


class MediaInspected(Event, frozen=True, kw_only=True):
    """Someone looked into the served bytes; what they are is known."""

    TYPE: ClassVar[str] = "media_file.inspected.v1"
    sha256: str
    """Of the served bytes, hex."""
    width: int | None
    """In pixels as shown: with the orientation applied."""
    height: int | None
    duration_ms: int | None
    page_count: int | None
    frame_count: int | None
    dominant_color: str | None
    """`#rrggbb`."""
    placeholder: str | None
    """ThumbHash, base64."""
    transparent: bool
    container: str | None
    """Of a video, as FFmpeg names it; the codecs too."""
    video_codec: str | None
    audio_codec: str | None


class InspectionFailed(Event, frozen=True, kw_only=True):
    """Nobody could look into the served bytes; the file is served as it is."""

    TYPE: ClassVar[str] = "media_file.inspection_failed.v1"
    reason: str
    """Of the decoder: a reason of UploadRejected. `gave_up`: tried as often as allowed."""
    detail: str


class RenditionRequested(Event, frozen=True, kw_only=True):
    """A rendition is wanted that is not there: somebody asked for it first, or its recipe changed.

    So that nobody can have the same one made twice, and none is lost.
    """

    TYPE: ClassVar[str] = "media_file.rendition_requested.v1"
    preset: str
    recipe: int
    format: str
    """MIME type."""


class RenditionStored(Event, frozen=True, kw_only=True):
    """A rendition stands beside the original, in the same bucket."""

    TYPE: ClassVar[str] = "media_file.rendition_stored.v1"
    preset: str
    recipe: int
    format: str
    """MIME type."""
    key: str
    bytes: int
    width: int
    height: int
    replaces: str | None
    """Key of the one of an older recipe, which is to be removed."""


class RenditionFailed(Event, frozen=True, kw_only=True):
    """The rendition cannot be made; the original is served as it is."""

    TYPE: ClassVar[str] = "media_file.rendition_failed.v1"
    preset: str
    recipe: int
    format: str
    """MIME type."""
    reason: str
    """Of the decoder: a reason of UploadRejected. `gave_up`: tried as often as allowed.
    `no_preset`: the configuration knows it no longer."""
    detail: str


class PosterStored(Event, frozen=True, kw_only=True):
    """A picture of the video stands beside it; its renditions are made from this one."""

    TYPE: ClassVar[str] = "media_file.poster_stored.v1"
    recipe: int
    format: str
    """MIME type."""
    key: str
    bytes: int
    width: int
    height: int
    at_ms: int
    """Where in the video it was found."""


class RenditionsRemoved(Event, frozen=True, kw_only=True):
    """Renditions that belong to nothing any more are gone from every bucket."""

    TYPE: ClassVar[str] = "media_file.renditions_removed.v1"
    keys: tuple[str, ...]


class MetadataRemoved(Event, frozen=True, kw_only=True):
    """What a picture or video told of its place, or of more, is not in the served bytes."""

    TYPE: ClassVar[str] = "media_file.metadata_removed.v1"
    policy: str
    """`strip-location` or `strip-all`."""
    removed: tuple[str, ...]
    """Where it stood: `exif`, `xmp`, `iptc`, `text`, `comment`, `application`, `container`."""


RENDITION_EVENTS: tuple[type[Event], ...] = (
    MediaInspected,
    InspectionFailed,
    RenditionRequested,
    RenditionStored,
    RenditionFailed,
    PosterStored,
    RenditionsRemoved,
    MetadataRemoved,
)

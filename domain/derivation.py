"""What may be found and made: the decisions about inspection and renditions of a MediaFile."""

from collections.abc import Mapping

import msgspec

from domain.event import Event
from domain.media_file import MediaFile, Status
from domain.rendition import (
    Facts,
    Format,
    Preset,
    Rendition,
    format_of,
    formats_of,
    has_renditions,
    mime_of,
)
from domain.rendition_events import (
    InspectionFailed,
    MediaInspected,
    RenditionFailed,
    RenditionRequested,
    RenditionsRemoved,
    RenditionStored,
)

GAVE_UP = "gave_up"


def formats_for(file: MediaFile, preset: Preset) -> tuple[Format, ...]:
    """The formats in which the file can be had, by what was found in it."""
    found = file.derived.inspected
    if found is None or not file.mime_type.startswith("image/"):
        return formats_of(preset, animated=False, transparent=False)
    animated = (found.frame_count or 1) > 1
    return formats_of(preset, animated=animated, transparent=found.transparent)


def inspected(file: MediaFile, facts: Facts, *, sha256: str) -> list[Event]:
    """Decide that this is what stands in the file."""
    if file.status is not Status.UPLOADED or not file.derived.due:
        return []
    known = msgspec.structs.asdict(facts)
    return [MediaInspected(sha256=sha256, **known)]


def inspection_failed(
    file: MediaFile, *, reason: str, detail: str, presets: Mapping[str, Preset]
) -> list[Event]:
    """Decide that nobody can look into the file, so what is made at once is not made either."""
    if file.status is not Status.UPLOADED or not file.derived.due:
        return []
    events: list[Event] = [InspectionFailed(reason=reason, detail=detail)]
    if has_renditions(file.mime_type):
        events += [
            RenditionFailed(
                preset=name,
                recipe=preset.recipe,
                format=mime_of(formats_for(file, preset)[0]),
                reason=reason,
                detail=detail,
            )
            for name, preset in presets.items()
            if preset.at_once
        ]
    return events


def requested(file: MediaFile, name: str, preset: Preset, format_: Format) -> list[Event]:
    """Decide that the rendition is to be made; [] when it is there, or already asked for."""
    if file.status is not Status.UPLOADED or not has_renditions(file.mime_type):
        return []
    asked = (name, mime_of(format_))
    stored = file.derived.stored.get(asked)
    if stored is not None and stored.recipe == preset.recipe:
        return []
    if asked in file.derived.requested:
        return []
    return [RenditionRequested(preset=name, recipe=preset.recipe, format=asked[1])]


def wanted(file: MediaFile, name: str, mime_type: str) -> bool:
    """Whether somebody asked for the rendition and nobody has made it yet."""
    return file.status is Status.UPLOADED and (name, mime_type) in file.derived.requested


def stored(file: MediaFile, name: str, preset: Preset, made: Rendition) -> list[Event]:
    """Decide that the rendition stands beside the file."""
    if file.status is not Status.UPLOADED:
        return []
    old = file.derived.stored.get((name, made.mime_type))
    if old is not None and old.key == made.key:
        return []
    return [
        RenditionStored(
            preset=name,
            recipe=preset.recipe,
            format=made.mime_type,
            key=made.key,
            bytes=made.bytes,
            width=made.width,
            height=made.height,
            replaces=None if old is None else old.key,
        )
    ]


def failed(
    file: MediaFile, name: str, preset: Preset | None, mime_type: str, *, reason: str, detail: str
) -> list[Event]:
    """Decide that the rendition cannot be made."""
    if not wanted(file, name, mime_type):
        return []
    asked = file.derived.requested[(name, mime_type)]
    return [
        RenditionFailed(
            preset=name,
            recipe=asked.recipe if preset is None else preset.recipe,
            format=mime_type,
            reason=reason,
            detail=detail,
        )
    ]


def cleared(file: MediaFile) -> list[Event]:
    """Decide that what no longer belongs to the file is gone."""
    if not file.derived.to_clear:
        return []
    return [RenditionsRemoved(keys=file.derived.obsolete)]


def outdated(file: MediaFile, name: str, preset: Preset) -> list[Event]:
    """Decide to have every rendition of the preset made anew that is of another recipe.

    One that failed under any recipe is tried again.
    """
    formats = {
        format_of(mime) for one, mime in (*file.derived.stored, *file.derived.failed) if one == name
    }
    possible = formats_for(file, preset)
    wanted_formats = (formats & set(possible)) or ({possible[0]} if preset.at_once else set())
    return [
        event for one in possible if one in wanted_formats
        for event in requested(file, name, preset, one)
    ]  # fmt: skip

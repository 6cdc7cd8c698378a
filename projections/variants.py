"""The variants of a file as its resource shows them: where each is, or why it is not."""

from collections.abc import Mapping
from functools import cache
from typing import Literal

import msgspec

from domain.media_file import MediaFile, Status
from domain.rendition import DEFAULT_PRESETS, Preset, has_renditions, mime_of
from domain.rendition_events import RenditionFailed, RenditionStored

State = Literal["ready", "on_demand", "failed"]
READY: State = "ready"
ON_DEMAND: State = "on_demand"
FAILED: State = "failed"


class Variant(msgspec.Struct, frozen=True, gc=False):
    """One variant of a file."""

    url: str | None
    """Of a public file: of the picture itself once it is ready, else of whoever makes it."""
    status: State
    error: str | None
    """Why it cannot be made."""


class StoredVariant(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rendition in the read model, under its preset and MIME type."""

    recipe: int
    key: str = ""
    bytes: int = 0
    width: int = 0
    height: int = 0
    failed: str = ""


class Variants(msgspec.Struct, frozen=True):
    """Which variants there are, and where they are asked for."""

    presets: Mapping[str, Preset]
    delivery_base_url: str

    def of(
        self,
        key: str,
        mime_type: str,
        stored: Mapping[str, StoredVariant],
        *,
        public_base_url: str,
        is_public: bool,
        failure: str | None,
    ) -> dict[str, Variant]:
        """By name; none for what is no picture and no video."""
        if not has_renditions(mime_type):
            return {}
        shown = {}
        asked_of = f"{self.delivery_base_url}/cdn/{key}?variant=" if is_public else None
        for name, preset in self.presets.items():
            found = _found(name, preset, stored) if stored else None
            if found is not None and found.key:
                url = f"{public_base_url}/{found.key}" if is_public else None
                shown[name] = Variant(url, READY, None)
            elif found is not None and found.recipe == preset.recipe:
                shown[name] = Variant(None, FAILED, found.failed)
            elif failure is not None:
                shown[name] = Variant(None, FAILED, failure)
            else:
                shown[name] = Variant(asked_of and asked_of + name, ON_DEMAND, None)
        return shown


_decode = msgspec.json.Decoder(dict[str, StoredVariant]).decode

NONE = Variants({}, "")
"""For answers that show no variants."""
DEVELOPMENT = Variants(DEFAULT_PRESETS, "http://127.0.0.1:8789")


def variant_id(preset: str, mime_type: str) -> str:
    """How the read model names a rendition."""
    return f"{preset} {mime_type}"


def stored_of(event: RenditionStored | RenditionFailed) -> StoredVariant:
    """What the read model keeps of a fact."""
    if isinstance(event, RenditionFailed):
        return StoredVariant(recipe=event.recipe, failed=event.reason)
    return StoredVariant(
        recipe=event.recipe, key=event.key, bytes=event.bytes, width=event.width,
        height=event.height,
    )  # fmt: skip


def stored_variants(file: MediaFile) -> dict[str, StoredVariant]:
    """What the read model holds of a file's renditions once it has seen all events."""
    if file.status is not Status.UPLOADED:
        return {}
    derived = file.derived
    failed = {variant_id(*id_): stored_of(one) for id_, one in derived.failed.items()}
    return failed | {variant_id(*id_): stored_of(one) for id_, one in derived.stored.items()}


def stored_in(column: str | None) -> dict[str, StoredVariant]:
    """The same out of the column `renditions`, read as text."""
    return {} if column is None or column == "{}" else _decode(column)


def _found(name: str, preset: Preset, stored: Mapping[str, StoredVariant]) -> StoredVariant | None:
    for one in _links(name, preset):
        if (found := stored.get(one)) is not None:
            return found
    return None


@cache
def _links(name: str, preset: Preset) -> tuple[str, ...]:
    """What a link to the variant may lead to: `formats_of`'s first, whatever the file."""
    first = preset.formats[0]
    kinds: list[str] = [mime_of(first)]
    if first == "jpeg":
        kinds.append(mime_of("png"))
    if preset.animated:
        kinds.append(mime_of("webp"))
    return tuple(variant_id(name, one) for one in dict.fromkeys(kinds))

"""Whether `MEDIA_PRESETS` makes sense. Called by `adapters/settings.py`."""

import re
from collections.abc import Mapping

from domain.rendition import POSTER, Preset

NAME = re.compile(r"[a-z0-9_]{1,32}")
COLOUR = re.compile(r"#[0-9a-f]{6}")
MAX_SIDE = 2048
MAX_PRESETS = 16
"""Each is an object, and one more for each format, beside every picture that asks for it."""
MAX_RECIPE = 9999


def preset_trouble(presets: Mapping[str, Preset]) -> str | None:
    """A sentence for what cannot be a preset; None when all is well."""
    if len(presets) > MAX_PRESETS:
        return f"there may be at most {MAX_PRESETS} variants."
    for name, preset in presets.items():
        trouble = _trouble(name, preset)
        if trouble is not None:
            return f"{name!r}: {trouble}."
    return None


def _trouble(name: str, preset: Preset) -> str | None:
    if NAME.fullmatch(name) is None or name == POSTER:
        return f"a name is made of a-z, 0-9 and _, at most 32 of them, and is not {POSTER}"
    if not (1 <= preset.width <= MAX_SIDE and 1 <= preset.height <= MAX_SIDE):
        return f"width and height must be from 1 to {MAX_SIDE}"
    if not preset.formats or len(set(preset.formats)) != len(preset.formats):
        return "formats must name at least one of avif, webp and jpeg, each once"
    if not 1 <= preset.quality <= 100:  # noqa: PLR2004 - percent
        return "quality must be from 1 to 100"
    if preset.background is not None and COLOUR.fullmatch(preset.background) is None:
        return "background must be a colour as #rrggbb, in small letters"
    if not 1 <= preset.recipe <= MAX_RECIPE:
        return f"recipe must be from 1 to {MAX_RECIPE}"
    return None

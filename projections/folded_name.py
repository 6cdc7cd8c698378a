"""File names as search and sorting see them: NFC and Unicode case folding on both sides."""

import unicodedata
from collections.abc import Iterator

_LETTERS = "0123456789abcdefghijklmnopqrstuvwxyz"


class _OneOfThirtySix(dict[int, str]):
    """Every character to one of a-z and 0-9; those to themselves."""

    def __missing__(self, code: int) -> str:
        letter = chr(code) if chr(code) in _LETTERS else _LETTERS[code % 36]
        if len(self) < 4096:  # noqa: PLR2004 - the scripts in use, not all of Unicode
            self[code] = letter
        return letter


_SEARCH = _OneOfThirtySix()


def fold(name: str) -> str:
    """The name without differences of case or of composition."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def search_text(folded: str) -> str:
    """Letter by letter something pg_trgm finds trigrams in, of the same length.

    What contains a needle here need not contain it there: hits are checked against the folded name.
    """
    return folded.translate(_SEARCH)


def like_pattern(needle: str) -> str:
    r"""The LIKE pattern of names that contain the needle; `%`, `_` and `\` match themselves."""
    return f"%{''.join(_escaped(needle))}%"


def _escaped(needle: str) -> Iterator[str]:
    for character in needle:
        yield f"\\{character}" if character in "%_\\" else character

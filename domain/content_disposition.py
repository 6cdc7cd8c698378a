"""The `Content-Disposition` of a file under its own name (RFC 6266, RFC 8187); nothing can inject.

Used by the verification, which stores it with the object, and by the download route.
"""

from typing import Literal
from urllib.parse import quote

FALLBACK_NAME = "file"
"""What a client too old for `filename*` (RFC 8187, 2017) saves as; never made of the given name."""
ATTR_CHARS = "!#$&+^`|"
"""What RFC 8187 leaves unencoded beside letters, digits and `-._~`."""


def content_disposition(file_name: str, disposition: Literal["inline", "attachment"]) -> str:
    """The header's value, printable ASCII for every name; lone surrogates become `?`."""
    encoded = quote(file_name.encode("utf-8", "replace"), safe=ATTR_CHARS)
    return f"{disposition}; filename=\"{FALLBACK_NAME}\"; filename*=UTF-8''{encoded}"

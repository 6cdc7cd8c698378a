"""Which pages of other origins may read our answers (spec 6.8). Used by api/request_log.py."""

import re
from collections.abc import Sequence

from api.parameters import Headers

METHODS = "GET, POST, PATCH, DELETE, OPTIONS"
MAX_AGE_SECONDS = 86_400
EXPOSED = (
    "Media-Command-Id, Media-Position, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, "
    "Retry-After, X-Request-Id"
)
"""What a page may read beside the few headers that browsers always show."""

_NAME = rb"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
_NAMES = re.compile(_NAME + rb"(?:[ \t]*,[ \t]*" + _NAME + rb")*")
MAX_NAMES_BYTES = 1024


class Cors:
    """The rule of one app. No credentials are allowed: the gateway asks for a token, no cookie."""

    def __init__(self, origins: Sequence[str]) -> None:
        self._origins = frozenset(origin.encode() for origin in origins)

    def headers(self, method: str, request: Headers) -> list[tuple[bytes, bytes]]:
        """What the answer says to a page; to an origin that is not ours only that it varies."""
        if not self._origins:
            return []
        headers = [(b"vary", b"Origin")]
        given = {name: value for name, value in request}  # noqa: C416
        origin = given.get(b"origin")
        if origin not in self._origins:
            return headers
        headers.append((b"access-control-allow-origin", origin))
        if method == "OPTIONS" and b"access-control-request-method" in given:
            headers.append((b"access-control-allow-methods", METHODS.encode()))
            headers.append((b"access-control-max-age", str(MAX_AGE_SECONDS).encode()))
            names = given.get(b"access-control-request-headers", b"")
            if len(names) <= MAX_NAMES_BYTES and _NAMES.fullmatch(names.strip()):
                headers.append((b"access-control-allow-headers", names.strip()))
        else:
            headers.append((b"access-control-expose-headers", EXPOSED.encode()))
        return headers

"""`PURGE /cdn/{key}`, a method the framework knows nothing of: an alias, put before the app.

It becomes `POST /files/{id}/purge-cache` of the file with that key, with all its checks.
"""

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from domain.object_key import media_id_of_key

METHOD = "PURGE"
PREFIX = "/cdn/"
NO_FILE = "none"
"""In the place of an id: of what names none the route says 404, after whoever asks was checked."""


class PurgeMethod:
    """Wraps the public app."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass every request on, this one under its other name."""
        if scope["type"] == ScopeType.HTTP and str(scope["method"]) == METHOD:
            path = scope["path"]
            if path.startswith(PREFIX):
                key = path.removeprefix(PREFIX)
                alias = f"/files/{media_id_of_key(key) or NO_FILE}/purge-cache"
                scope["state"]["purge_key"] = key
                scope["method"] = "POST"
                scope["path"], scope["raw_path"] = alias, alias.encode()
        await self._app(scope, receive, send)

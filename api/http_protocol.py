"""What uvicorn itself answers to bytes it cannot read as a request: our envelope and headers too.

An address over 64 KiB is among them, though it is HTTP. Used by api/process.py.
"""

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import envelope
from api.request_log import FIXED_HEADERS
from domain.errors import InvalidField

UNREADABLE = InvalidField("request", "no readable HTTP, or an address too long")


class EnvelopeProtocol(HttpToolsProtocol):
    """uvicorn's protocol with our refusal."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - uvicorn's signature
        """Refuse what was received, and hang up."""
        body = msgspec.json.encode(envelope(UNREADABLE))
        headers = (
            *FIXED_HEADERS,
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        )
        lines = [b"HTTP/1.1 400 Bad Request", *(b": ".join(header) for header in headers)]
        self.transport.write(b"\r\n".join(lines) + b"\r\n\r\n" + body)
        self.transport.close()

"""`GET /audit/export`: the audit trail as JSON Lines or CSV, however long it is.

A page is read, encoded and sent before the next is read: neither memory nor a connection is held.
"""

import asyncio
import csv
import io
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal

import msgspec
from litestar import get
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from adapters.telemetry import get_logger
from api import limits
from api.audit import FILTERS, audit_query
from api.files import scoped_owner
from api.parameters import query_parameters
from api.positions import read_at, wanted_position
from api.routes import MediaRequest, note, runtime_of
from api.security import caller_of
from domain.access import Permission
from domain.errors import InvalidField, MissingFields
from projections import audit_pages
from projections.audit_pages import AuditEntry, AuditPage, AuditQuery
from projections.audit_trail import AuditTrailProjection
from projections.reading import Pool

PARAMETERS = FILTERS | {"format"}
PAGE = 1_000
SEND_SECONDS = 30.0
"""A client that takes nothing for so long is gone."""
COMPLETE = "export.complete"
"""The `type` of the last line of an export that is whole."""
COLUMNS = tuple(AuditEntry.__struct_fields__)
HEADINGS = tuple(AuditEntry.__struct_encode_fields__)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection)."""

Format = Literal["jsonl", "csv"]
_encode = msgspec.json.Encoder().encode_lines


class AuditLine(AuditEntry, frozen=True, rename="camel"):
    """Lines of this kind, newest first. Only a last line `export.complete` says that all came."""

    MEDIA_TYPES: ClassVar[tuple[str, ...]] = ("application/jsonl", "text/csv")


def as_jsonl(entries: Sequence[AuditEntry]) -> bytes:
    """One entry a line."""
    return _encode(entries)


def as_csv(entries: Sequence[AuditEntry]) -> bytes:
    """Records of RFC 4180, every field quoted; none that a spreadsheet would run as a formula."""
    text = io.StringIO()
    rows = ([_cell(getattr(entry, name)) for name in COLUMNS] for entry in entries)
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    text = bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _heading() -> bytes:
    return (",".join(f'"{name}"' for name in HEADINGS) + "\r\n").encode()


FORMATS: dict[str, tuple[str, bytes, Callable[[Sequence[AuditEntry]], bytes]]] = {
    "jsonl": ("application/jsonl", b"", as_jsonl),
    "csv": ("text/csv; charset=utf-8; header=present", _heading(), as_csv),
}


def _trailer(entries: int, position: int) -> AuditEntry:
    """The last line of an export: how many entries came before it, and up to where it looked."""
    return AuditEntry(
        position=str(position),
        at="",
        type=COMPLETE,
        subject="",
        version=0,
        actor="",
        access="",
        command_id="",
        request_id="",
        data=msgspec.Raw(b'{"entries":%d}' % entries),
    )


class AuditStream(ASGIResponse):
    """Sends page after page until the end, or until the client goes."""

    _should_set_content_length = False

    def __init__(
        self, pool: Pool, owner: str, query: AuditQuery, *, first: AuditPage, position: int, to: str
    ) -> None:
        media_type, self._heading, self._encode = FORMATS[to]
        super().__init__(
            headers={
                "content-type": media_type,
                "content-disposition": f'attachment; filename="audit-{position}.{to}"',
                "media-position": str(position),
            }
        )
        self._pool = pool
        self._owner = owner
        self._query = query
        self._page = first
        self._position = position

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one client. What fails on the way ends the connection without the last line."""
        gone = asyncio.ensure_future(_until_gone(receive))
        try:
            await self.start_response(send)
            await self._send_all(send, gone)
        except TimeoutError:
            get_logger().info("media.audit.export_gives_up", owner=self._owner)
            raise
        finally:
            gone.cancel()

    async def _send_all(self, send: Send, gone: asyncio.Future[None]) -> None:
        body, page, entries = self._heading, self._page, 0
        while not gone.done():
            entries += len(page.items)
            await _send(send, body + self._encode(page.items))
            if page.next_below is None:
                end = self._encode([_trailer(entries, self._position)])
                await _send(send, end, more=False)
                return
            body = b""
            query = msgspec.structs.replace(self._query, below=page.next_below)
            page = (await audit_pages.page(self._pool, self._owner, query)).found


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": body, "more_body": more})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


@get(
    "/audit/export",
    access=Permission.AUDIT_READ,
    event="media.audit.export",
    limit=limits.AUDIT_EXPORT,
)
async def export(request: MediaRequest) -> ASGIResponse:
    """The whole audit trail, or what the filters let through, as a file."""
    parameters = query_parameters(request.scope["query_string"], PARAMETERS)
    owner = scoped_owner(parameters, caller_of(request))
    to = parameters.pop("format", None)
    if to is None:
        raise MissingFields(["format"])
    if to not in FORMATS:
        raise InvalidField("format", f"one of {', '.join(FORMATS)}")
    query = msgspec.structs.replace(audit_query(parameters), limit=PAGE)
    pool = runtime_of(request).pool
    found = await read_at(
        request,
        wanted_position(request),
        AuditTrailProjection.name,
        lambda: audit_pages.page(pool, owner, query),
    )
    note(request, format=to)
    return AuditStream(pool, owner, query, first=found.found, position=found.position, to=to)


ROUTES = [export]

"""Request bodies: read up to a limit, decoded strictly into a command, refused with a reason."""

import hashlib
import re
from typing import Any, Generic, TypeVar

import msgspec

from api.errors import MalformedJson, PayloadTooLarge, UnsupportedMediaType
from api.parameters import header
from api.routes import MediaRequest
from api.security import command_context
from application.context import Context
from domain.errors import InvalidField, MissingFields

T = TypeVar("T", bound=msgspec.Struct)

MAX_BODY_BYTES = 128 * 1024
"""500 ids take 13 KiB; nothing we accept comes near."""

_JSON = re.compile(r'application/json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?;?', re.IGNORECASE)
_PLACE = re.compile(r" - at `\$(?:\.(?P<field>[A-Za-z0-9_]+))?.*`")


class Body(Generic[T]):
    """How one command is read from a body."""

    def __init__(self, kind: type[T]) -> None:
        fields = msgspec.structs.fields(kind)
        self.kind = kind
        self._decoder = msgspec.json.Decoder(kind)
        self._required = [field.encode_name for field in fields if field.required]

    async def command(self, request: MediaRequest) -> tuple[T, Context]:
        """The command and its context. Raises what api.md says of bodies, and InvalidField."""
        raw = await read(request)
        command = self.decode(raw)
        keyed = header(request.scope["headers"], b"idempotency-key") is not None
        return command, command_context(request, fingerprint(raw) if keyed else None)

    async def query(self, request: MediaRequest) -> T:
        """The struct alone, for a body that asks and changes nothing."""
        return self.decode(await read(request))

    def decode(self, raw: bytes) -> T:
        """The body as the struct. Raises MalformedJson, MissingFields or InvalidField."""
        try:
            raw.decode()  # msgspec does not look at the text of fields it ignores
            return self._decoder.decode(raw)
        except msgspec.ValidationError as error:
            raise self._refusal(raw, str(error)) from None
        except (UnicodeDecodeError, RecursionError, msgspec.DecodeError):
            raise MalformedJson from None

    def _refusal(self, raw: bytes, why: str) -> MissingFields | InvalidField | MalformedJson:
        given = _plain(raw)
        if given is _MALFORMED:
            return MalformedJson()
        if isinstance(given, dict):
            missing = [name for name in self._required if name not in given]
            if missing:
                return MissingFields(missing)
        place = _PLACE.search(why)
        field = place["field"] if place is not None and place["field"] else "body"
        return InvalidField(field, _PLACE.sub("", why).replace("`", "").lower())


_MALFORMED = object()


def _plain(raw: bytes) -> Any:
    """The JSON value; None for one with a number nobody can read."""
    try:
        return msgspec.json.decode(raw)
    except msgspec.ValidationError:
        return None
    except (UnicodeDecodeError, RecursionError, msgspec.DecodeError):
        return _MALFORMED


def fingerprint(raw: bytes) -> str | None:
    """SHA-256 of the canonical JSON of a body; None for one that has none."""
    value = _plain(raw)
    if value is _MALFORMED:
        return None
    return hashlib.sha256(msgspec.json.encode(value, order="sorted")).hexdigest()


def path_context(request: MediaRequest) -> Context:
    """The context of a command without a body: its fingerprint is that of the path."""
    return command_context(request, hashlib.sha256(request.scope["path"].encode()).hexdigest())


async def read(request: MediaRequest) -> bytes:
    """The body. Raises UnsupportedMediaType or PayloadTooLarge, before reading what is too much."""
    headers = request.scope["headers"]
    content_type = header(headers, b"content-type")
    announced = header(headers, b"content-length")
    if announced is not None and announced.isdecimal() and int(announced[:19]) > MAX_BODY_BYTES:
        raise PayloadTooLarge(MAX_BODY_BYTES)
    if content_type is not None and _JSON.fullmatch(content_type.strip()) is None:
        raise UnsupportedMediaType
    chunks = []
    size = 0
    while True:
        message = await request.receive()
        if message["type"] != "http.request":  # the caller hung up: nobody hears the answer
            raise MalformedJson
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise PayloadTooLarge(MAX_BODY_BYTES)
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    raw = b"".join(chunks)
    if content_type is None:
        if raw:
            raise UnsupportedMediaType
        return b"{}"
    return raw

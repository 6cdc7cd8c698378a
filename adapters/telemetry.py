"""Structured logs: one JSON line per request and per job (spec 8.1), secrets kept out of all.

Every process calls `configure` once at start; whoever logs takes a `get_logger`.
"""

import logging
import re
import sys
import types
import unicodedata
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any, TextIO
from urllib.parse import unquote, urlsplit

import msgspec
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from adapters.settings import Settings

REDACTED = "[redacted]"
MAX_TEXT = 16_000
"""Characters kept of one value: a line stays one that log shippers take (16 KiB is usual)."""
MIN_SECRET_LENGTH = 6
"""A shorter password (of a test server) would black out ordinary words."""

_SECRET_NAME = re.compile(
    r"authorization|cookie|credential|gateway.?key|cursor.?key|secret|passw|signature|token|"
    r"access.?key|api.?key",
    re.IGNORECASE,
)
_URL_QUERY = re.compile(
    r"(?P<address>\b[a-z][a-z0-9+.-]*://[^\s?#\"'<>]*)\?[^\s\"'<>]*", re.IGNORECASE
)
_URL_USER = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^\s/?#@\"']*@", re.IGNORECASE)
_SIGNED_PARAMETER = re.compile(r"(?P<name>x-amz-[a-z0-9-]+)=[^\s&\"']*", re.IGNORECASE)
_SIGNED_HEADER = re.compile(r"AWS4-HMAC-SHA256\s+Credential=[^\"'\n]*", re.IGNORECASE)
_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

_SUSPECT = ("://", "x-amz-", "aws4-hmac")
"""In small letters: without one of these no pattern above can match a text."""
_PLAIN = frozenset({int, float, bool, types.NoneType})
_FORMATTER_FIELDS = frozenset({"_record", "_from_structlog"})
"""What ProcessorFormatter needs and removes."""

_CONSOLE_INDENT = "    | "


def configure(settings: Settings, *, process: str, stream: TextIO | None = None) -> None:
    """Send every log of this process, the libraries' included, to stdout in the set format."""
    redactor = Redactor(secrets_of(settings))
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        _add_process(process),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        redactor,
    ]
    renderer = _console if settings.log_format == "console" else _json
    # Named here for callers that go on logging with the standard library.
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder(allow=()), *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        # format_exc_info has put the redacted traceback into the event already.
        keep_exc_info=False,
    )
    stream = stream or sys.stdout
    output = logging.StreamHandler(stream)
    output.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [output]
    root.setLevel(logging.INFO)
    for noisy, level in _LIBRARY_LEVELS.items():
        logging.getLogger(noisy).setLevel(level)
    # Ours need none of what the standard library does for a line (docs/figures/log-lines.md).
    structlog.configure(
        processors=[*shared, renderer],
        logger_factory=structlog.WriteLoggerFactory(stream),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=False,
    )


_LIBRARY_LEVELS = {
    # One line per job is ours; theirs would repeat it with a traceback on every attempt.
    "dramatiq": logging.CRITICAL,
    "dramatiq.worker.ConsumerThread": logging.CRITICAL,
    "botocore": logging.WARNING,
    "aiobotocore": logging.WARNING,
    "boto3": logging.WARNING,
    "httpx": logging.WARNING,
    "httpcore": logging.WARNING,
    "psycopg.pool": logging.ERROR,
    "uvicorn.access": logging.CRITICAL,
}


def get_logger() -> FilteringBoundLogger:
    """A logger whose keyword arguments become fields, in camelCase as in spec 8.1."""
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def secrets_of(settings: Settings) -> frozenset[str]:
    """Every configured value that must never be written anywhere."""
    found = {*settings.gateway_keys, *settings.cursor_keys}
    found |= {settings.s3_secret_key, settings.s3_access_key, settings.cloudflare_api_token}
    found |= set(settings.otel_headers.values())
    for url in (settings.database_url, settings.redis_url):
        password = urlsplit(url).password
        if password:
            found |= {password, unquote(password)}
    return frozenset(secret for secret in found if len(secret) >= MIN_SECRET_LENGTH)


class Redactor:
    """Takes keys, signatures and presigned queries out of every field.

    Control characters become visible, so that no value can begin a line of its own. Nearly every
    line holds nothing of the kind, and one look at all its values together says so.
    """

    def __init__(self, secrets: frozenset[str]) -> None:
        # The longest first: one secret may be the beginning of another.
        self._known = sorted(secrets, key=len, reverse=True)
        alternatives = "|".join(re.escape(secret) for secret in self._known)
        self._secrets = re.compile(alternatives) if alternatives else None
        self._harmless_name = lru_cache(maxsize=512)(self._is_harmless_name)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """The event as it may be written."""
        if self._is_harmless(event):
            return event
        return {self.text(str(key)): self._field(str(key), event[key]) for key in event}

    def _is_harmless(self, event: EventDict) -> bool:
        """Whether redaction would change nothing; False where only a closer look can say."""
        texts = []
        for name, value in event.items():
            kind = type(value)
            if kind is str:
                texts.append(value)
            elif kind not in _PLAIN and name not in _FORMATTER_FIELDS:
                return False
            if not self._harmless_name(name):
                return False
        return self._is_harmless_text(" ".join(texts))

    def _is_harmless_text(self, text: str) -> bool:
        if len(text) > MAX_TEXT or not text.isprintable():
            return False
        lowered = text.lower()
        return not (
            any(mark in lowered for mark in _SUSPECT)
            or any(secret in text for secret in self._known)
        )

    def _is_harmless_name(self, name: object) -> bool:
        return (
            isinstance(name, str)
            and _SECRET_NAME.search(name) is None
            and self._is_harmless_text(name)
        )

    def _field(self, name: str, value: object) -> object:
        if name in _FORMATTER_FIELDS:
            return value
        if _SECRET_NAME.search(name) and value is not None:
            return REDACTED
        if name in {"exception", "stack"} and isinstance(value, str):
            return "\n".join(self.text(line) for line in value[-MAX_TEXT:].split("\n"))
        return self._value(value)

    def _value(self, value: object) -> object:
        match value:
            case None | bool() | int() | float():
                return value
            case str():
                return self.text(value)
            case Mapping():
                return {self.text(str(k)): self._field(str(k), v) for k, v in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._value(item) for item in value]
        return self.text(str(value))

    def text(self, value: str) -> str:
        """The text without secrets and on one line."""
        if self._secrets is not None:
            value = self._secrets.sub(REDACTED, value)
        if "://" in value:
            value = _URL_QUERY.sub(rf"\g<address>?{REDACTED}", value)
            value = _URL_USER.sub(rf"\g<scheme>{REDACTED}@", value)
        value = _SIGNED_PARAMETER.sub(rf"\g<name>={REDACTED}", value)
        value = _SIGNED_HEADER.sub(REDACTED, value)[:MAX_TEXT]
        return value if value.isprintable() else "".join(map(_visible, value))


def _visible(character: str) -> str:
    if unicodedata.category(character) in _INVISIBLE:
        return character.encode("unicode_escape", "backslashreplace").decode("ascii")
    return character


def _add_process(process: str) -> structlog.typing.Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["process"] = process
        return event

    return add


def _json(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    first = {"level": event.pop("level", "info"), "event": event.pop("event", "")}
    return msgspec.json.encode(first | dict(event)).decode()


_LEVEL_COLOURS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[1;31m"}


def _console(_logger: WrappedLogger, _method: str, event: MutableMapping[str, Any]) -> str:
    at = str(event.pop("at", ""))[11:23]
    level = str(event.pop("level", "info"))
    process = event.pop("process", "")
    name = event.pop("event", "")
    traces = [str(event.pop(key)) for key in ("exception", "stack") if event.get(key)]
    fields = " ".join(f"\x1b[2m{key}=\x1b[0m{_short(value)}" for key, value in event.items())
    colour = _LEVEL_COLOURS.get(level, "")
    line = f"\x1b[2m{at}\x1b[0m {process} {colour}{level:<7}\x1b[0m {name} {fields}".rstrip()
    # Indented, since the text of an exception may be anyone's and must not look like a line.
    return "\n".join([line, *(_CONSOLE_INDENT + row for t in traces for row in t.split("\n"))])


def _short(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

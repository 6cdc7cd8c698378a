"""Ingest: what a copied source becomes, from its bytes, its headers and its URL.

Called by `application/ingest.py`, whose worker has fetched the bytes.
"""

import re
import unicodedata
from email.errors import MessageError
from email.message import Message
from email.utils import collapse_rfc2231_value
from urllib.parse import unquote, urlsplit

from domain.errors import MediaError, UnsupportedMime
from domain.event import Event
from domain.media_file import MediaFile
from domain.media_file_events import IngestFailed, UploadRequested, VerificationDeferred
from domain.media_type import MediaType, ServiceRules
from domain.object_key import object_key
from domain.owner import parse

MAX_NAME_LENGTH = 255
FALLBACK_NAME = "file"

_SAYS_NOTHING = frozenset(
    {
        *("", "application/octet-stream", "binary/octet-stream", "application/binary"),
        *("application/unknown", "application/x-binary", "application/x-download"),
        *("application/force-download", "application/download"),
    }
)
"""What servers send that do not know the type."""
_ALSO: dict[str, frozenset[str]] = {
    "image/svg+xml": frozenset({"text/plain", "text/xml", "application/xml"}),
    "video/mp4": frozenset({"application/mp4"}),
    "application/pdf": frozenset({"application/x-pdf", "application/acrobat", "text/pdf"}),
}
"""Other names under which servers send a type."""
_EXTENSIONS = {"jpg": frozenset({"jpg", "jpeg", "jpe", "jfif"}), "mp4": frozenset({"mp4", "m4v"})}
_SEPARATORS = re.compile(r"[/\\]")
_MAX_EXTENSION_LENGTH = 16


def declared_type(content_type: str) -> str:
    """The type in a Content-Type header, without parameters."""
    return content_type.partition(";")[0].strip().lower()


def accepted_type(found: MediaType | None, *, content_type: str, rules: ServiceRules) -> MediaType:
    """The type of a source: what its bytes are, unless its Content-Type flatly contradicts them.

    Raises UnsupportedMime.
    """
    declared = declared_type(content_type)
    if found is None:
        raise UnsupportedMime(declared or "A source without a type", rules.types)
    if found.mime_type not in rules.types:
        raise UnsupportedMime(found.mime_type, rules.types)
    family = found.mime_type.partition("/")[0]
    agrees = (
        declared in _SAYS_NOTHING
        or declared == found.mime_type
        or declared in _ALSO.get(found.mime_type, ())
        # Servers mix up pictures with pictures all the time: there the bytes win.
        or (family in {"image", "video"} and declared.startswith(f"{family}/"))
    )
    if not agrees:
        raise UnsupportedMime(declared, rules.types)
    return found


def source_file_name(media_type: MediaType, *, disposition: str, url: str) -> str:
    """What the source calls the file: by Content-Disposition, else by the path of its URL."""
    named = _disposition_name(disposition) or unquote(urlsplit(url).path)
    name = _cleaned(_SEPARATORS.split(named)[-1]) or FALLBACK_NAME
    known = _EXTENSIONS.get(media_type.extension, frozenset({media_type.extension}))
    stem, dot, extension = name.rpartition(".")
    if stem and dot and extension.lower() in known:
        return f"{stem[: MAX_NAME_LENGTH - 1 - len(extension)]}.{extension}"
    return f"{name[: MAX_NAME_LENGTH - 1 - len(media_type.extension)]}.{media_type.extension}"


def _disposition_name(disposition: str) -> str:
    """The file name of a Content-Disposition (RFC 6266), `filename*` (RFC 8187) first."""
    header = Message()
    try:
        header["content-disposition"] = disposition
        found = header.get_params([], "content-disposition")
        names = [value for name, value in found if name.lower() == "filename"]
        # An encoded value comes as a triple.
        names.sort(key=lambda value: isinstance(value, str))
        return collapse_rfc2231_value(names[0]) if names else ""
    except (MessageError, LookupError, ValueError):
        return ""


def _cleaned(name: str) -> str:
    """The name without what is invisible, and without dots and blanks around it."""
    visible = (
        character
        for character in unicodedata.normalize("NFC", name)
        if not unicodedata.category(character).startswith("C")
    )
    return "".join(visible).strip(" .")


def source_key(file: MediaFile, media_type: MediaType) -> str:
    """Where the bytes of an ingest belong, now that their type is known."""
    return object_key(
        parse(file.owner),
        service_code=file.service_code,
        at=file.created_at,
        media_id=file.id,
        extension=media_type.extension,
    )


def fetched(
    file: MediaFile, *, file_name: str, file_size: int, media_type: MediaType, sha256: str
) -> list[Event]:
    """Decide that what the source sent, and incoming now holds, is the file to be verified."""
    if not file.awaits_source:
        return []
    requested = UploadRequested(
        file_name=file_name,
        file_size=file_size,
        mime_type=media_type.mime_type,
        service_code=file.service_code,
        key=source_key(file, media_type),
        is_public=file.is_public,
        uploaded_by=file.uploaded_by,
        sha256=sha256,
    )
    return [requested, VerificationDeferred()]


def failed(file: MediaFile, refusal: MediaError) -> list[Event]:
    """Decide that the source cannot be taken over; the refusal is one of `errors.ENDINGS`."""
    if not file.awaits_source:
        return []
    return [IngestFailed(code=refusal.code, detail=refusal.message)]

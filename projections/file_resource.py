"""The file as the API shows it, whichever side it comes from."""

from typing import Any, Self

import msgspec

from domain.media_file import MediaFile
from domain.media_type import MEDIA_TYPES, Category
from domain.owner import parse
from domain.rendition_events import MediaInspected
from projections.reading import rfc3339, rfc3339_of_text
from projections.variants import NONE as NO_VARIANTS
from projections.variants import Variant, Variants, stored_in, stored_variants

NOT_INSPECTED = MediaInspected(
    sha256="", width=None, height=None, duration_ms=None, page_count=None, frame_count=None,
    dominant_color=None, placeholder=None, transparent=False, container=None, video_codec=None,
    audio_codec=None,
)  # fmt: skip


class FileResource(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A file, as in every answer that holds one."""

    id: str
    tenant_id: str | None
    """None for a personal file."""
    service_code: str
    file_name: str
    file_size: int
    mime_type: str
    category: Category
    key: str
    status: str
    is_public: bool
    url: str | None
    """None for a private file."""
    uploaded_by: str
    created_at: str
    updated_at: str
    processing: str | None = None
    """What is still being done: `inspecting`; in the answer of a command also `moving`, while the
    bytes are on their way to where they belong."""
    deleted_at: str | None = None
    """Of a file in the bin; None in the library."""
    deleted_by: str | None = None
    purge_at: str | None = None
    """Until then it can be restored."""

    width: int | None = None
    """In pixels as shown; this and what follows is None until the bytes were looked into."""
    height: int | None = None
    duration_ms: int | None = None
    page_count: int | None = None
    sha256: str | None = None
    """Of the served bytes, hex."""
    placeholder: str | None = None
    """ThumbHash, base64."""
    dominant_color: str | None = None
    inspection_error: str | None = None
    """Why nobody could look into them."""
    variants: dict[str, Variant] = {}

    @classmethod
    def of(
        cls,
        file: MediaFile,
        *,
        public_base_url: str,
        processing: str | None = None,
        variants: Variants = NO_VARIANTS,
    ) -> Self:
        """The file as its events tell it: the answer of a command."""
        found = file.derived.inspected or NOT_INSPECTED
        failure = file.derived.inspection_failure
        error = None if failure is None else failure.reason
        return cls(
            id=file.id,
            tenant_id=parse(file.owner).tenant_id,
            service_code=file.service_code,
            file_name=file.file_name,
            file_size=file.file_size,
            mime_type=file.mime_type,
            category=category_of(file.mime_type),
            key=file.key,
            status=file.status,
            is_public=file.is_public,
            url=url_of(file.key, is_public=file.is_public, public_base_url=public_base_url),
            uploaded_by=file.uploaded_by,
            created_at=rfc3339(file.created_at),
            updated_at=rfc3339(file.updated_at),
            width=found.width,
            height=found.height,
            duration_ms=found.duration_ms,
            page_count=found.page_count,
            sha256=found.sha256 or None,
            placeholder=found.placeholder,
            dominant_color=found.dominant_color,
            processing=processing or _processing(file.status, found.sha256 or None, error),
            inspection_error=error,
            variants=variants.of(
                file.key,
                file.mime_type,
                stored_variants(file),
                public_base_url=public_base_url,
                is_public=file.is_public,
                failure=error,
            ),
        )


def category_of(mime_type: str) -> Category:
    """The category of a type we accepted. MEDIA_TYPES therefore names every type there ever was."""
    return MEDIA_TYPES[mime_type].category


def url_of(key: str, *, is_public: bool, public_base_url: str) -> str | None:
    """Where a public file is served; None for a private one."""
    return f"{public_base_url}/{key}" if is_public else None


def _processing(status: str, sha256: str | None, failure: str | None) -> str | None:
    return "inspecting" if status == "uploaded" and sha256 is None and failure is None else None


PENDING_COLUMNS = (
    "media_id, owner, service_code, file_name, file_size, mime_type, category, key, is_public,"
    " uploaded_by, created_at::text AS created, updated_at::text AS updated"
)
FOUND_COLUMNS = (
    "width, height, duration_ms, page_count, sha256, placeholder, dominant_color, inspection,"
    " renditions::text"
)
FILE_COLUMNS = f"{PENDING_COLUMNS}, {FOUND_COLUMNS}"
"""What `from_row` takes, in this order; of a pending file only PENDING_COLUMNS.

Times as text: a page has 100 of them, and a `datetime` of each, only to be written as text again,
took a fifth of it (docs/adr/0024)."""
NOTHING_FOUND = (None,) * 9

FileRow = tuple[str, str, str, str, int, str, Category, str, bool, str, str, str, *tuple[Any, ...]]
FAILED = "failed:"
"""What the column `inspection` begins with before the reason."""


def from_row(
    row: FileRow, *, status: str, public_base_url: str, variants: Variants = NO_VARIANTS
) -> FileResource:
    """The resource out of a row of FILE_COLUMNS."""
    id_, owner, service, name, size, mime, category, key, public, by, created, updated, *found = row
    width, height, duration, pages, sha256, placeholder, colour, inspection, renditions = (
        found or NOTHING_FOUND
    )
    error = inspection and inspection.removeprefix(FAILED)
    return FileResource(
        id_,
        owner[2:] if owner.startswith("t:") else None,
        service,
        name,
        size,
        mime,
        category,
        key,
        status,
        public,
        f"{public_base_url}/{key}" if public else None,
        by,
        rfc3339_of_text(created),
        rfc3339_of_text(updated),
        processing=_processing(status, sha256, error),
        width=width,
        height=height,
        duration_ms=duration,
        page_count=pages,
        sha256=sha256,
        placeholder=placeholder,
        dominant_color=colour,
        inspection_error=error,
        variants=variants.of(
            key,
            mime,
            stored_in(renditions),
            public_base_url=public_base_url,
            is_public=public,
            failure=error,
        ),
    )


BinnedRow = tuple[Any, ...]


def binned(row: BinnedRow, *, status: str, public_base_url: str) -> FileResource:
    """The same for FILE_COLUMNS and when it was deleted, by whom, and when it is purged."""
    file = from_row(row[:-3], status=status, public_base_url=public_base_url)
    deleted_at, deleted_by, bin_until = row[-3:]
    return msgspec.structs.replace(
        file,
        # Nothing in the bin is public, whatever it was and will be again.
        url=None,
        deleted_at=rfc3339(deleted_at),
        deleted_by=deleted_by,
        purge_at=rfc3339(bin_until),
    )

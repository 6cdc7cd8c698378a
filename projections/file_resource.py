"""The file as the API shows it, whichever side it comes from."""

from datetime import datetime
from typing import Self

import msgspec

from domain.media_file import MediaFile
from domain.media_type import MEDIA_TYPES, Category
from domain.owner import parse
from projections.reading import rfc3339


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
    """What is still being done, in the answer of a command: `moving` while the bytes are on their
    way to where they belong."""
    deleted_at: str | None = None
    """Of a file in the bin; None in the library."""
    deleted_by: str | None = None
    purge_at: str | None = None
    """Until then it can be restored."""

    @classmethod
    def of(cls, file: MediaFile, *, public_base_url: str, processing: str | None = None) -> Self:
        """The file as its events tell it: the answer of a command."""
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
            processing=processing,
        )


def category_of(mime_type: str) -> Category:
    """The category of a type we accepted. MEDIA_TYPES therefore names every type there ever was."""
    return MEDIA_TYPES[mime_type].category


def url_of(key: str, *, is_public: bool, public_base_url: str) -> str | None:
    """Where a public file is served; None for a private one."""
    return f"{public_base_url}/{key}" if is_public else None


FILE_COLUMNS = (
    "media_id, owner, service_code, file_name, file_size, mime_type, category, key, is_public,"
    " uploaded_by, created_at, updated_at"
)
"""What `from_row` takes, in this order."""

FileRow = tuple[str, str, str, str, int, str, Category, str, bool, str, datetime, datetime]


def from_row(row: FileRow, *, status: str, public_base_url: str) -> FileResource:
    """The resource out of a row of FILE_COLUMNS."""
    id_, owner, service, name, size, mime, category, key, public, by, created, updated = row
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
        rfc3339(created),
        rfc3339(updated),
    )


BinnedRow = tuple[
    str, str, str, str, int, str, Category, str, bool, str, datetime, datetime,
    datetime, str, datetime,
]  # fmt: skip


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

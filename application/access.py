"""Whether a caller may change a loaded file (`assertMediaAccess`, spec 6.3), for every command."""

from application.context import Context
from application.media import Histories, Media
from domain.access import Access, OwnerBypass
from domain.errors import MediaNotFound, OwnershipDenied, TenantRemoved
from domain.media_file import MediaFile
from domain.owner import parse
from domain.tenant import stream_of


def tenant_streams(context: Context) -> tuple[str, ...]:
    """The stream of the request's workspace, to be loaded with the file's."""
    tenant_id = context.caller.tenant_id
    return () if tenant_id is None else (stream_of(tenant_id),)


def check_tenant_open(histories: Histories, context: Context) -> None:
    """Raise TenantRemoved when the request's workspace takes no more commands."""
    _check_open(histories, context.caller.tenant_id)


async def check_still_open(media: Media, tenant_id: str | None) -> None:
    """Ask the log, and raise TenantRemoved when it says that the workspace was removed."""
    if tenant_id is not None:
        _check_open(await media.load(stream_of(tenant_id)), tenant_id)


def _check_open(histories: Histories, tenant_id: str | None) -> None:
    if tenant_id is not None and histories.tenant(tenant_id).removed_at is not None:
        raise TenantRemoved("This workspace was removed.")


def access_of(file: MediaFile, context: Context, bypass: OwnerBypass) -> Access | None:
    """The ground on which the caller may change the file, or None."""
    return context.caller.access_to(
        owner=parse(file.owner), uploaded_by=file.uploaded_by, bypass=bypass
    )


def admit(
    histories: Histories, media_id: str, context: Context, bypass: OwnerBypass
) -> tuple[MediaFile, Access]:
    """The file and the ground on which the caller may change it.

    Raises TenantRemoved, MediaNotFound or OwnershipDenied, in this order.
    """
    check_tenant_open(histories, context)
    file = histories.file(media_id)
    if file is None:
        raise MediaNotFound(media_id)
    access = access_of(file, context, bypass)
    if access is None:
        raise OwnershipDenied(media_id)
    return file, access

"""The library routes: list, stats, detail, download, delete."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias, get_args

import msgspec
from litestar import delete, get, post
from litestar.response.base import ASGIResponse

from api import limits
from api.bodies import Body, path_context
from api.cursors import Cursors, filters_of
from api.parameters import known_id, query_parameters, several, whole_number
from api.positions import read_at, wanted_position
from api.routes import MediaRequest, answer, json_answer, note, note_file, runtime_of, variants_of
from api.security import caller_of
from api.time_travel import AS_OF, PastKey, TimeTravel
from application.deletion import BulkDelete
from domain.access import Caller, Permission
from domain.content_disposition import content_disposition
from domain.errors import InvalidField, MediaNotFound
from domain.media_type import MEDIA_TYPES, Category
from domain.owner import tenant, user
from projections import bin_pages, file_list, file_pages, pending_uploads, storage_stats
from projections.file_list import FileListProjection
from projections.file_pages import FileQuery, Sort
from projections.file_resource import FileResource
from projections.pending_uploads import PendingUploadsProjection
from projections.reading import Answer
from projections.storage_stats import StorageStatsProjection

BULK_DELETE = Body(BulkDelete)
MAX_BULK = 100
MAX_LIMIT = 100
MAX_SEARCH_LENGTH = 255
MAX_SERVICES = 50
"""Values of `service` in one query; each costs the index a search of its own."""
DOWNLOAD_SECONDS = 300
"""Life of a signed download: long enough to begin one, too short to be shared."""

LIST_PARAMETERS = frozenset(
    {"limit", "cursor", "service", "type", "mime", "search", "sort", "scope", "status", AS_OF}
)
SCOPE = frozenset({"scope", AS_OF})
ONLY_AS_OF = frozenset({AS_OF})
BIN_SORTS: tuple[Sort, ...] = get_args(Sort)
SORTS = tuple(sort for sort in BIN_SORTS if not sort.endswith("deletedAt"))
CATEGORIES: tuple[Category, ...] = get_args(Category)

_Reading: TypeAlias = Awaitable[Answer[FileResource | None]]


class FileList(msgspec.Struct, frozen=True, rename="camel"):
    """One page of the library."""

    items: list[FileResource]
    next_cursor: str | None


@get("/files", access=Permission.FILES_READ, event="media.files.list", limit=limits.LIST)
async def list_files(request: MediaRequest) -> ASGIResponse:
    """The uploaded files, or with `status=deleted` those in the bin, a page at a time."""
    parameters = query_parameters(request.scope["query_string"], LIST_PARAMETERS)
    owner = scoped_owner(parameters, caller_of(request))
    query = _file_query(parameters)
    cursors: Cursors = request.app.state["cursors"]
    if AS_OF in parameters:
        return await _list_as_of(request, parameters, owner, query)
    if (cursor := parameters.get("cursor")) is not None:
        key = cursors.read(cursor, owner, query)
        query = msgspec.structs.replace(query, after=key)
    wanted = wanted_position(request)
    runtime = runtime_of(request)
    listing = bin_pages if query.in_bin else file_pages
    found = await read_at(
        request,
        wanted,
        FileListProjection.name,
        lambda: listing.page(
            runtime.pool,
            owner,
            query,
            public_base_url=runtime.settings.public_base_url,
            variants=variants_of(runtime),
        ),
    )
    page = found.found
    after = page.next_key
    next_cursor = None if after is None else cursors.write(after, owner, query)
    return answer(FileList(page.items, next_cursor), position=found.position)


async def _list_as_of(
    request: MediaRequest, parameters: dict[str, str], owner: str, query: FileQuery
) -> ASGIResponse:
    """The files there were: a later page is of the position that the first was."""
    if query.in_bin:
        raise InvalidField(AS_OF, "the bin has no past")
    travel: TimeTravel = request.app.state["time_travel"]
    cursors: Cursors = request.app.state["cursors"]
    filters = (AS_OF, parameters[AS_OF], filters_of(owner, query))
    if (cursor := parameters.get("cursor")) is not None:
        key = cursors.unsign(cursor, filters, PastKey)
        position, query = key.position, msgspec.structs.replace(query, after=key.row)
    else:
        position = await travel.position(parameters[AS_OF], wanted=wanted_position(request))
    page = await travel.page(owner, query, position)
    next_cursor = None if page.next_key is None else cursors.sign(page.next_key, filters)
    return answer(FileList(page.files, next_cursor), position=page.position)


def scoped_owner(parameters: dict[str, str], caller: Caller) -> str:
    """Whose files are asked for. Raises InvalidField."""
    scope = parameters.get("scope", "tenant")
    if scope not in ("tenant", "user"):
        raise InvalidField("scope", "tenant or user")
    if scope == "user" or caller.tenant_id is None:
        return str(user(caller.user_id))
    return str(tenant(caller.tenant_id))


def _file_query(parameters: dict[str, str]) -> FileQuery:
    """The query without its cursor. Raises InvalidField."""
    values: dict[str, object] = {}
    sorts = SORTS
    if (status := parameters.get("status", "uploaded")) == "deleted":
        values = {"in_bin": True, "sort": "-deletedAt"}
        sorts = BIN_SORTS
    elif status != "uploaded":
        raise InvalidField("status", "uploaded or deleted")
    for name, text in parameters.items():
        match name:
            case "limit":
                values["limit"] = whole_number(name, text, least=1, most=MAX_LIMIT)
            case "service":
                values["services"] = _services(text)
            case "type":
                values["categories"] = several(name, text, CATEGORIES)
            case "mime":
                values["mime_types"] = several(name, text, tuple(MEDIA_TYPES))
            case "search":
                if len(text) > MAX_SEARCH_LENGTH:
                    raise InvalidField(name, f"at most {MAX_SEARCH_LENGTH} characters")
                values["search"] = text
            case "sort":
                if text not in sorts:
                    raise InvalidField(name, f"one of {', '.join(sorts)}")
                values["sort"] = text
    return FileQuery(**values)  # type: ignore[arg-type]


def _services(text: str) -> tuple[str, ...]:
    """Any service code: files outlive the configuration."""
    codes = tuple(text.split(","))
    if len(codes) > MAX_SERVICES:
        raise InvalidField("service", f"at most {MAX_SERVICES} by comma")
    if not all(code.replace("-", "").isalnum() and code.isascii() for code in codes):
        raise InvalidField("service", "a service code, or several by comma")
    return codes


@get("/files/stats", access=Permission.FILES_READ, event="media.files.stats")
async def stats(request: MediaRequest) -> ASGIResponse:
    """Counters of the library, and its newest files."""
    parameters = query_parameters(request.scope["query_string"], SCOPE)
    owner = scoped_owner(parameters, caller_of(request))
    wanted = wanted_position(request)
    runtime = runtime_of(request)
    if (as_of := parameters.get(AS_OF)) is not None:
        travel: TimeTravel = request.app.state["time_travel"]
        told, position = await travel.stats(owner, await travel.position(as_of, wanted=wanted))
        return answer(told, position=position)
    counted = await read_at(
        request,
        wanted,
        StorageStatsProjection.name,
        lambda: storage_stats.stats(runtime.pool, owner),
    )
    recent = await read_at(
        request,
        wanted,
        FileListProjection.name,
        lambda: file_list.recent(
            runtime.pool,
            owner,
            public_base_url=runtime.settings.public_base_url,
            variants=variants_of(runtime),
        ),
    )
    counted.found.recent = recent.found
    return answer(counted.found, position=min(counted.position, recent.position))


@get("/files/{media_id:str}", access=Permission.FILES_READ, event="media.files.get")
async def detail(request: MediaRequest) -> ASGIResponse:
    """One file: the workspace's, the caller's own, or an upload the caller has under way."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    wanted = wanted_position(request)
    parameters = query_parameters(request.scope["query_string"], ONLY_AS_OF)
    if (as_of := parameters.get(AS_OF)) is not None:
        return await _detail_as_of(request, media_id, as_of, wanted)
    uploaded = await uploaded_file(request, media_id, wanted)
    if uploaded.found is not None:
        return answer(uploaded.found, position=uploaded.position)
    pending = await _pending(request, media_id, wanted)
    if pending.found is not None:
        return answer(pending.found, position=pending.position)
    if pending.position > uploaded.position:
        # Completed just now: it has left the pending uploads and not yet reached the file list.
        uploaded = await uploaded_file(request, media_id, pending.position)
        if uploaded.found is not None:
            return answer(uploaded.found, position=uploaded.position)
    raise MediaNotFound(media_id)


async def _detail_as_of(
    request: MediaRequest, media_id: str, as_of: str, wanted: int
) -> ASGIResponse:
    travel: TimeTravel = request.app.state["time_travel"]
    caller = caller_of(request)
    position = await travel.position(as_of, wanted=wanted)
    owners = visible_owners(caller)
    file = await travel.file(owners, media_id, position, user_id=caller.user_id)
    if file is None:
        raise MediaNotFound(media_id)
    note_file(request, file)
    return answer(file, position=position)


def visible_owners(caller: Caller) -> list[str]:
    """Whose files the caller may see, the workspace first."""
    own = [str(user(caller.user_id))]
    return own if caller.tenant_id is None else [str(tenant(caller.tenant_id)), *own]


async def uploaded_file(
    request: MediaRequest, media_id: str, wanted: int
) -> Answer[FileResource | None]:
    """The uploaded file, if the caller may see it; the line of the log says which."""
    runtime = runtime_of(request)

    def read(owner: str) -> _Reading:
        return file_list.by_id(
            runtime.pool,
            owner,
            media_id,
            public_base_url=runtime.settings.public_base_url,
            variants=variants_of(runtime),
        )

    return await _of_an_owner(request, wanted, FileListProjection.name, read)


async def _pending(
    request: MediaRequest, media_id: str, wanted: int
) -> Answer[FileResource | None]:
    runtime, caller = runtime_of(request), caller_of(request)

    def read(owner: str) -> _Reading:
        return pending_uploads.by_id(
            runtime.pool,
            owner,
            media_id,
            uploaded_by=caller.user_id,
            public_base_url=runtime.settings.public_base_url,
        )

    return await _of_an_owner(request, wanted, PendingUploadsProjection.name, read)


async def _of_an_owner(
    request: MediaRequest,
    wanted: int,
    read_model: str,
    read: Callable[[str], _Reading],
) -> Answer[FileResource | None]:
    """What the first of the caller's owners has."""
    found: Answer[FileResource | None] = Answer(None, 0)
    for owner in visible_owners(caller_of(request)):
        found = await read_at(request, wanted, read_model, partial(read, owner))
        if found.found is not None:
            note_file(request, found.found)
            break
    return found


@get("/files/{media_id:str}/download", access=Permission.FILES_READ, event="media.files.download")
async def download(request: MediaRequest) -> ASGIResponse:
    """Go to a short-lived URL that downloads the file under its original name."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    found = await uploaded_file(request, media_id, wanted_position(request))
    file = found.found
    if file is None:
        raise MediaNotFound(media_id)
    runtime = runtime_of(request)
    signed = runtime.objects.sign_get(
        "public" if file.is_public else "private",
        file.key,
        content_disposition=content_disposition(file.file_name, "attachment"),
        lifetime=DOWNLOAD_SECONDS,
        at=runtime.clock(),
    )
    headers = {"location": signed.url, "media-position": str(found.position)}
    return ASGIResponse(status_code=302, headers=headers)


@delete(
    "/files/{media_id:str}",
    status_code=200,
    access=Permission.FILES_WRITE,
    event="media.files.delete",
)
async def delete_file(request: MediaRequest) -> ASGIResponse:
    """Delete a file, or cancel an upload."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    context = path_context(request)
    written = await runtime_of(request).deletion.delete_file(media_id, context)
    note_file(request, written.file)
    return json_answer(written.body, position=written.position)


@post(
    "/files/bulk-delete",
    status_code=200,
    access=Permission.FILES_WRITE,
    event="media.files.bulk_delete",
    limit=limits.BULK_DELETE,
)
async def bulk_delete(request: MediaRequest) -> ASGIResponse:
    """Delete up to 100 files; says of each that stayed why."""
    command, context = await BULK_DELETE.command(request)
    count = len(set(command.ids))
    if not 1 <= count <= MAX_BULK:
        raise InvalidField("ids", f"1 to {MAX_BULK} ids")
    note(request, count=count)
    written = await runtime_of(request).deletion.bulk_delete(command, context)
    return json_answer(written.body, position=written.position)


ROUTES = [list_files, stats, detail, download, delete_file, bulk_delete]

"""`python -m api.internal_app`: for other services and operators, on a port nobody publishes."""

import sys
from collections.abc import Mapping

import msgspec
from litestar import delete, get, post
from litestar.response.base import ASGIResponse

from adapters.log_pages import LogWatch
from adapters.metrics import CONTENT_TYPE, exposition
from adapters.runtime import Runtime, open_internal_runtime
from api import integration_events, operations
from api.app import assemble
from api.bodies import Body
from api.metrics import Metrics
from api.parameters import known_id
from api.positions import read_at, wanted_position
from api.process import run
from api.request_log import RequestLog
from api.routes import OPEN, MediaRequest, answer, note, runtime_of, variants_of
from api.system_metrics import system_metrics
from application.context import SystemContext
from domain.errors import InvalidField, MediaNotFound
from domain.object_key import is_media_id
from domain.owner import valid_tenant_id
from projections import file_list, unfinished_work
from projections.file_list import FileListProjection, Resolution, ResolvedFile
from projections.public_files import variant_urls
from projections.reading import rfc3339
from projections.unfinished_work import FailedWork

MAX_RESOLVED = 500
MAX_FAILURES = 1_000
ACTOR = "service:internal"


class Resolve(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Ask what other services may know of files; of one workspace where it is named."""

    media_ids: list[str]
    tenant_id: str | None = None
    variant: str | None = None
    """A preset: the URL is that of this variant, made when it is first fetched if need be."""


class RemovedTenant(msgspec.Struct, frozen=True, rename="camel"):
    """The workspace is closed; its bytes are removed in the background."""

    tenant_id: str
    removed: bool = True


class Failure(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Work that was tried as often as allowed, in vain."""

    media_id: str
    owner: str
    kind: str
    error: str
    failed_at: str


class Retried(msgspec.Struct, frozen=True, rename="camel"):
    """What failed is tried again."""

    media_id: str
    retried: bool = True


class Failures(msgspec.Struct, frozen=True):
    """Newest first."""

    items: list[Failure]


RESOLVE = Body(Resolve)


@post("/internal/resolve", status_code=200, access=OPEN, event="media.internal.resolve")
async def resolve(request: MediaRequest) -> ASGIResponse:
    """The public URLs of files, by id."""
    command = await RESOLVE.query(request)
    ids = list(dict.fromkeys(command.media_ids))
    if not 1 <= len(ids) <= MAX_RESOLVED:
        raise InvalidField("mediaIds", f"1 to {MAX_RESOLVED} ids")
    if command.tenant_id is not None and not valid_tenant_id(command.tenant_id):
        raise InvalidField("tenantId", "no tenant has such an id")
    runtime = runtime_of(request)
    presets = runtime.settings.presets
    if command.variant is not None and command.variant not in presets:
        raise InvalidField("variant", f"one of {', '.join(presets)}")
    note(request, count=len(ids), tenantId=command.tenant_id)
    known = [media_id for media_id in ids if is_media_id(media_id)]
    found = await read_at(
        request,
        wanted_position(request),
        FileListProjection.name,
        lambda: file_list.resolve(
            runtime.pool,
            known,
            tenant_id=command.tenant_id,
            public_base_url=runtime.settings.public_base_url,
        ),
    )
    resolved = found.found.resolved
    if command.variant is not None:
        resolved = await _of_variant(runtime, command, resolved)
    missing = [media_id for media_id in ids if media_id not in resolved]
    return answer(Resolution(resolved, missing), position=found.position)


async def _of_variant(
    runtime: Runtime, command: Resolve, resolved: Mapping[str, ResolvedFile]
) -> dict[str, ResolvedFile]:
    """The same files with the URL of the variant: null where a file has none or is private."""
    name = command.variant or ""
    urls = await variant_urls(
        runtime.pool,
        list(resolved),
        name,
        tenant_id=command.tenant_id,
        public_base_url=runtime.settings.public_base_url,
        variants=variants_of(runtime),
    )
    return {
        media_id: msgspec.structs.replace(file, url=urls.get(media_id))
        for media_id, file in resolved.items()
    }


@delete(
    "/internal/tenants/{tenant_id:str}",
    status_code=202,
    access=OPEN,
    event="media.internal.tenant_removed",
)
async def remove_tenant(request: MediaRequest) -> ASGIResponse:
    """Close a workspace: its files leave every view at once (spec 16)."""
    tenant_id: str = request.path_params["tenant_id"]
    if not valid_tenant_id(tenant_id):
        raise InvalidField("tenantId", "no tenant has such an id")
    note(request, tenantId=tenant_id)
    position = await runtime_of(request).upkeep.remove_tenant(tenant_id, _context(request))
    return answer(RemovedTenant(tenant_id), position=position, status=202)


@get("/internal/failures", access=OPEN, event="media.internal.failures")
async def failures(request: MediaRequest) -> ASGIResponse:
    """Work that was given up; an operator mends the cause and has it tried again."""
    failed = await unfinished_work.failures(runtime_of(request).pool, MAX_FAILURES)
    return answer(Failures([_failure(one) for one in failed]))


def _failure(failed: FailedWork) -> Failure:
    return Failure(
        media_id=failed.stream,
        owner=failed.owner,
        kind=failed.kind,
        error=failed.failure,
        failed_at=rfc3339(failed.failed_at),
    )


@post(
    "/internal/failures/{media_id:str}/retry",
    status_code=202,
    access=OPEN,
    event="media.internal.retry",
)
async def retry(request: MediaRequest) -> ASGIResponse:
    """Try again what failed for a file: the removal of its bytes, the purge of caches."""
    media_id = known_id(request.path_params["media_id"])
    note(request, mediaId=media_id)
    runtime, context = runtime_of(request), _context(request)
    purged = await runtime.deletion.retry_purge(media_id, context)
    told = await runtime.cache_purges.retry(media_id, context)
    if not purged and not told:
        raise MediaNotFound(media_id)
    return answer(Retried(media_id), status=202)


@get("/metrics", access=OPEN, event="media.metrics")
async def metrics(request: MediaRequest) -> ASGIResponse:
    """What this process counts, or all of the host where they share a folder; and the system."""
    numbers: Metrics = request.app.state["metrics"]
    runtime = runtime_of(request)
    counted = exposition(runtime.settings, numbers.registry)
    return ASGIResponse(body=counted + await system_metrics(runtime), media_type=CONTENT_TYPE)


def _context(request: MediaRequest) -> SystemContext:
    runtime = runtime_of(request)
    return SystemContext(
        actor=ACTOR,
        at=runtime.clock(),
        command_id=runtime.identities.command_id(),
        correlation_id=request.scope["state"]["line"]["requestId"],
    )


ROUTES = [
    *(resolve, remove_tenant, failures, retry, metrics),
    *integration_events.ROUTES,
    *operations.ROUTES,
]


def create_app(runtime: Runtime) -> RequestLog:
    """The internal app on an open runtime of the worker role."""
    watch = LogWatch(runtime.pool, runtime.hints, runtime.draining)
    return assemble(
        runtime, ROUTES, decoders=runtime.decoders, scanner=runtime.scanner, log_watch=watch
    )


if __name__ == "__main__":
    sys.exit(
        run(
            "internal",
            open_internal_runtime,
            create_app,
            port=lambda settings: settings.internal_port,
        )
    )

"""The ingest route: copy what a URL leads to, within the request or behind it."""

import re

from litestar import post
from litestar.response.base import ASGIResponse

from api import limits
from api.bodies import Body
from api.parameters import Headers
from api.routes import MediaRequest, answer, note, runtime_of, variants_of
from api.uploads import Verifying
from application.ingest import IngestUrl
from application.uploads import VerificationPending
from domain.access import Permission
from projections.file_resource import FileResource

INGEST_URL = Body(IngestUrl)
RESPOND_ASYNC = "respond-async"
_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,6})\"?")


@post(
    "/upload/ingest-url",
    status_code=200,
    access=Permission.FILES_WRITE,
    event="media.upload.ingest",
    limit=limits.INGEST,
)
async def ingest_url(request: MediaRequest) -> ASGIResponse:
    """Copy what a URL leads to; answers 202 when it takes long, or at once with `respond-async`."""
    command, context = await INGEST_URL.command(request)
    runtime = runtime_of(request)
    preferred = preferences(request.scope["headers"])
    wait_seconds = waiting_time(preferred, longest=runtime.settings.ingest_wait_seconds)
    result = await runtime.ingest.ingest_url(command, context, wait_seconds=wait_seconds)
    if isinstance(result, VerificationPending):
        note(request, mediaId=result.media_id)
        status_url = f"/upload/{result.media_id}"
        body = Verifying(
            media_id=result.media_id, processing=result.processing, status_url=status_url
        )
        headers = {"location": status_url}
        if RESPOND_ASYNC in preferred:
            headers["preference-applied"] = RESPOND_ASYNC
        return answer(body, position=result.position, status=202, headers=headers)
    note(request, mediaId=result.id, mimeType=result.mime_type, fileSize=result.file_size)
    file = FileResource.of(
        result, public_base_url=runtime.settings.public_base_url, variants=variants_of(runtime)
    )
    return answer(file, position=result.position)


def preferences(headers: Headers) -> list[str]:
    """The preferences of the `Prefer` headers (RFC 7240), in lower case."""
    given = b",".join(value for name, value in headers if name == b"prefer").decode("latin-1")
    return [one.strip().lower() for one in re.split("[,;]", given)]


def waiting_time(preferred: list[str], *, longest: float) -> float:
    """How many seconds to wait: none with `respond-async` alone, `wait` of them where given."""
    waits = [int(found[1]) for one in preferred if (found := _WAIT.fullmatch(one))]
    if waits:
        return min(waits[0], longest)
    return 0 if RESPOND_ASYNC in preferred else longest


ROUTES = [ingest_url]

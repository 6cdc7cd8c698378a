"""`POST /upload/report`: browsers tell of PUTs that failed, which the service cannot see."""

from litestar import post
from litestar.response.base import ASGIResponse

from api.bodies import Body
from api.metrics import Metrics
from api.parameters import known_id
from api.routes import MediaRequest, note, note_file, runtime_of
from application.upload_reports import ReportUpload
from domain.access import Permission

REPORT_UPLOAD = Body(ReportUpload)


@post(
    "/upload/report",
    status_code=200,  # Litestar declares no 204 for a handler that answers by itself
    access=Permission.FILES_WRITE,
    event="media.upload.report",
)
async def report(request: MediaRequest) -> ASGIResponse:
    """Tell how an attempt to store the bytes ended, so that failures are counted."""
    command, context = await REPORT_UPLOAD.command(request)
    known_id(command.media_id)
    note(
        request,
        mediaId=command.media_id,
        stage=command.stage,
        putStatus=command.status,
        attempt=command.attempt,
    )
    file, counts = await runtime_of(request).reports.report_upload(command, context)
    note_file(request, file)
    if counts:
        numbers: Metrics = request.app.state["metrics"]
        numbers.upload_report(command.stage, command.outcome)
    return ASGIResponse(status_code=204, headers={"media-position": str(file.position)})


ROUTES = [report]

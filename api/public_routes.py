"""Every route of the public app, for the app itself and for what describes it."""

from api import files, ingest, operations, upload_reports, uploads

ROUTES = [
    *uploads.ROUTES,
    *upload_reports.ROUTES,
    *ingest.ROUTES,
    *files.ROUTES,
    *operations.ROUTES,
]

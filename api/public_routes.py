"""Every route of the public app, for the app itself and for what describes it."""

from api import (
    audit,
    audit_export,
    cache_purge,
    delivery,
    files,
    history,
    ingest,
    library_changes,
    operations,
    signed_urls,
    upload_reports,
    uploads,
    webhooks,
)
from api import bin as bin_

ROUTES = [
    *uploads.ROUTES,
    *upload_reports.ROUTES,
    *ingest.ROUTES,
    *files.ROUTES,
    *history.ROUTES,
    *signed_urls.ROUTES,
    *cache_purge.ROUTES,
    *delivery.ROUTES,
    *bin_.ROUTES,
    *library_changes.ROUTES,
    *audit.ROUTES,
    *audit_export.ROUTES,
    *webhooks.ROUTES,
    *operations.ROUTES,
]

"""Every route of the public app, for the app itself and for what describes it."""

from api import bin as bin_
from api import (
    cache_purge,
    delivery,
    files,
    ingest,
    library_changes,
    operations,
    signed_urls,
    upload_reports,
    uploads,
    webhooks,
)

ROUTES = [
    *uploads.ROUTES,
    *upload_reports.ROUTES,
    *ingest.ROUTES,
    *files.ROUTES,
    *signed_urls.ROUTES,
    *cache_purge.ROUTES,
    *delivery.ROUTES,
    *bin_.ROUTES,
    *library_changes.ROUTES,
    *webhooks.ROUTES,
    *operations.ROUTES,
]

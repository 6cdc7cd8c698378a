"""Every event there is, by what it is about: one list for the mapper, followers and the docs."""

from collections.abc import Mapping

from domain.cache_events import CACHE_EVENTS
from domain.event import Event
from domain.media_file_events import MEDIA_FILE_EVENTS
from domain.reconciliation import RECONCILIATION_EVENTS
from domain.rendition_events import RENDITION_EVENTS
from domain.scan_events import SCAN_EVENTS
from domain.tenant import TENANT_EVENTS
from domain.webhook_events import WEBHOOK_EVENTS

FAMILIES: Mapping[str, tuple[type[Event], ...]] = {
    "A file": MEDIA_FILE_EVENTS,
    "What was found in a file and made from it": RENDITION_EVENTS,
    "The scan of a file": SCAN_EVENTS,
    "Copies of a file in caches": CACHE_EVENTS,
    "A workspace": TENANT_EVENTS,
    "An object that no file has": RECONCILIATION_EVENTS,
    "A webhook": WEBHOOK_EVENTS,
}
EVENTS: tuple[type[Event], ...] = tuple(event for family in FAMILIES.values() for event in family)

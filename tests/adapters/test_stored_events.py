"""What was ever stored must decode for ever. A file here is added, never edited."""

import json
from pathlib import Path

import pytest

from adapters.event_mapper import EVENT_TYPES, UPCASTERS
from domain.cache_events import CACHE_EVENTS
from domain.event import UnknownEvent
from domain.media_file_events import MEDIA_FILE_EVENTS
from domain.reconciliation import RECONCILIATION_EVENTS
from domain.rendition_events import RENDITION_EVENTS
from domain.scan_events import SCAN_EVENTS
from domain.tenant import TENANT_EVENTS
from domain.webhook_events import WEBHOOK_EVENTS

EXAMPLES = Path(__file__).parents[1] / "stored_events"
CURRENT = {
    event.TYPE: event
    for event in (
        *MEDIA_FILE_EVENTS,
        *RENDITION_EVENTS,
        *RECONCILIATION_EVENTS,
        *SCAN_EVENTS,
        *CACHE_EVENTS,
        *TENANT_EVENTS,
        *WEBHOOK_EVENTS,
    )
}


def example(stored_type: str) -> str:
    return (EXAMPLES / f"{stored_type}.json").read_text()


def test_every_type_and_version_has_an_example_and_every_example_a_type() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.json")} == CURRENT.keys() | UPCASTERS.keys()


@pytest.mark.parametrize("stored_type", sorted(CURRENT.keys() | UPCASTERS.keys()))
def test_an_event_stored_long_ago_is_still_understood(stored_type: str) -> None:
    event = EVENT_TYPES.decode(stored_type, example(stored_type))
    assert not isinstance(event, UnknownEvent)


@pytest.mark.parametrize("stored_type", sorted(CURRENT))
def test_an_event_of_today_is_stored_as_its_example(stored_type: str) -> None:
    event = EVENT_TYPES.decode(stored_type, example(stored_type))
    assert type(event) is CURRENT[stored_type]
    assert json.loads(EVENT_TYPES.encode(event)) == json.loads(example(stored_type))

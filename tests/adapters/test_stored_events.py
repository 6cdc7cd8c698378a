"""What was ever stored must decode for ever. A file here is added, never edited."""

import json
from pathlib import Path

import pytest

from adapters.event_mapper import EVENT_TYPES, UPCASTERS
from domain.event import UnknownEvent
from domain.event_catalogue import EVENTS

EXAMPLES = Path(__file__).parents[1] / "stored_events"
CURRENT = {event.TYPE: event for event in EVENTS}


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

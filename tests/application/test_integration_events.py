"""What other services are told: the published contract, by examples that are never edited."""

import re
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from application.integration_events import (
    ANNOUNCED,
    TYPES,
    Announcement,
    IntegrationEvent,
    encode,
    facts_of,
    integration_event,
)
from domain.cache_events import CACHE_EVENTS
from domain.event import Event
from domain.media_file_events import (
    MEDIA_FILE_EVENTS,
    FileDeleted,
    UploadCompleted,
    UploadExpired,
    UploadRejected,
)
from domain.placement_events import FileRestored, VisibilityChanged
from domain.tenant import TENANT_EVENTS
from tests.kit.scenario import (
    COMPLETED,
    KEY,
    REQUESTED,
    START,
    deleted,
    expired,
    history,
    rejected,
    restored,
)

EXAMPLES = Path(__file__).parents[1] / "integration_events"
FACTS: dict[type[Event], Event] = {
    UploadCompleted: COMPLETED,
    FileDeleted: deleted(settles_at=START),
    FileRestored: restored(settles_at=START),
    VisibilityChanged: VisibilityChanged(key=KEY, is_public=False, settles_at=START),
    UploadExpired: expired(START),
    UploadRejected: rejected(START),
}
CONTEXT_ATTRIBUTE = re.compile(r"[a-z0-9]{1,20}")
"""CloudEvents 1.0, "Naming conventions"."""


def told(event: Event, *, owner: str = "t:ls_abc123") -> IntegrationEvent:
    facts = history(REQUESTED, (START + timedelta(milliseconds=1500), event), owner=owner)
    announced = integration_event(facts[1])
    assert announced is not None
    return announced


@pytest.mark.parametrize("fact", list(ANNOUNCED), ids=lambda fact: fact.__name__)
def test_every_announcement_is_what_was_promised(fact: type[Event]) -> None:
    announced = told(FACTS[fact])
    schema = type(announced.data).SCHEMA
    promised = msgspec.json.decode((EXAMPLES / f"{announced.type}.v{schema}.json").read_bytes())
    assert msgspec.json.decode(encode(announced)) == promised


@pytest.mark.parametrize("path", sorted(EXAMPLES.iterdir()), ids=lambda path: path.stem)
def test_no_field_that_was_ever_promised_is_missing(path: Path) -> None:
    promised = msgspec.json.decode(path.read_bytes())
    (fact,) = facts_of([promised["type"]])
    announced = msgspec.json.decode(encode(told(FACTS[fact])))
    assert set(promised) <= set(announced)
    assert set(promised["data"]) <= set(announced["data"])


@pytest.mark.parametrize("fact", FACTS.values(), ids=lambda fact: type(fact).__name__)
def test_it_is_a_cloudevent(fact: Event) -> None:
    event = msgspec.json.decode(encode(told(fact)))
    assert event["specversion"] == "1.0"
    for required in ("id", "source", "type"):
        assert event[required]
    for name in event:
        assert CONTEXT_ATTRIBUTE.fullmatch(name)
    assert event["time"] == "2026-04-29T10:00:01.500Z"


def test_the_id_is_the_same_every_time_and_the_sequence_sorts_as_text() -> None:
    assert encode(told(COMPLETED)) == encode(told(COMPLETED))
    assert told(COMPLETED).id == "media_xK9mQ2pLw3RtYb8c.2"
    facts = history(REQUESTED, COMPLETED)
    at = [msgspec.structs.replace(facts[1], position=position) for position in (9, 10, 2**63 - 1)]
    sequences = [event.sequence for event in map(integration_event, at) if event is not None]
    assert sequences == sorted(sequences)
    assert [int(sequence) for sequence in sequences] == [9, 10, 2**63 - 1]


def test_a_personal_file_names_its_user_and_no_workspace() -> None:
    event = msgspec.json.decode(encode(told(COMPLETED, owner="u:user_789")))
    assert "tenantid" not in event
    assert (event["data"]["tenantId"], event["data"]["userId"]) == (None, "user_789")


def test_what_is_not_announced_is_nobodys_business() -> None:
    silent = set(MEDIA_FILE_EVENTS + CACHE_EVENTS + TENANT_EVENTS) - set(ANNOUNCED)
    assert {event.__name__ for event in silent} >= {"UploadRequested", "UploadCancelled"}
    assert integration_event(history(REQUESTED)[0]) is None


def test_every_type_has_a_name_a_schema_and_a_sentence() -> None:
    assert TYPES == (
        "media.uploaded",
        "media.deleted",
        "media.restored",
        "media.visibility_changed",
        "media.expired",
        "media.rejected",
    )
    for announcement in ANNOUNCED.values():
        assert issubclass(announcement, Announcement)
        assert announcement.__doc__
    assert facts_of(["media.deleted"]) == [FileDeleted]
    assert facts_of(TYPES) == list(ANNOUNCED)

from typing import Any, ClassVar

import pytest
from eventsourcing.cipher import AESCipher
from eventsourcing.compressor import ZlibCompressor
from eventsourcing.persistence import JSONTranscoder, Notification
from eventsourcing.utils import Environment

from adapters.event_mapper import (
    EVENT_TYPES,
    EventMapper,
    EventTypes,
    LogEvent,
    UnknownEventType,
    Upcaster,
)
from domain.event import Event, UnknownEvent
from tests.kit.log import recorded
from tests.kit.scenario import COMPLETED, REQUESTED


class Renamed(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "media_file.renamed.v3"
    name: str
    locale: str


def to_v2(data: dict[str, Any]) -> dict[str, Any]:
    return {"name": data["title"]}


def to_v3(data: dict[str, Any]) -> dict[str, Any]:
    return data | {"locale": "und"}


RENAMED = EventTypes(
    [Renamed],
    {
        "media_file.renamed.v1": Upcaster("media_file.renamed.v2", to_v2),
        "media_file.renamed.v2": Upcaster("media_file.renamed.v3", to_v3),
    },
)


def test_stored_data_is_readable_json_in_snake_case() -> None:
    assert '"file_name":"hero.webp"' in EVENT_TYPES.encode(REQUESTED)


@pytest.mark.parametrize(
    ("stored_type", "data"),
    [
        ("media_file.renamed.v1", '{"title": "a"}'),
        ("media_file.renamed.v2", '{"name": "a"}'),
        ("media_file.renamed.v3", '{"name": "a", "locale": "und"}'),
    ],
)
def test_every_earlier_version_is_brought_up_to_the_present_one(
    stored_type: str, data: str
) -> None:
    assert RENAMED.decode(stored_type, data) == Renamed(name="a", locale="und")


def test_a_decision_is_never_based_on_an_event_nobody_knows() -> None:
    with pytest.raises(UnknownEventType, match=r"media_file\.moved\.v1"):
        EVENT_TYPES.decode("media_file.moved.v1", '{"folder": "x"}')


def test_a_chain_of_upcasts_that_ends_nowhere_is_unknown() -> None:
    types = EventTypes([], {"a.v1": Upcaster("a.v2", to_v3)})
    with pytest.raises(UnknownEventType):
        types.decode("a.v1", "{}")


def test_a_follower_is_handed_an_event_it_does_not_know_as_such() -> None:
    event = EVENT_TYPES.decode_any("media_file.moved.v1", '{"folder": "x"}')
    assert event == UnknownEvent(stored_type="media_file.moved.v1", data={"folder": "x"})


def test_an_event_that_is_not_registered_is_not_stored() -> None:
    with pytest.raises(UnknownEventType):
        EVENT_TYPES.encode(Renamed(name="a", locale="und"))


def test_two_events_cannot_share_a_stored_type() -> None:
    with pytest.raises(ValueError, match="two events are stored as"):
        EventTypes([Renamed, Renamed])


@pytest.mark.parametrize("text", ["\0", "a\0", "\\\0", "\\\\\0"])
def test_a_nul_character_never_reaches_the_log(text: str) -> None:
    with pytest.raises(ValueError, match="NUL"):
        RENAMED.encode(Renamed(name=text, locale="und"))


@pytest.mark.parametrize("text", ["\\u0000", "\\\\u0000", "u0000"])
def test_text_that_only_looks_like_a_nul_is_kept(text: str) -> None:
    event = Renamed(name=text, locale="und")
    assert RENAMED.decode(Renamed.TYPE, RENAMED.encode(event)) == event


def test_the_package_gets_back_what_it_was_given() -> None:
    mapper = EventMapper()
    event = LogEvent(recorded(COMPLETED, version=2))
    stored = mapper.to_stored_event(event)
    assert stored.topic == "media_file.upload_completed.v1"
    assert mapper.to_domain_event(stored) == event


def test_a_notification_of_the_package_knows_its_position() -> None:
    mapper = EventMapper()
    stored = mapper.to_stored_event(LogEvent(recorded()))
    notification = Notification(
        stored.originator_id, stored.originator_version, stored.topic, stored.state, id=42
    )
    assert mapper.to_domain_event(notification).recorded.position == 42


def test_the_log_is_neither_compressed_nor_encrypted_by_the_package() -> None:
    with pytest.raises(ValueError, match="readable JSON"):
        EventMapper(JSONTranscoder(), compressor=ZlibCompressor())
    key = AESCipher.create_key(16)
    with pytest.raises(ValueError, match="readable JSON"):
        EventMapper(JSONTranscoder(), cipher=AESCipher(Environment(env={"CIPHER_KEY": key})))

"""The `eventsourcing` package's own test cases, and its application and projection, on our log.

Its cases store bytes that are no JSON, count versions from 0 and expect ids 1, 2, 3; the recorders
here translate that and nothing else.
"""

import uuid
from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import (
    InfrastructureFactory,
    Notification,
    StoredEvent,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.projection import Projection, ProjectionRunner
from eventsourcing.tests import persistence as cases

from adapters.event_mapper import LogEvent
from adapters.postgres_events import (
    LogAggregateRecorder,
    LogApplicationRecorder,
    LogFactory,
    LogProcessRecorder,
    LogTrackingRecorder,
)
from domain.event import Recorded
from domain.media_file_events import UploadCompleted, UploadRequested
from tests.kit.log import ALPHA, new_stream, package_environment, recorded
from tests.kit.scenario import COMPLETED, START

ENVELOPE = {
    "at": START,
    "owner": ALPHA,
    "actor": "user:user_789",
    "access": "workspace",
    "command_id": "command_1",
    "correlation_id": "request_1",
}


def wrapped(stored_event: StoredEvent) -> StoredEvent:
    data = {"state": stored_event.state.decode()}
    return StoredEvent(
        stored_event.originator_id,
        stored_event.originator_version + 1,
        stored_event.topic,
        msgspec.json.encode(ENVELOPE | {"data": data}),
    )


def unwrapped_state(stored_event: StoredEvent) -> bytes:
    state: bytes = msgspec.json.decode(stored_event.state)["data"]["state"].encode()
    return state


class Translated(LogAggregateRecorder):
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        return super().insert_events([wrapped(event) for event in stored_events], **kwargs)

    def select_events(
        self, originator_id: UUID | str, *, gt: int | None = None, lte: int | None = None, **kw: Any
    ) -> Sequence[StoredEvent]:
        selected = super().select_events(
            originator_id,
            gt=None if gt is None else gt + 1,
            lte=None if lte is None else lte + 1,
            **kw,
        )
        return [
            StoredEvent(
                event.originator_id,
                event.originator_version - 1,
                event.topic,
                unwrapped_state(event),
            )
            for event in selected
        ]


class TranslatedLog(Translated, LogApplicationRecorder):
    def select_notifications(self, *args: Any, **kwargs: Any) -> Sequence[Notification]:
        return [
            Notification(
                event.originator_id,
                event.originator_version - 1,
                event.topic,
                unwrapped_state(event),
                id=event.id,
            )
            for event in super().select_notifications(*args, **kwargs)
        ]


class TranslatedProcess(LogProcessRecorder, TranslatedLog):
    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        return super().insert_events([wrapped(event) for event in stored_events], **kwargs)


class Ranked(TranslatedLog):
    """Counts positions 1, 2, 3, as a log without gaps would."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._positions: list[int] = []

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        positions = super().insert_events(stored_events, **kwargs) or []
        self._positions.extend(positions)
        return [self._rank(position) for position in positions]

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        selected = super().select_notifications(
            None if start is None else self._positions[start - 1],
            limit,
            None if stop is None else self._positions[stop - 1],
            topics,
            inclusive_of_start=inclusive_of_start,
        )
        return [
            Notification(
                event.originator_id,
                event.originator_version,
                event.topic,
                event.state,
                id=self._rank(event.id),
            )
            for event in selected
        ]

    def max_notification_id(self) -> int | None:
        head = super().max_notification_id()
        return None if head is None else self._rank(head)

    def _rank(self, position: int) -> int:
        return self._positions.index(position) + 1


class OnOurLog:
    factory: LogFactory

    @pytest.fixture(autouse=True)
    def _factory(self, database_url: str) -> Any:
        environment = package_environment(database_url)
        # On the way PERSISTENCE_MODULE takes in production.
        self.factory = InfrastructureFactory.construct(environment)  # type: ignore[assignment]
        with self.factory:
            yield

    def new_originator_id(self) -> str:
        return str(uuid.uuid4())


class TestAggregateRecorder(OnOurLog, cases.AggregateRecorderTestCase):
    def create_recorder(self) -> Translated:
        return Translated(self.factory.datastore)


class TestApplicationRecorder(OnOurLog, cases.ApplicationRecorderTestCase):
    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = False

    def create_recorder(self) -> TranslatedLog:
        if self._testMethodName == "test_insert_select":
            return Ranked(self.factory.datastore)
        return TranslatedLog(self.factory.datastore)

    def test_insert_subscribe(self) -> None:
        self.optional_test_insert_subscribe()


class TestTrackingRecorder(OnOurLog, cases.TrackingRecorderTestCase):
    def create_recorder(self) -> LogTrackingRecorder:
        return self.factory.tracking_recorder()


class TestProcessRecorder(OnOurLog, cases.ProcessRecorderTestCase):
    def create_recorder(self) -> TranslatedProcess:
        return TranslatedProcess(self.factory.datastore)


class TestNonInterleavingPositions(OnOurLog, cases.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> TranslatedLog:
        return TranslatedLog(self.factory.datastore)


class Counted(LogTrackingRecorder):
    """A view of the package: how many uploads were completed."""

    completed: ClassVar[list[Recorded]] = []


class CountingProjection(Projection[TrackingRecorder]):
    name = "counting"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        if isinstance(domain_event.recorded.event, UploadCompleted):
            Counted.completed.append(domain_event.recorded)
        self.view.insert_tracking(tracking)


def test_the_package_s_application_appends_to_our_log_and_reads_it(database_url: str) -> None:
    stream = new_stream()
    facts = [recorded(stream=stream), recorded(COMPLETED, stream=stream, version=2)]
    with Application[str](package_environment(database_url)) as application:
        recordings = application.save(*map(LogEvent, facts))
        assert list(application.events.get(stream)) == list(map(LogEvent, facts))
        section = application.notification_log.select(start=None, limit=10)
    assert [n.id for n in section] == [recording.notification.id for recording in recordings]
    assert [n.topic for n in section] == [UploadRequested.TYPE, UploadCompleted.TYPE]


def test_the_package_s_projection_runner_follows_our_log(database_url: str) -> None:
    Counted.completed.clear()
    runner = ProjectionRunner(
        application_class=Application[str],
        projection_class=CountingProjection,
        view_class=Counted,
        env=package_environment(database_url),
    )
    with runner:
        stream = new_stream()
        facts = [recorded(stream=stream), recorded(COMPLETED, stream=stream, version=2)]
        position = runner.app.save(*map(LogEvent, facts))[-1].notification.id
        runner.wait(position, timeout=60)
    assert [(fact.stream, fact.position) for fact in Counted.completed] == [(stream, position)]


def test_the_module_refuses_snapshots_and_a_cipher(database_url: str) -> None:
    environment = package_environment(database_url)
    with LogFactory(environment) as factory, pytest.raises(ValueError, match="no snapshots"):
        factory.aggregate_recorder(purpose="snapshots")
    compressor = {"COMPRESSOR_TOPIC": "eventsourcing.compressor:ZlibCompressor"}
    with (
        LogFactory(environment | compressor) as factory,
        pytest.raises(ValueError, match="no compressor"),
    ):
        factory.mapper()

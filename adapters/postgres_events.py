"""The log as a persistence module of the `eventsourcing` package, over the same table and SQL.

Named by `PERSISTENCE_MODULE=adapters.postgres_events`, for whoever attaches an application or a
projection of the package to our log. The service itself uses the async path.
"""

from collections.abc import Sequence
from threading import Event, Thread
from typing import Any, TypeVar, cast
from uuid import UUID

import msgspec
from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    DataError,
    InfrastructureFactory,
    IntegrityError,
    ListenNotifySubscription,
    Mapper,
    Notification,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
    Transcoder,
)
from eventsourcing.postgres import BasePostgresFactory, PostgresDatastore
from eventsourcing.utils import Environment, EnvType, resolve_topic
from psycopg import Cursor
from psycopg.rows import DictRow

from adapters.event_mapper import STATE_DECODER, STATE_ENCODER, EventMapper, StoredState
from adapters.postgres import startup_options
from adapters.postgres_event_store import APPEND_MANY, MAX_EVENTS

POLL_SECONDS = 0.05

_SELECT = (
    "SELECT position, stream, version, type, at, owner, actor, access, command_id, "
    "correlation_id, data::text AS data FROM events "
)
_SELECT_STREAM = (
    _SELECT + "WHERE stream = %(stream)s AND version > %(gt)s AND version <= %(lte)s "
    "ORDER BY version {order} LIMIT %(limit)s"
)
# The horizon cuts what was read, as in `event_reader.READ`.
SELECT_LOG = (
    f"SELECT * FROM ({_SELECT} WHERE position >= %(first)s "  # noqa: S608 - text of ours
    "AND (%(stop)s::bigint IS NULL OR position <= %(stop)s::bigint) "
    "AND (cardinality(%(topics)s::text[]) = 0 OR type = ANY (%(topics)s::text[])) "
    "ORDER BY position LIMIT %(limit)s"
    ") AS next WHERE position < (SELECT log_horizon()) ORDER BY position"
)
_SELECT_HEAD = "SELECT max(position) AS head FROM events WHERE position < (SELECT log_horizon())"
_UPSERT_CHECKPOINT = (
    "INSERT INTO checkpoints (follower, position, at) VALUES (%s, %s, now()) "
    "ON CONFLICT (follower) DO UPDATE SET position = excluded.position, at = excluded.at "
    "WHERE checkpoints.position < excluded.position RETURNING position"
)
_SELECT_CHECKPOINT = "SELECT position FROM checkpoints WHERE follower = %s"

_LARGEST_VERSION = 2**31 - 1


class LogAggregateRecorder(AggregateRecorder):
    """Streams of the log."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        self._datastore = datastore

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append atomically. Raises IntegrityError when a stream has that version already."""
        with self._datastore.transaction(commit=True) as cursor:
            self._append(cursor, stored_events, **kwargs)
        return None

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """The events of one stream, in the order of their versions."""
        with self._datastore.cursor() as cursor:
            cursor.execute(
                _SELECT_STREAM.format(order="DESC" if desc else "ASC").encode(),
                {
                    "stream": str(originator_id),
                    "gt": -1 if gt is None else gt,
                    "lte": _LARGEST_VERSION if lte is None else lte,
                    "limit": limit,
                },
                prepare=True,
            )
            return [
                StoredEvent(
                    originator_id=row["stream"],
                    originator_version=row["version"],
                    topic=row["type"],
                    state=_state_of(row),
                )
                for row in cursor.fetchall()
            ]

    def _append(
        self, cursor: Cursor[DictRow], stored_events: Sequence[StoredEvent], **_: Any
    ) -> list[int]:
        if not stored_events:
            return []
        if len(stored_events) > MAX_EVENTS:
            raise DataError(f"{len(stored_events)} events are too many for one transaction")
        states = [_decoded(stored_event) for stored_event in stored_events]
        cursor.execute(
            APPEND_MANY.encode(),
            {
                "ordinal": list(range(len(states))),
                "version": [stored_event.originator_version for stored_event in stored_events],
                "at": [state.at for state in states],
                "stream": [str(stored_event.originator_id) for stored_event in stored_events],
                "type": [stored_event.topic for stored_event in stored_events],
                "owner": [state.owner for state in states],
                "actor": [state.actor for state in states],
                "access": [state.access for state in states],
                "command_id": [state.command_id for state in states],
                "correlation_id": [state.correlation_id for state in states],
                "data": [bytes(state.data).decode() for state in states],
            },
            prepare=True,
        )
        return sorted(row["position"] for row in cursor.fetchall())


class LogApplicationRecorder(LogAggregateRecorder, ApplicationRecorder):
    """The log in its one order. Notification ids are positions: ascending, with gaps."""

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """Append atomically and return the positions."""
        with self._datastore.transaction(commit=True) as cursor:
            return self._append(cursor, stored_events, **kwargs)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Events from a position on, as far as no earlier one can still appear."""
        first = (start or 0) + (start is not None and not inclusive_of_start)
        with self._datastore.cursor() as cursor:
            cursor.execute(
                SELECT_LOG,
                {
                    "first": first,
                    "stop": stop,
                    "topics": list(topics),
                    "limit": limit,
                },
                prepare=True,
            )
            return [
                Notification(
                    id=row["position"],
                    originator_id=row["stream"],
                    originator_version=row["version"],
                    topic=row["type"],
                    state=_state_of(row),
                )
                for row in cursor.fetchall()
            ]

    def max_notification_id(self) -> int | None:
        """The position of the newest event that can be read."""
        with self._datastore.cursor() as cursor:
            row = cursor.execute(_SELECT_HEAD).fetchone()
        return row["head"] if row else None

    def subscribe(
        self, gt: int | None = None, topics: Sequence[str] = ()
    ) -> Subscription[ApplicationRecorder]:
        """The events after a position, and those to come."""
        return PollingSubscription(recorder=self, gt=gt, topics=topics)


class PollingSubscription(ListenNotifySubscription[LogApplicationRecorder]):
    """Asks the log every 50 ms: a NOTIFY in the append would let one commit through at a time."""

    def __init__(
        self, recorder: LogApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()
    ) -> None:
        self._stopped = Event()
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._poll_thread = Thread(target=self._poll, name="log-subscription-poll")
        self._poll_thread.start()

    def stop(self) -> None:
        """Stop the subscription and both its threads."""
        self._stopped.set()
        super().stop()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        try:
            super().__exit__(*args, **kwargs)
        finally:
            self._poll_thread.join()

    def _poll(self) -> None:
        while not self._has_been_stopped and not self._thread_error:
            self._stopped.wait(POLL_SECONDS)
            self._has_been_notified.set()


class LogTrackingRecorder(TrackingRecorder):
    """Checkpoints of followers, in the table our own followers use."""

    def __init__(self, datastore: PostgresDatastore) -> None:
        self._datastore = datastore

    def insert_tracking(self, tracking: Tracking) -> None:
        """Move a checkpoint forward. Raises IntegrityError when it is there already."""
        with self._datastore.transaction(commit=True) as cursor:
            self._track(cursor, tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        """Where the follower stands, or None."""
        with self._datastore.cursor() as cursor:
            row = cursor.execute(_SELECT_CHECKPOINT, (application_name,)).fetchone()
        return row["position"] if row else None

    def _track(self, cursor: Cursor[DictRow], tracking: Tracking) -> None:
        cursor.execute(
            _UPSERT_CHECKPOINT, (tracking.application_name, tracking.notification_id), prepare=True
        )
        if cursor.fetchone() is None:
            raise IntegrityError(
                f"{tracking.application_name} is at {tracking.notification_id} or further already"
            )


class LogProcessRecorder(LogTrackingRecorder, LogApplicationRecorder, ProcessRecorder):
    """Events and the checkpoint they come from, in one transaction."""

    def _append(
        self,
        cursor: Cursor[DictRow],
        stored_events: Sequence[StoredEvent],
        *,
        tracking: Tracking | None = None,
        **_: Any,
    ) -> list[int]:
        if tracking is not None:
            self._track(cursor, tracking)
        return super()._append(cursor, stored_events)


Recorder = TypeVar("Recorder", bound=LogTrackingRecorder)


class LogFactory(
    BasePostgresFactory[LogTrackingRecorder], InfrastructureFactory[LogTrackingRecorder]
):
    """Makes recorders on the log, connected by the package's own POSTGRES_* variables.

    Creates no table, whatever CREATE_TABLE says: the migrations do. There are no snapshots.
    """

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        options = startup_options("", role="media_worker")
        self.datastore.pool.kwargs = {**_keywords(self.datastore), "options": options}

    def mapper(
        self,
        transcoder: Transcoder | None = None,
        mapper_class: type[Mapper[Any]] | None = None,
    ) -> Mapper[Any]:
        """Ours, unless another is named. Raises ValueError for a compressor or a cipher."""
        if mapper_class is None and not self.env.get(self.MAPPER_TOPIC):
            mapper_class = EventMapper
        return super().mapper(transcoder, mapper_class)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        """A recorder of streams. Raises ValueError for snapshots."""
        if purpose != "events":
            raise ValueError(f"The log holds events, no {purpose}.")
        return LogAggregateRecorder(self.datastore)

    def application_recorder(self) -> ApplicationRecorder:
        """A recorder of the whole log, of the class the environment names, or ours."""
        topic = self.env.get(self.APPLICATION_RECORDER_TOPIC)
        recorder: type[LogApplicationRecorder] = (
            resolve_topic(topic) if topic else LogApplicationRecorder
        )
        return recorder(self.datastore)

    def tracking_recorder(self, tracking_recorder_class: type[Recorder] | None = None) -> Recorder:
        """A recorder of checkpoints, of the class that is given or that the environment names."""
        topic = self.env.get(self.TRACKING_RECORDER_TOPIC)
        if tracking_recorder_class is None:
            named = resolve_topic(topic) if topic else LogTrackingRecorder
            tracking_recorder_class = cast("type[Recorder]", named)
        return tracking_recorder_class(self.datastore)

    def process_recorder(self) -> ProcessRecorder:
        """A recorder of events with checkpoints."""
        topic = self.env.get(self.PROCESS_RECORDER_TOPIC)
        recorder: type[LogProcessRecorder] = resolve_topic(topic) if topic else LogProcessRecorder
        return recorder(self.datastore)


def _keywords(datastore: PostgresDatastore) -> dict[str, Any]:
    keywords = datastore.pool.kwargs
    return dict(keywords) if isinstance(keywords, dict) else {}


def _decoded(stored_event: StoredEvent) -> StoredState:
    try:
        return STATE_DECODER.decode(stored_event.state)
    except msgspec.MsgspecError as error:
        raise DataError(f"{stored_event.topic} has no envelope of ours: {error}") from error


def _state_of(row: DictRow) -> bytes:
    return STATE_ENCODER.encode(
        StoredState(
            at=row["at"],
            owner=row["owner"],
            actor=row["actor"],
            access=row["access"],
            command_id=row["command_id"],
            correlation_id=row["correlation_id"],
            data=msgspec.Raw(row["data"].encode()),
        )
    )

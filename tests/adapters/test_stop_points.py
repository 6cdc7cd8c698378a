"""Stop points: off unless named, refused in production; nothing is wrapped while they are off."""

from typing import Any, cast

import pytest

from adapters import dying
from adapters.postgres_event_store import PostgresEventStore
from adapters.settings import Settings, SettingsError
from adapters.stop_points import NAMES, StopPoint, stop_point
from api.before_answer import before_answer
from projections.file_list import FileListProjection
from tests.adapters.test_settings import VALID
from workers.rows_written import rows_written

DEVELOPMENT = VALID | {"MEDIA_ENVIRONMENT": "development"}


def test_it_is_off_unless_named():
    assert Settings.from_environment(DEVELOPMENT).stop_point == ""
    assert stop_point("") is None


@pytest.mark.parametrize("name", NAMES)
def test_a_point_is_named_with_the_number_of_passages(name: str):
    assert stop_point(name) == StopPoint(name, 1)  # type: ignore[arg-type]
    assert stop_point(f"{name}:12") == StopPoint(name, 12)  # type: ignore[arg-type]
    settings = Settings.from_environment(DEVELOPMENT | {"MEDIA_STOP_POINT": f"{name}:3"})
    assert settings.stop_point == f"{name}:3"


@pytest.mark.parametrize("text", ["nowhere", "before_write:0", "before_write:x", "before_write:²"])
def test_what_is_no_point_is_refused_with_a_sentence(text: str):
    with pytest.raises(SettingsError, match="MEDIA_STOP_POINT"):
        Settings.from_environment(DEVELOPMENT | {"MEDIA_STOP_POINT": text})


def test_production_does_not_start_with_one():
    with pytest.raises(SettingsError, match="MEDIA_STOP_POINT is for development only"):
        Settings.from_environment(VALID | {"MEDIA_STOP_POINT": "before_write"})


def test_it_is_due_at_the_named_passage_only():
    point = StopPoint("job_taken", 2)
    passages = ("job_taken", "job_done", "job_taken", "job_taken")
    assert [point.due(name) for name in passages] == [False, False, True, False]  # type: ignore[arg-type]


def test_while_it_is_off_nothing_stands_between():
    nothing: Any = None
    objects, runner, app = cast("Any", object()), cast("Any", object()), cast("Any", object())
    projection = FileListProjection()
    assert type(dying.event_store(nothing, None)) is PostgresEventStore
    wrapped = (
        dying.object_store(objects, None),
        dying.job_runner(runner, None),
        before_answer(app, None),
        rows_written(projection, None),
    )
    assert [id(one) for one in wrapped] == [id(one) for one in (objects, runner, app, projection)]

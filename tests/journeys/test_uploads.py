"""The main job through a running `./dev up`, with real files, as the README's tour does it."""

import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial

import httpx
import pytest

from domain.media_type import MEDIA_TYPES
from tests.kit.exposition import samples
from tests.kit.monitoring import asked_for
from tests.kit.patience import patience
from tests.kit.person import Person
from tests.kit.samples import sample
from tests.kit.up import SECONDS, Up, wait_until
from workers.operations import log, projections

pytestmark = pytest.mark.timeout(600)


@pytest.mark.parametrize("mime_type", list(MEDIA_TYPES))
def test_a_real_file_is_uploaded_found_resolved_and_deleted(up: Up, mime_type: str) -> None:
    with Person(up.run, "ls_journey") as person:
        take_through_its_life(person, mime_type)


LASTING = ("id", "key", "url", "fileName", "fileSize", "mimeType", "status", "createdAt")
LIFE = ["upload_requested", "upload_completed", "file_deleted"]
"""Between them stands what was found in the file and made from it."""


def take_through_its_life(person: Person, mime_type: str) -> None:
    extension = MEDIA_TYPES[mime_type].extension
    presigned = person.presign(f"Größe.{extension}", mime_type).json()
    media_id = presigned["mediaId"]
    assert person.put(presigned, mime_type).status_code == 200
    assert person.put(presigned, mime_type).status_code == 412

    completed = person.complete(presigned)
    assert completed.status_code == 200, completed.text
    found = person.seen("/files", completed, search=f"GRÖSSE.{extension}")
    assert [item["id"] for item in found.json()["items"]] == [media_id]
    shown = person.api.get(f"/files/{media_id}").json()
    # What was found in the file may have come since.
    assert {name: shown[name] for name in LASTING} == {
        name: completed.json()[name] for name in LASTING
    }
    wanted = {"mediaIds": [media_id]}
    asked = httpx.post(f"{person.internal}/internal/resolve", json=wanted, timeout=SECONDS)
    url = asked.json()["resolved"][media_id]["url"]
    served = person.bucket.get(url)
    assert (served.status_code, served.headers["content-type"]) == (200, mime_type)
    assert len(served.content) == completed.json()["fileSize"]
    assert served.headers["cache-control"] == MEDIA_TYPES[mime_type].cache_control

    deleted = person.delete(media_id, key=f"delete {media_id}")
    assert deleted.json() == {"id": media_id, "deleted": True}
    wait_until(lambda: person.bucket.get(url).status_code == 404)
    history = person.seen(f"/files/{media_id}/history", deleted)
    told = [item["type"].split(".")[1] for item in history.json()["items"]]
    assert [fact for fact in told if fact in LIFE] == LIFE


def test_a_late_put_after_complete_changes_nothing_that_anybody_sees(up: Up) -> None:
    with Person(up.run, "ls_late") as person:
        presigned = person.presign("late.png", "image/png").json()
        assert person.put(presigned, "image/png").status_code == 200
        completed = person.complete(presigned)
        other = sample("image/png")[:-1] + b"!"
        # Once incoming is emptied the URL, which lives for an hour, is good for one more.
        wait_until(lambda: person.put(presigned, "image/png", other).status_code == 200)

        again = person.complete(presigned)
        assert (again.status_code, again.json()["url"]) == (200, completed.json()["url"])
        # Not from the edge's cache.
        served = person.bucket.get(f"{completed.json()['url']}?late")
        assert len(served.content) == completed.json()["fileSize"]
        assert other not in served.content


COUNTED = {
    'media_requests_total{route="media.upload.presign",status="200"}',
    'media_requests_total{route="media.files.delete",status="200"}',
    'media_request_seconds_count{route="media.upload.complete"}',
    'media_events_total{type="media_file.file_deleted"}',
    'media_jobs_total{job="place_objects",status="done"}',
    'media_projected_events_total{read_model="file_list_v2"}',
    'media_object_store_seconds_count{operation="copy_object"}',
    'media_pool_connections{pool="media-api",state="max"}',
    'media_pool_connections{pool="media-projector",state="max"}',
    "media_stored_files",
}


def test_the_internal_app_tells_the_numbers_of_every_process(up: Up) -> None:
    with Person(up.run, "ls_numbers") as person:
        take_through_its_life(person, "image/png")

        def numbers() -> dict[str, float]:
            return samples(httpx.get(f"{person.internal}/metrics", timeout=SECONDS).text)

        wait_until(lambda: set(numbers()) >= COUNTED)
        # No process prints what is left of what docs/monitoring asks for.
        wait_until(lambda: asked_for() <= {name.partition("{")[0] for name in numbers()})


def again(attempt: Callable[[], httpx.Response]) -> httpx.Response:
    """What a client does: repeat on no answer and on 5xx, with the same Idempotency-Key."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            answer = attempt()
            if answer.status_code < 500:
                return answer
        except httpx.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.2)


def started_again(up: Up, name: str, pid: int) -> bool:
    return bool(up.run["pids"].get(name, pid) != pid)


def test_whatever_process_is_killed_nothing_acknowledged_is_lost_and_nothing_happens_twice(
    up: Up,
) -> None:
    completed: dict[str, str] = {}
    deleted: set[str] = set()
    failed: list[BaseException] = []
    over = threading.Event()

    def client(number: int, person: Person) -> None:
        for round_ in itertools.count():
            if over.is_set():
                return
            key = f"{number} {round_}"
            presigned = again(partial(person.presign, key, "image/png", key=key)).json()
            assert again(partial(person.put, presigned, "image/png")).status_code in {200, 412}
            assert again(partial(person.complete, presigned)).status_code == 200
            media_id = presigned["mediaId"]
            completed[media_id] = presigned["publicUrl"]
            if round_ % 3 == 0:
                assert again(partial(person.delete, media_id, key=media_id)).status_code == 200
                deleted.add(media_id)

    def guarded(number: int) -> None:
        try:
            with Person(up.run, "ls_kills") as person:
                client(number, person)
        except BaseException as error:  # noqa: BLE001 - told by the test itself
            failed.append(error)

    clients = [threading.Thread(target=guarded, args=(number,)) for number in range(3)]
    for one in clients:
        one.start()
    # Not the edge: it stands where R2 does, whose PUT is whole or nothing; cut in the middle of
    # one, the local server keeps half an object.
    try:
        for name in ("api", "projector", "reactor", "jobs", "scheduler"):
            done = len(completed)
            # In the middle of their work.
            wait_until(lambda done=done: failed or len(completed) > done)  # type: ignore[misc]
            pid = up.run["pids"][name]
            os.kill(pid, signal.SIGKILL)
            wait_until(partial(started_again, up, name, pid))
        wait_until(lambda: failed or (len(deleted) > 2 and len(completed) - len(deleted) > 5))
    finally:
        over.set()
        for one in clients:
            one.join()
    assert failed == []
    kept = set(completed) - deleted
    with Person(up.run, "ls_kills") as person:
        look_at_what_is_left(person, completed, kept)


def look_at_what_is_left(person: Person, completed: dict[str, str], kept: set[str]) -> None:
    wait_until(lambda: person.library() == kept)

    def public() -> set[str]:
        answers = {media_id: person.bucket.get(url) for media_id, url in completed.items()}
        return {media_id for media_id, answer in answers.items() if answer.status_code == 200}

    wait_until(lambda: public() == kept)

    def stats() -> tuple[int, int, int]:
        told = person.api.get("/files/stats").json()
        return told.get("totalFiles"), told.get("totalBytes"), told.get("pendingUploads")

    wait_until(lambda: stats() == (len(kept), len(kept) * len(sample("image/png")), 0))


def test_the_log_tells_the_story(up: Up, capfd: pytest.CaptureFixture[str]) -> None:
    with Person(up.run, "ls_story") as person:
        take_through_its_life(person, "image/jpeg")
    with patience():
        assert log(home=up.home, tenant="ls_story") in {0, None}
        assert projections(home=up.home) in {0, None}
    told = capfd.readouterr().out
    for fact in ("upload_requested", "upload_completed", "file_deleted"):
        assert fact in told
    assert "file_list_v2" in told

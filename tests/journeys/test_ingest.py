"""Ingest through a running `./dev up`, as the README's tour does it: nine real files from a URL."""

import pytest

from domain.media_type import MEDIA_TYPES
from tests.kit.person import Person
from tests.kit.up import Up, wait_until

pytestmark = pytest.mark.timeout(300)

LIFE = [
    "ingest_requested",
    "upload_requested",
    "verification_deferred",
    "upload_completed",
    "file_deleted",
]


@pytest.mark.parametrize("mime_type", list(MEDIA_TYPES))
def test_a_real_file_is_ingested_served_and_deleted(up: Up, source: str, mime_type: str) -> None:
    with Person(up.run, "ls_ingest") as person:
        ingest_and_delete(person, source, mime_type)


def ingest_and_delete(person: Person, source: str, mime_type: str) -> None:
    extension = MEDIA_TYPES[mime_type].extension
    url = f"http://{source}/Gr%C3%B6%C3%9Fe.{extension}?token=secret"
    answer = person.ingest(url)
    assert answer.status_code == 200, answer.text
    file = answer.json()
    assert (file["fileName"], file["mimeType"]) == (f"Größe.{extension}", mime_type)
    served = person.bucket.get(file["url"])
    assert (served.status_code, served.headers["content-type"]) == (200, mime_type)
    assert len(served.content) == file["fileSize"]
    deleted = person.api.delete(f"/files/{file['id']}")
    wait_until(lambda: person.bucket.get(file["url"]).status_code == 404)
    history = person.seen(f"/files/{file['id']}/history", deleted)
    assert "secret" not in history.text
    told = [item["type"].split(".")[1] for item in history.json()["items"]]
    # Between them stands what was found in the file and made from it.
    assert [fact for fact in told if fact in LIFE] == LIFE


def test_what_is_not_permitted_is_refused(up: Up, source: str) -> None:
    with Person(up.run, "ls_ingest") as person:
        for url, code in (
            (f"http://{source}/none", "SOURCE_UNAVAILABLE"),
            (up.run["api"], "SSRF_BLOCKED"),
            ("http://169.254.169.254/latest/meta-data/", "SSRF_BLOCKED"),
        ):
            assert person.ingest(url).json()["code"] == code

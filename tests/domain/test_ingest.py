"""An ingest from its request to the bytes, and what a source's headers and URL make of them."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from application.uploads import checked_file_name
from domain import ingest
from domain.errors import (
    ENDINGS,
    MediaError,
    MediaNotFound,
    SourceUnavailable,
    UnsupportedMime,
    UploadExpired,
    UploadMismatch,
    recalled,
)
from domain.media_file import Status
from domain.media_file_events import (
    IngestCancelled,
    IngestFailed,
    UploadRequested,
    VerificationDeferred,
)
from domain.media_type import MEBIBYTE, MEDIA_TYPES, ServiceRules
from tests.kit.scenario import INGEST_REQUESTED, KEY, START, Given, after

PNG = MEDIA_TYPES["image/png"]
WEBP = MEDIA_TYPES["image/webp"]
RULES = ServiceRules()
LIFETIME = after(hours=24) - START
FETCHED = UploadRequested(
    file_name="hero.webp",
    file_size=245_000,
    mime_type="image/webp",
    service_code="blog",
    key=KEY,
    is_public=True,
    uploaded_by="user_789",
    sha256="0" * 64,
)
FAILED = IngestFailed(code="SOURCE_UNAVAILABLE", detail="The source answers 404.")


def test_a_fetched_source_is_an_upload_that_awaits_its_verification() -> None:
    Given(INGEST_REQUESTED).when(
        lambda file: ingest.fetched(
            file, file_name="hero.webp", file_size=245_000, media_type=WEBP, sha256="0" * 64
        )
    ).then(FETCHED, VerificationDeferred())
    file = Given(INGEST_REQUESTED, FETCHED, VerificationDeferred()).file
    assert (file.key, file.file_size, file.created_at) == (KEY, 245_000, START)
    assert not file.awaits_source
    (completed,) = file.complete(served_bytes=245_000)
    assert getattr(completed, "requested_at", None) == START


@pytest.mark.parametrize(
    "history",
    [(FETCHED,), (FAILED,), (IngestCancelled(reason="user"),)],
    ids=["fetched", "failed", "cancelled"],
)
def test_what_comes_of_a_second_fetch_changes_nothing(history: tuple[UploadRequested, ...]) -> None:
    given = Given(INGEST_REQUESTED, *history)
    given.when(
        lambda file: ingest.fetched(
            file, file_name="b.png", file_size=1, media_type=PNG, sha256="1" * 64
        )
    ).then()
    given.when(lambda file: ingest.failed(file, SourceUnavailable("too late"))).then()


def test_a_failed_ingest_answers_its_reason_for_good() -> None:
    given = Given(INGEST_REQUESTED, FAILED)
    assert given.file.status is Status.REJECTED
    with pytest.raises(SourceUnavailable, match="answers 404"):
        given.file.check_completable(at=after(days=2), pending_lifetime=LIFETIME)
    given.when(lambda file: file.delete(at=START)).refused(MediaNotFound)


def test_an_ingest_that_nobody_fetches_expires() -> None:
    given = Given(INGEST_REQUESTED)
    given.when(lambda file: file.expire(at=after(hours=23), pending_lifetime=LIFETIME)).then()
    late = IngestFailed(code="UPLOAD_EXPIRED", detail="The source was not fetched in time.")
    given.when(lambda file: file.expire(at=after(hours=24), pending_lifetime=LIFETIME)).then(late)
    file = Given(INGEST_REQUESTED, late).file
    assert file.status is Status.EXPIRED
    with pytest.raises(UploadExpired):
        file.check_completable(at=after(hours=24), pending_lifetime=LIFETIME)


def test_an_ingest_can_be_cancelled_before_and_after_its_source_is_fetched() -> None:
    Given(INGEST_REQUESTED).when(lambda file: file.delete(at=START)).then(
        IngestCancelled(reason="user")
    )
    assert Given(INGEST_REQUESTED, IngestCancelled(reason="user")).file.status is Status.DELETED
    (cancelled,) = Given(INGEST_REQUESTED, FETCHED).file.delete(at=START)
    assert cancelled.TYPE == "media_file.upload_cancelled.v1"


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_recorded_refusal_is_recalled_with_its_code_and_message(ending: type[MediaError]) -> None:
    refusal = recalled(ending.code, "What it said.")
    assert type(refusal) is ending
    assert (refusal.message, refusal.details) == ("What it said.", {})


def test_a_rejected_upload_of_old_answers_a_mismatch() -> None:
    assert recalled(Given(INGEST_REQUESTED).file.rejection_code, "x").code == UploadMismatch.code


@pytest.mark.parametrize(
    ("mime_type", "content_type"),
    [
        ("image/png", "image/png"),
        ("image/png", ""),
        ("image/png", "application/octet-stream"),
        ("image/png", "IMAGE/PNG; charset=binary"),
        ("image/png", "image/jpeg"),
        ("image/jpeg", "image/jpg"),
        ("image/svg+xml", "text/plain; charset=utf-8"),
        ("image/svg+xml", "application/xml"),
        ("video/mp4", "video/quicktime"),
        ("application/pdf", "application/x-pdf"),
    ],
)
def test_the_bytes_win_over_a_vague_content_type(mime_type: str, content_type: str) -> None:
    found = MEDIA_TYPES[mime_type]
    assert ingest.accepted_type(found, content_type=content_type, rules=RULES) is found


@pytest.mark.parametrize(
    ("mime_type", "content_type"),
    [
        ("image/png", "text/html"),
        ("image/png", "text/plain"),
        ("image/svg+xml", "text/html; charset=utf-8"),
        ("image/gif", "application/javascript"),
        ("application/pdf", "image/png"),
        ("video/mp4", "image/png"),
        (None, "image/png"),
        (None, ""),
    ],
)
def test_bytes_that_contradict_the_content_type_are_refused(
    mime_type: str | None, content_type: str
) -> None:
    found = None if mime_type is None else MEDIA_TYPES[mime_type]
    with pytest.raises(UnsupportedMime):
        ingest.accepted_type(found, content_type=content_type, rules=RULES)


def test_a_type_the_service_does_not_take_is_refused() -> None:
    rules = ServiceRules(types=("image/png",))
    with pytest.raises(UnsupportedMime):
        ingest.accepted_type(WEBP, content_type="image/webp", rules=rules)


def test_the_largest_file_is_that_of_the_types_a_service_takes() -> None:
    rules = ServiceRules(
        types=("image/png", "application/pdf"),
        max_bytes={"image": MEBIBYTE, "video": 50 * MEBIBYTE, "document": 2 * MEBIBYTE},
    )
    assert rules.largest_bytes == 2 * MEBIBYTE


NAMES = [
    ("", "https://a.example/x/hero.png?v=1", "hero.png"),
    ("", "https://a.example/x/hero.PNG", "hero.PNG"),
    ("", "https://a.example/", "file.png"),
    ("", "https://a.example/a%2Fb%5Cc%00d.png", "cd.png"),
    ("", "https://a.example/image.php", "image.php.png"),
    ("", "https://a.example/v1.2", "v1.2.png"),
    ("", "https://a.example/%E5%86%99%E7%9C%9F", "写真.png"),
    ("", "https://a.example/%ff", "\N{REPLACEMENT CHARACTER}.png"),
    ("", "https://a.example/..", "file.png"),
    ("attachment", "https://a.example/hero.png", "hero.png"),
    ('attachment; filename="a b.png"', "u", "a b.png"),
    (r'attachment; filename="\"q\".png"', "u", '"q".png'),
    ("attachment; filename=x.png; filename*=UTF-8''%e2%82%ac.png", "u", "€.png"),
    ("attachment; filename*=UTF-8''%e2%82%ac.png; filename=x.png", "u", "€.png"),
    ("attachment; filename*0*=UTF-8''a%20; filename*1=b.png", "u", "a b.png"),
    ('inline; filename="..\\..\\evil.php"', "u", "evil.php.png"),
    ('inline; filename="/etc/passwd"', "u", "passwd.png"),
    ("attachment; filename*=UTF-8''%0d%0aX-Evil: y.png", "u", "X-Evil: y.png"),
    ("attachment; filename=\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe", "u", "gnp.exe.png"),
    ("attachment; filename=.htaccess", "u", "htaccess.png"),
    (
        "attachment; filename*=nonsense''%ff",
        "https://a.example/x.png",
        "ÿ.png",
    ),
]


@pytest.mark.parametrize(("disposition", "url", "name"), NAMES)
def test_the_source_names_the_file(disposition: str, url: str, name: str) -> None:
    assert ingest.source_file_name(PNG, disposition=disposition, url=url) == name


@given(
    disposition=st.text() | st.text().map(lambda text: f"attachment; filename={text}"),
    path=st.text(),
)
def test_whatever_a_source_says_is_a_name_we_take(disposition: str, path: str) -> None:
    name = ingest.source_file_name(PNG, disposition=disposition, url=f"https://a.example/{path}")
    assert checked_file_name(name) == name
    assert name.lower().endswith(".png")
    assert "/" not in name
    assert not any(unicodedata.category(one).startswith("C") for one in name)

"""What may be uploaded (spec 5.3) and under which key (spec 4.3)."""

from datetime import UTC, datetime

import pytest

from domain.errors import FileTooLarge, InvalidField, UnsupportedMime
from domain.media_type import MEBIBYTE, MEDIA_TYPES, ServiceRules, UploadRules
from domain.object_key import object_key
from domain.owner import tenant, user

RULES = UploadRules(
    {
        "blog": ServiceRules(),
        "avatar": ServiceRules(
            types=("image/png",),
            max_bytes={"image": MEBIBYTE, "video": 0, "document": 0},
        ),
    }
)


@pytest.mark.parametrize("mime_type", list(MEDIA_TYPES))
def test_every_type_of_the_specification_is_accepted_up_to_10_mebibytes(mime_type):
    check = RULES.check
    accepted = check(service_code="blog", mime_type=mime_type, file_size=10 * MEBIBYTE)
    assert accepted.mime_type == mime_type
    with pytest.raises(FileTooLarge):
        check(service_code="blog", mime_type=mime_type, file_size=10 * MEBIBYTE + 1)


@pytest.mark.parametrize("mime_type", ["text/html", "image/JPEG", "image/jpeg; a=b", "", "*/*"])
def test_any_other_type_is_refused(mime_type):
    with pytest.raises(UnsupportedMime):
        RULES.check(service_code="blog", mime_type=mime_type, file_size=1)


def test_a_service_can_have_its_own_rules():
    with pytest.raises(UnsupportedMime):
        RULES.check(service_code="avatar", mime_type="image/jpeg", file_size=1)
    with pytest.raises(FileTooLarge):
        RULES.check(service_code="avatar", mime_type="image/png", file_size=MEBIBYTE + 1)


def test_an_unknown_service_is_an_invalid_field():
    with pytest.raises(InvalidField):
        RULES.check(service_code="nope", mime_type="image/png", file_size=1)


def test_keys_follow_the_namespace_of_the_specification():
    at = datetime(2026, 4, 29, tzinfo=UTC)
    assert (
        object_key(
            tenant("ls_abc123"),
            service_code="blog",
            at=at,
            media_id="media_xK9mQ2pLw3RtYb8c",
            extension="webp",
        )
        == "ls_abc123/blog/2026/04/xK9mQ2pLw3RtYb8c.webp"
    )
    assert (
        object_key(
            user("user_789"),
            service_code="avatar",
            at=at,
            media_id="media_aB3nR7kWaB3nR7kW",
            extension="jpg",
        )
        == "users/user_789/avatar/2026/04/aB3nR7kWaB3nR7kW.jpg"
    )

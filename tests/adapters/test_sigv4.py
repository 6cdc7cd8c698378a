import base64
import hashlib
import itertools
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qs, urlsplit

import botocore.auth  # type: ignore[import-untyped]
import botocore.session  # type: ignore[import-untyped]
import pytest
from botocore.config import Config  # type: ignore[import-untyped]

from adapters.sigv4 import Presigner

ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AT = datetime(2026, 4, 29, 10, 0, 0, tzinfo=UTC)

KEYS = [
    "ls_abc123/blog/2026/04/xK9mQ2pLw3RtYb8c.webp",
    "users/user_1/avatar/2026/04/a.jpg",
    "a b+c%20d.png",
    "%2e%2e/%00",
    "ü/東京/🎉.avif",
    "a?b=c&d#e",
    "~tilde-_.!*'()",
    "quote\"and'\\back",
    "a//b/",
    "x" * 900,
]
TYPES = ["image/webp", "image/svg+xml", "text/plain; charset=utf-8"]
SIZES = [1, 245_000, 5 * 1024**3]
DIGESTS = [None, hashlib.sha256(b"").digest(), hashlib.sha256(b"x").digest()]
PUTS = list(itertools.product(KEYS, TYPES, SIZES, DIGESTS))
DISPOSITIONS = [
    None,
    "attachment; filename=\"file\"; filename*=UTF-8''a%20b%22%0D%0A.png",
    'inline; a="ü & = + ~ *"',
]
GETS = list(itertools.product(KEYS, DISPOSITIONS, [1, 300, 604_800]))
ENDPOINTS = [
    ("https://account.r2.cloudflarestorage.com", "auto"),
    ("http://127.0.0.1:8787", "us-east-1"),
    ("https://s3.example:443", "eu-central-1"),
    ("http://localhost:80", "auto"),
    ("http://[::1]:9000", "auto"),
]


def botocore_client(endpoint: str, region: str) -> Any:
    return botocore.session.Session().create_client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


def presigner(endpoint: str, region: str) -> Presigner:
    return Presigner(endpoint, region=region, access_key=ACCESS_KEY, secret_key=SECRET_KEY)


@pytest.fixture(autouse=True)
def _botocore_signs_at_our_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda: AT.replace(tzinfo=None))


@pytest.mark.parametrize(("endpoint", "region"), ENDPOINTS[:2])
def test_270_puts_are_byte_equal_to_botocores(endpoint: str, region: str) -> None:
    assert len(PUTS) == 270
    theirs, ours = botocore_client(endpoint, region), presigner(endpoint, region)
    for key, content_type, size, digest in PUTS:
        parameters: dict[str, Any] = {
            "ContentType": content_type,
            "ContentLength": size,
            "IfNoneMatch": "*",
        }
        headers = {"Content-Type": content_type, "Content-Length": str(size), "If-None-Match": "*"}
        if digest is not None:
            encoded = base64.b64encode(digest).decode()
            parameters["ChecksumSHA256"] = headers["x-amz-checksum-sha256"] = encoded
        expected = theirs.generate_presigned_url(
            "put_object", Params={"Bucket": "incoming", "Key": key, **parameters}, ExpiresIn=3600
        )
        assert (
            ours.sign("PUT", f"/incoming/{key}", headers=headers, at=AT, lifetime=3600) == expected
        )


@pytest.mark.parametrize(("endpoint", "region"), ENDPOINTS[:2])
def test_90_gets_are_byte_equal_to_botocores(endpoint: str, region: str) -> None:
    assert len(GETS) == 90
    theirs, ours = botocore_client(endpoint, region), presigner(endpoint, region)
    for key, disposition, lifetime in GETS:
        parameters: dict[str, str] = {}
        query: dict[str, str] = {}
        if disposition is not None:
            parameters["ResponseContentDisposition"] = disposition
            query["response-content-disposition"] = disposition
        expected = theirs.generate_presigned_url(
            "get_object", Params={"Bucket": "b", "Key": key, **parameters}, ExpiresIn=lifetime
        )
        assert ours.sign("GET", f"/b/{key}", query=query, at=AT, lifetime=lifetime) == expected


@pytest.mark.parametrize(("endpoint", "region"), ENDPOINTS)
def test_hosts_with_default_and_other_ports_are_byte_equal(endpoint: str, region: str) -> None:
    expected = botocore_client(endpoint, region).generate_presigned_url(
        "head_object", Params={"Bucket": "b", "Key": "k"}, ExpiresIn=60
    )
    assert presigner(endpoint, region).sign("HEAD", "/b/k", at=AT, lifetime=60) == expected


def test_the_same_time_gives_the_same_url_and_the_next_day_another_key() -> None:
    signer = presigner(*ENDPOINTS[0])

    def signed(at: datetime) -> str:
        return signer.sign("GET", "/b/k", at=at, lifetime=60)

    first = signed(AT)
    tomorrow = signed(AT + timedelta(days=1))
    assert signed(AT) == first
    assert tomorrow == presigner(*ENDPOINTS[0]).sign(
        "GET", "/b/k", at=AT + timedelta(days=1), lifetime=60
    )
    assert signature(tomorrow) != signature(first)


def test_a_fraction_of_a_second_is_cut_and_the_zone_is_utc() -> None:
    signer = presigner(*ENDPOINTS[0])
    later = (AT + timedelta(milliseconds=999)).astimezone(timezone(timedelta(hours=-7)))

    assert signer.sign("GET", "/b/k", at=later, lifetime=60) == signer.sign(
        "GET", "/b/k", at=AT, lifetime=60
    )


@pytest.mark.parametrize("lifetime", [0, -1, 604_801])
def test_a_lifetime_that_s3_refuses_is_refused(lifetime: int) -> None:
    with pytest.raises(ValueError, match="604800"):
        presigner(*ENDPOINTS[0]).sign("GET", "/b/k", at=AT, lifetime=lifetime)


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="zone"):
        presigner(*ENDPOINTS[0]).sign("GET", "/b/k", at=AT.replace(tzinfo=None), lifetime=60)


def signature(url: str) -> str:
    return parse_qs(urlsplit(url).query)["X-Amz-Signature"][0]

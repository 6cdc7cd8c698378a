"""A picture on its way to everybody and out of every cache, through a running `./dev up`."""

import time

import httpx
import pytest

from tests.kit.person import Person
from tests.kit.samples import sample
from tests.kit.up import SECONDS, Up, wait_until

pytestmark = pytest.mark.timeout(300)

KIND = "image/jpeg"
OG = "og_1200x630"


def followed(anybody: httpx.Client, url: str) -> httpx.Response:
    """What a browser gets in the end; a variant is asked for again while it is made."""
    deadline = time.monotonic() + SECONDS
    while (answer := anybody.get(url, follow_redirects=True)).status_code == 409:
        assert time.monotonic() < deadline
    return answer


def test_a_picture_is_delivered_to_anybody_and_after_its_delete_to_nobody(up: Up) -> None:
    with Person(up.run, "ls_delivery") as person, httpx.Client(timeout=SECONDS) as anybody:
        presigned = person.presign("hero.jpg", KIND).json()
        person.put(presigned, KIND)
        assert person.complete(presigned).status_code == 200
        media_id, key, direct = presigned["mediaId"], presigned["key"], presigned["publicUrl"]
        api = up.run["api"]
        stable = [f"{api}/cdn/{key}", f"{api}/m/{media_id}"]
        wait_until(lambda: anybody.get(stable[1]).status_code == 302)
        for url in stable:
            assert followed(anybody, url).content == sample(KIND)
        pictures = set()
        for url in stable:
            served = followed(anybody, f"{url}?variant={OG}")
            assert served.status_code == 200
            assert served.headers["content-type"] == "image/jpeg"
            assert served.headers["cache-control"] == "public, max-age=31536000, immutable"
            pictures.add(str(served.url))
        (picture,) = pictures
        # As a CDN does, the edge has kept them by now.
        assert anybody.get(direct).headers["cf-cache-status"] == "HIT"
        assert anybody.get(picture).headers["cf-cache-status"] == "HIT"

        deleted = person.delete(media_id, key=media_id)
        assert deleted.status_code == 200
        for url in (*stable, f"{stable[0]}?variant={OG}", direct, picture):
            wait_until(lambda url=url: anybody.get(url).status_code == 404)  # type: ignore[misc]

        def purged() -> set[str]:
            history = person.seen(f"/files/{media_id}/history", deleted).json()["items"]
            told = [one["data"]["urls"] for one in history if "cache_purged" in one["type"]]
            return {url for urls in told for url in urls}

        presets = ("thumb_200", OG, "avatar_96")
        wait_until(
            lambda: (
                purged()
                >= {direct, picture, *stable}
                | {f"{url}?variant={name}" for url in stable for name in presets}
            )
        )

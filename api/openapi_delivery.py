"""What the delivery routes, signed URLs and cache purges do not say themselves."""

from collections.abc import Mapping, Sequence

from api.errors import Crash
from api.openapi_described import Described, Refusal
from api.openapi_examples import PURGE_QUEUED, SIGN, SIGNED
from api.signed_urls import RequestSignedUrl, SignedUrl
from application.cache_purge import CachePurgeQueued
from domain import errors

OF_A_VARIANT: Sequence[Refusal] = (
    errors.NoRendition,
    errors.RenditionPending,
    errors.RenditionUnavailable,
)
POINTING = Described(
    answers={302: (None, None)},
    answer_headers={
        "cache-control": {
            "description": "How long caches may keep this answer.",
            "required": True,
            "schema": {"type": "string", "pattern": "^public, max-age=[0-9]+$"},
        }
    },
    query={
        "variant": {
            "type": "string",
            "pattern": "^[a-z0-9_]+$",
            "description": "A preset, as `variants` of the file names them; the format follows "
            "from `Accept`. Made when it is first asked for.",
            "example": "thumb_200",
        }
    },
    refusals=(
        errors.InvalidField,
        errors.MediaNotFound,
        *OF_A_VARIANT,
        errors.DatabaseUnavailable,
        Crash,
    ),
)

DELIVERY: Mapping[str, Described] = {
    "media.files.signed_url": Described(
        body=RequestSignedUrl,
        asked=SIGN,
        body_required=False,
        answers={200: (SignedUrl, SIGNED)},
        refusals=(errors.MediaNotFound, *OF_A_VARIANT),
    ),
    "media.files.purge_cache": Described(
        answers={202: (CachePurgeQueued, PURGE_QUEUED)},
        refusals=(errors.MediaNotFound, errors.OwnershipDenied),
    ),
    "media.delivery.key": POINTING,
    "media.delivery.link": POINTING,
}

"""The shape of what is said of one operation, for `openapi_routes.py` and its parts."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from domain.errors import MediaError

Schema = dict[str, Any]
Refusal = type[MediaError]


class Described(msgspec.Struct, frozen=True, kw_only=True):
    """One operation."""

    answers: Mapping[int, tuple[type | None, object]]
    """By status: the struct of the body, and an example of it."""
    body: type | None = None
    asked: object = None
    """An example of the body."""
    body_required: bool = True
    """False where every field has its default, and no body says that each is to have it."""
    query: Mapping[str, Schema] = msgspec.field(default_factory=dict)
    headers: Mapping[str, Schema] = msgspec.field(default_factory=dict)
    answer_headers: Mapping[str, Schema] = msgspec.field(default_factory=dict)
    """Of a success, beside those every answer has."""
    refusals: Sequence[Refusal] = ()
    """Beside those that follow from what kind of route it is."""

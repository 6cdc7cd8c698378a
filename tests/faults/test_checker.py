"""The checker can see: a good run is good, and each thing that must not be turns one name red."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from tests.faults.checker import INVARIANTS, violations
from tests.faults.evidence import Evidence, Fact, Stored, Told, Work
from tests.faults.history import Entry, Kind
from tests.faults.red import PROOFS

A, B = "ls_a", "ls_b"
NOW = datetime(2026, 4, 29, 10, tzinfo=UTC)


class Story:
    """A run in which all went well: two files of one workspace, one deleted; one of another."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.facts: list[Fact] = []
        self.objects: list[Stored] = []
        self._position = 100
        self._at = 0.0
        self._ops = 0

    def op(self, tenant: str, f: str, result: dict[str, Any], **args: Any) -> str:
        """An operation that went well at its first attempt."""
        self._ops += 1
        op = f"{tenant}.{self._ops}"
        self._line(tenant, op, "invoke", f, args=args)
        self._line(tenant, op, "attempt", f, status=200, seconds=0.01, request_id=f"{op}.1")
        self._line(tenant, op, "ok", f, args=args, status=200, result=result)
        return op

    def _line(self, tenant: str, op: str, kind: Kind, f: str, **fields: Any) -> None:
        self._at += 1
        self.entries.append(
            Entry(at=self._at, client=tenant, tenant=tenant, op=op, kind=kind, f=f, **fields)
        )

    def fact(self, tenant: str, stream: str, name: str, op: str, **data: Any) -> int:
        """A fact that an operation led to."""
        self._position += 10
        version = 1 + sum(fact.stream == stream for fact in self.facts)
        kind = f"media_file.{name}.v1"
        self.facts.append(
            Fact(
                self._position,
                version,
                stream,
                kind,
                f"t:{tenant}",
                "user:u",
                f"{op}.1",
                data,
            )
        )
        return self._position

    def upload(self, tenant: str, stream: str) -> int:
        """A whole upload; where it was completed."""
        name, key = f"{stream}.png", f"{tenant}/blog/{stream}.png"
        next_op = f"{tenant}.{self._ops + 1}"
        at = self.fact(
            tenant, stream, "upload_requested", next_op, file_name=name, key=key, is_public=True
        )
        result = {"body": {"mediaId": stream}, "position": str(at)}
        self.op(tenant, "presign", result, fileName=name, sha="s")
        next_op = f"{tenant}.{self._ops + 1}"
        at = self.fact(tenant, stream, "upload_completed", next_op, file_name=name, file_size=9)
        result = {"body": {"id": stream}, "position": str(at)}
        self.op(tenant, "complete", result, mediaId=stream)
        self.objects.append(Stored("public", key, 9, "s"))
        return at

    def delete(self, tenant: str, stream: str) -> int:
        """A delete, and its purge."""
        next_op = f"{tenant}.{self._ops + 1}"
        at = self.fact(tenant, stream, "file_deleted", next_op)
        result = {"body": {"id": stream, "deleted": True}, "position": str(at)}
        self.op(tenant, "delete", result, mediaId=stream)
        self.objects = [one for one in self.objects if stream not in one.key]
        return at


@pytest.fixture(scope="module")
def good() -> Evidence:
    story = Story()
    first = story.upload(A, "media_1")
    story.op(
        A,
        "look",
        {"found": True, "position": str(first)},
        mediaId="media_1",
        wanted=str(first),
        state="uploaded",
    )
    story.op(A, "walk", {"ids": ["media_1"], "first": str(first)}, wanted=str(first))
    story.upload(A, "media_2")
    gone = story.delete(A, "media_2")
    story.op(
        A,
        "look",
        {"found": False, "position": str(gone)},
        mediaId="media_2",
        wanted=str(gone),
        state="deleted",
    )
    story.upload(B, "media_3")
    positions = [fact.position for fact in story.facts]
    told = [
        Told(f"{fact.stream}.{fact.version}", kind, fact.stream, fact.owner.removeprefix("t:"))
        for fact in story.facts
        for name, kind in (
            ("upload_completed", "media.uploaded"),
            ("file_deleted", "media.deleted"),
        )
        if fact.name == name
    ]
    return Evidence(
        tenants=[A, B],
        entries=story.entries,
        facts=story.facts,
        order=positions,
        tail=positions,
        differences={"file_list": []},
        library={A: ["media_1"], B: ["media_3"]},
        stats={one: {"totalFiles": 1, "totalBytes": 9} for one in (A, B)},
        objects=story.objects,
        reachable={"ls_a/blog/media_1.png": 200, "ls_a/blog/media_2.png": 404},
        work=[Work("media_2", "purge", datetime(2030, 1, 1, tzinfo=UTC), None)],
        journal=told,
        hooks=[one for one in told if one.tenant == A],
        hooked=A,
        hooked_from=0,
        api_dies=False,
        recovered="",
        taken_at=NOW,
    )


def test_a_good_run_is_good(good: Evidence) -> None:
    assert violations(good) == []


def names(evidence: Evidence) -> set[str]:
    return {found.invariant for found in violations(evidence)}


def without(sequence: Any, wanted: Callable[[Any], bool]) -> list[Any]:
    return [one for one in sequence if not wanted(one)]


def changed(sequence: Any, wanted: Callable[[Any], bool], **fields: Any) -> list[Any]:
    return [msgspec.structs.replace(one, **fields) if wanted(one) else one for one in sequence]


def a_fact(**fields: Any) -> Fact:
    made: dict[str, Any] = {"position": 900, "version": 4, "stream": "media_1", "owner": "t:ls_a"}
    made |= {"type": "media_file.x.v1", "actor": "user:u", "correlation_id": "ls_a.1.1", "data": {}}
    return Fact(**(made | fields))


def is_ended(f: str, kind: str = "ok") -> Callable[[Entry], bool]:
    return lambda entry: entry.f == f and entry.kind == kind


def tampered(evidence: Evidence, **fields: Any) -> Evidence:
    return msgspec.structs.replace(copy.deepcopy(evidence), **fields)


TAMPERINGS: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "a completed upload is missing in the log": (
        "acknowledged is kept",
        lambda e: tampered(e, facts=without(e.facts, lambda f: f.name == "upload_completed")),
    ),
    "a delete is missing in the log": (
        "acknowledged is kept",
        lambda e: tampered(e, facts=without(e.facts, lambda f: f.name == "file_deleted")),
    ),
    "one presign is two files": (
        "nothing twice",
        lambda e: tampered(
            e,
            facts=[
                *e.facts,
                a_fact(
                    stream="media_9",
                    version=1,
                    type="media_file.upload_requested.v1",
                    data={"file_name": "media_1.png", "key": "ls_a/9.png", "is_public": True},
                ),
            ],
        ),
    ),
    "a file is completed twice": (
        "nothing twice",
        lambda e: tampered(
            e,
            facts=[*e.facts, a_fact(version=3, type="media_file.upload_completed.v1")],
        ),
    ),
    "a refused delete has happened": (
        "refused did not happen",
        lambda e: tampered(
            e, entries=changed(e.entries, is_ended("delete"), kind="fail", status=404)
        ),
    ),
    "something happened that nobody asked for": (
        "refused did not happen",
        lambda e: tampered(
            e,
            facts=changed(e.facts, lambda f: f.name == "file_deleted", correlation_id="nobody.1.1"),
        ),
    ),
    "a version is missing": (
        "streams are whole",
        lambda e: tampered(
            e, facts=changed(e.facts, lambda f: f.name == "file_deleted", version=4)
        ),
    ),
    "a deleted file is completed": (
        "streams are whole",
        lambda e: tampered(
            e,
            facts=[
                *e.facts,
                a_fact(stream="media_2", type="media_file.upload_completed.v1"),
            ],
        ),
    ),
    "an event appears behind the reader": (
        "one order",
        lambda e: tampered(e, order=sorted([*e.order, e.order[0] + 1])),
    ),
    "the reader read what is not there": (
        "one order",
        lambda e: tampered(e, tail=sorted([*e.tail, e.tail[0] + 1])),
    ),
    "a row differs from the replay": (
        "read models equal a replay",
        lambda e: tampered(e, differences={"file_list": ["(row)"]}),
    ),
    "the API misses a file": (
        "read models equal a replay",
        lambda e: tampered(e, library=dict(e.library) | {A: []}),
    ),
    "the counters are wrong": (
        "read models equal a replay",
        lambda e: tampered(e, stats=dict(e.stats) | {A: {"totalFiles": 1, "totalBytes": 8}}),
    ),
    "a file is not found by who completed it": (
        "read your writes",
        lambda e: tampered(
            e,
            entries=changed(
                e.entries,
                lambda x: is_ended("look")(x) and x.args["state"] == "uploaded",
                result={"found": False, "position": "999"},
            ),
        ),
    ),
    "a deleted file is shown to who deleted it": (
        "read your writes",
        lambda e: tampered(
            e,
            entries=changed(
                e.entries,
                lambda x: is_ended("look")(x) and x.args["state"] == "deleted",
                result={"found": True, "position": "999"},
            ),
        ),
    ),
    "a page did not wait": (
        "read your writes",
        lambda e: tampered(
            e,
            entries=changed(e.entries, is_ended("walk"), result={"ids": [], "first": "1"}),
        ),
    ),
    "a file is on two pages": (
        "pages are stable",
        lambda e: tampered(
            e,
            entries=changed(
                e.entries,
                is_ended("walk"),
                result={"ids": ["media_1", "media_1"], "first": "120"},
            ),
        ),
    ),
    "a file is skipped": (
        "pages are stable",
        lambda e: tampered(
            e,
            entries=changed(e.entries, is_ended("walk"), result={"ids": [], "first": "120"}),
        ),
    ),
    "a foreign file is shown": (
        "workspaces are apart",
        lambda e: tampered(
            e,
            entries=changed(
                e.entries,
                is_ended("walk"),
                result={"ids": ["media_1", "media_3"], "first": "120"},
            ),
        ),
    ),
    "a foreign file is written": (
        "workspaces are apart",
        lambda e: tampered(
            e, facts=changed(e.facts, lambda f: f.stream == "media_1", owner="t:ls_b")
        ),
    ),
    "a webhook is told of another workspace": (
        "workspaces are apart",
        lambda e: tampered(e, hooks=list(e.journal)),
    ),
    "an object is missing": (
        "objects match files",
        lambda e: tampered(e, objects=[]),
    ),
    "an object has other bytes": (
        "objects match files",
        lambda e: tampered(e, objects=changed(e.objects, lambda _: True, sha="other")),
    ),
    "a deleted file's object is still there": (
        "objects match files",
        lambda e: tampered(
            e, objects=[*e.objects, Stored("public", "ls_a/blog/media_2.png", 9, "s")]
        ),
    ),
    "a deleted file is still served": (
        "objects match files",
        lambda e: tampered(e, reachable=dict(e.reachable) | {"ls_a/blog/media_2.png": 200}),
    ),
    "a deleted file's rendition is still there": (
        "objects match files",
        lambda e: tampered(
            e,
            objects=[*e.objects, Stored("public", "ls_a/blog/media_2/thumb_200.r1.webp", 9, "s")],
        ),
    ),
    "an object is nobody's": (
        "objects match files",
        lambda e: tampered(e, objects=[*e.objects, Stored("private", "ls_a/blog/x.png", 9, "s")]),
    ),
    "work is not done": (
        "every job ends",
        lambda e: tampered(e, work=[Work("media_1", "fetch", None, None)]),
    ),
    "a purge needs an operator": (
        "every job ends",
        lambda e: tampered(e, work=[Work("media_1", "purge", None, "it failed")]),
    ),
    "an error has no envelope": (
        "errors keep shape and deadline",
        lambda e: tampered(
            e,
            entries=changed(
                e.entries, is_ended("walk", "attempt"), status=500, error="no envelope"
            ),
        ),
    ),
    "a request crashed": (
        "errors keep shape and deadline",
        lambda e: tampered(
            e,
            entries=changed(
                e.entries, is_ended("walk", "attempt"), status=500, code="INTERNAL_ERROR"
            ),
        ),
    ),
    "an answer comes too late": (
        "errors keep shape and deadline",
        lambda e: tampered(
            e, entries=changed(e.entries, is_ended("walk", "attempt"), seconds=30.0)
        ),
    ),
    "no answer comes although nothing died": (
        "errors keep shape and deadline",
        lambda e: tampered(
            e,
            entries=changed(e.entries, is_ended("walk", "attempt"), status=0, error="ConnectError"),
        ),
    ),
    "it did not recover": (
        "recovery needs no hand",
        lambda e: tampered(e, recovered="after 120 s without a hand: a follower is behind"),
    ),
    "a command is never answered": (
        "recovery needs no hand",
        lambda e: tampered(e, entries=changed(e.entries, is_ended("complete"), kind="info")),
    ),
    "a subscriber misses an event": (
        "subscribers are told once",
        lambda e: tampered(e, journal=e.journal[1:]),
    ),
    "a webhook is told twice": (
        "subscribers are told once",
        lambda e: tampered(e, hooks=[*e.hooks, e.hooks[-1]]),
    ),
    "a subscriber is told in the wrong order": (
        "subscribers are told once",
        lambda e: tampered(e, journal=list(reversed(e.journal))),
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_what_must_not_be_turns_its_invariant_red(good: Evidence, name: str) -> None:
    invariant, tamper = TAMPERINGS[name]
    assert invariant in names(tamper(good))


def test_every_invariant_is_proven_both_ways() -> None:
    assert {invariant for invariant, _ in TAMPERINGS.values()} == set(INVARIANTS)
    assert {proof.invariant for proof in PROOFS} == set(INVARIANTS)

"""Decides from the evidence alone whether what must never happen has happened. Pure."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

import msgspec

from tests.faults.clients import DEADLINE, DEADLINES
from tests.faults.evidence import Evidence, Fact, Stored, Told
from tests.faults.history import Entry
from tests.faults.life import ENDINGS, ONCE, Life, lives

WAIT_SECONDS = 1.9
"""A read that took so long may have given up waiting for its position (2 s, api.md)."""
KNOWN_5XX = frozenset({"DB_ERROR", "R2_UNAVAILABLE", "SOURCE_UNAVAILABLE"})
WORK_GRACE = timedelta(seconds=20)
"""How late the last pass of a purge may be."""
EFFECTLESS = frozenset({"upload_rejected", "verification_deferred", "ingest_failed"})
"""What a refused command may record all the same: why."""


COMMANDS = ("presign", "ingest", "complete", "delete", "bulk_delete", "restore")


class Violation(msgspec.Struct, frozen=True):
    """Something that must never happen, and what shows it."""

    invariant: str
    what: str


class Case:
    """The evidence, and what every invariant wants to know of it."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.entries = evidence.entries
        self.lives = lives(evidence.facts)
        self.by_correlation: dict[str, list[Fact]] = defaultdict(list)
        for fact in evidence.facts:
            self.by_correlation[fact.correlation_id].append(fact)
        self.by_name: dict[str, list[Life]] = defaultdict(list)
        for life in self.lives.values():
            self.by_name[life.file_name].append(life)
        self.attempts: dict[str, list[Entry]] = defaultdict(list)
        self.asked: dict[str, float] = {}
        """When a delete of a file was first asked for, by id."""
        self.restored: dict[str, float] = {}
        """When a restore of it was first asked for."""
        self.begun: dict[str, float] = {}
        """When a file could first become one: its presign or ingest was asked for, by name."""
        for entry in self.entries:
            if entry.kind == "attempt":
                self.attempts[entry.op].append(entry)
            if entry.kind == "invoke" and entry.f in {"delete", "bulk_delete"}:
                for media_id in entry.args.get("ids", [entry.args.get("mediaId")]):
                    self.asked.setdefault(str(media_id), entry.at)
            if entry.kind == "invoke" and entry.f == "restore":
                self.restored.setdefault(str(entry.args["mediaId"]), entry.at)
            if entry.kind == "invoke" and entry.f in {"presign", "ingest"}:
                self.begun[str(entry.args.get("fileName"))] = entry.at

    def ended(self, kind: str, *fs: str) -> Iterator[Entry]:
        """The operations that ended so."""
        return (one for one in self.entries if one.kind == kind and one.f in fs)

    def invoked_at(self, op: str) -> float:
        """When it began."""
        return next(one.at for one in self.entries if one.op == op and one.kind == "invoke")


def acknowledged(case: Case) -> Iterator[str]:
    """No acknowledged command is lost: its fact is in the log, where the answer says."""
    for entry in case.ended("ok", *COMMANDS):
        body, position = entry.result["body"], int(entry.result["position"])
        if entry.f == "bulk_delete":
            wanted = [(media_id, ENDINGS) for media_id in body["deleted"]]
        elif entry.f == "delete":
            wanted = [(body["id"], ENDINGS)]
        elif entry.f == "restore":
            wanted = [(body["id"], frozenset({"file_restored"}))]
        elif entry.f == "presign":
            wanted = [(body["mediaId"], frozenset({"upload_requested"}))]
        elif entry.status == 202:
            wanted = [(body["mediaId"], frozenset({"ingest_requested", "upload_requested"}))]
        else:
            wanted = [(body["id"], frozenset({"upload_completed"}))]
        for media_id, names in wanted:
            life = case.lives.get(media_id)
            at = life.at(*names) if life else 0
            if not at:
                yield f"{entry.op} {entry.f} of {media_id} was acknowledged and is not in the log"
            elif position and position < at:
                yield f"{entry.op} {entry.f}: {media_id} stands at {at}, answered {position}"


def once(case: Case) -> Iterator[str]:
    """Nothing happens twice, however often it was asked for."""
    for name, found in case.by_name.items():
        if name and len(found) > 1:
            yield f"{name} was asked for once and is {len(found)} files"
    for life in case.lives.values():
        counted = Counter(fact.name for fact in life.facts)
        for name, count in counted.items():
            if name in ONCE and count > 1:
                yield f"{life.stream} has {count} {name}"
        if life.deletions > 1:
            yield f"{life.stream} is deleted {life.deletions} times"


def failed(case: Case) -> Iterator[str]:
    """Nothing that was refused has happened, and nothing that nobody asked for."""
    ops = {one.op for one in case.entries if one.kind == "invoke"}
    for entry in case.ended("fail", *COMMANDS):
        for attempt in case.attempts[entry.op]:
            for fact in case.by_correlation[attempt.request_id]:
                if fact.name not in EFFECTLESS and not _of_ingest(entry, fact):
                    yield f"{entry.op} {entry.f} was refused ({entry.code}), yet {fact.name}"
    for entry in case.ended("ok", "bulk_delete"):
        refused = {one["id"] for one in entry.result["body"]["failed"]}
        for attempt in case.attempts[entry.op]:
            for fact in case.by_correlation[attempt.request_id]:
                if fact.stream in refused:
                    yield f"{entry.op}: {fact.stream} was refused, yet {fact.name}"
    for fact in case.evidence.facts:
        op = fact.correlation_id.rpartition(".")[0]
        if fact.actor.startswith("user:") and fact.type.startswith("media_file.") and op not in ops:
            yield f"{fact.stream} {fact.name} by {fact.actor}, which nobody asked for"


def _of_ingest(entry: Entry, fact: Fact) -> bool:
    """An ingest that is refused in the end was recorded at its beginning.

    Where uploads live four seconds, one that is late for its request may be in time for a worker
    that began before: the refusal is of the clock, not of the log (docs/adr/0025).
    """
    if entry.f != "ingest":
        return False
    return fact.name != "upload_completed" or entry.code == "UPLOAD_EXPIRED"


def whole(case: Case) -> Iterator[str]:
    """Streams are whole: versions without gaps, legal transitions only."""
    for life in case.lives.values():
        if life.wrong:
            yield f"{life.stream}: {life.wrong}"


def one_order(case: Case) -> Iterator[str]:
    """One order for all readers: nothing appears behind a position already read."""
    tail = list(case.evidence.tail)
    if tail != sorted(set(tail)):
        yield "the tailing reader read a position twice or backwards"
    last = tail[-1] if tail else 0
    there = {position for position in case.evidence.order if position <= last}
    missed, ghosts = sorted(there - set(tail)), sorted(set(tail) - there)
    if missed:
        yield f"{len(missed)} events came behind a position already read, such as {missed[0]}"
    if ghosts:
        yield f"{len(ghosts)} events were read and are gone, such as {ghosts[0]}"


def replayed(case: Case) -> Iterator[str]:
    """Read models equal a replay, and the API shows what the log says."""
    for name, rows in case.evidence.differences.items():
        if rows:
            yield f"{name}: {len(rows)} rows or more differ, such as {rows[0][:300]}"
    for tenant, listed in case.evidence.library.items():
        owned = [life for life in case.lives.values() if life.owner == f"t:{tenant}"]
        uploaded = {life.stream for life in owned if life.state == "uploaded"}
        if len(listed) != len(set(listed)):
            yield f"{tenant}: a file is listed twice"
        if set(listed) != uploaded:
            lost, extra_ids = uploaded - set(listed), set(listed) - uploaded
            yield f"{tenant}: the API misses {sorted(lost)[:3]} and shows {sorted(extra_ids)[:3]}"
        size = sum(
            int(fact.data["file_size"])
            for life in owned
            if life.state == "uploaded" and (fact := life.fact("upload_completed"))
        )
        stats = case.evidence.stats[tenant]
        if (stats["totalFiles"], stats["totalBytes"]) != (len(uploaded), size):
            counted = stats["totalFiles"], stats["totalBytes"]
            yield f"{tenant}: counted {counted}, the log says {(len(uploaded), size)}"


def own_writes(case: Case) -> Iterator[str]:
    """Whoever sends back the position of a write sees it."""
    for entry in case.ended("ok", "look"):
        wanted, reached = int(entry.args["wanted"]), int(entry.result["position"])
        waited = max(one.seconds for one in case.attempts[entry.op]) >= WAIT_SECONDS
        found = entry.result["found"]
        if waited and reached < wanted:
            continue
        if entry.args["state"] == "uploaded" and not found:
            yield f"{entry.op}: {entry.args['mediaId']} was uploaded at {wanted} and is not found"
        if entry.args["state"] == "deleted" and found:
            yield f"{entry.op}: {entry.args['mediaId']} was deleted at {wanted} and is shown"
    for entry in case.ended("ok", "walk"):
        wanted, reached = int(entry.args["wanted"]), int(entry.result["first"])
        first = case.attempts[entry.op][0]
        if reached < wanted and first.seconds < WAIT_SECONDS:
            took = f"after {first.seconds:.2f} s"
            yield f"{entry.op}: asked for {wanted}, answered at {reached} {took}"


def stable_pages(case: Case) -> Iterator[str]:
    """Pages show nothing twice, and skip nothing that was there throughout."""
    for entry in case.ended("ok", "walk"):
        ids, first = entry.result["ids"], int(entry.result["first"])
        began = case.invoked_at(entry.op)
        if len(ids) != len(set(ids)):
            twice = [one for one, count in Counter(ids).items() if count > 1]
            yield f"{entry.op}: {twice[:3]} on two pages"
        shown = set(ids)
        for life in case.lives.values():
            if life.owner != f"t:{entry.tenant}":
                continue
            completed = life.at("upload_completed")
            stays = case.asked.get(life.stream, entry.at) >= entry.at
            if completed and completed <= first and stays and life.stream not in shown:
                yield f"{entry.op}: {life.stream} was there throughout, and was skipped"
            deleted = life.last("file_deleted")
            back = life.at("file_restored") or case.restored.get(life.stream, entry.at) < entry.at
            if deleted and deleted <= first and not back and life.stream in shown:
                yield f"{entry.op}: {life.stream} was deleted at {deleted}, shown at {first}"
            if case.begun.get(life.file_name, began) > entry.at and life.stream in shown:
                yield f"{entry.op}: {life.stream} is shown before it was asked for"


def apart(case: Case) -> Iterator[str]:
    """Workspaces are apart: nobody sees, or changes, another one's files."""
    owners = {life.stream: life.owner for life in case.lives.values()}
    for entry in case.ended("ok", "walk"):
        for media_id in entry.result["ids"]:
            if owners.get(media_id, f"t:{entry.tenant}") != f"t:{entry.tenant}":
                yield f"{entry.op}: {entry.tenant} is shown {media_id}"
    for entry in case.ended("ok", "peek", "steal"):
        yield f"{entry.op}: {entry.tenant} got at {entry.args['mediaId']}"
    for fact in case.evidence.facts:
        op = fact.correlation_id.rpartition(".")[0]
        tenant = next((one.tenant for one in case.attempts[op]), "")
        if fact.actor.startswith("user:") and tenant and fact.owner != f"t:{tenant}":
            yield f"{op}: {tenant} wrote {fact.name} of {fact.owner}"
    for life in case.lives.values():
        if life.key and not life.key.startswith(f"{life.owner.removeprefix('t:')}/"):
            yield f"{life.stream} of {life.owner} stands under {life.key}"
    for told in case.evidence.hooks:
        if case.evidence.hooked and told.tenant != case.evidence.hooked:
            yield f"the webhook of {case.evidence.hooked} was told of {told.subject}"


def stored(case: Case) -> Iterator[str]:
    """Objects match files: each stands where it belongs, and deleted means gone."""
    shas = {
        str(entry.args["fileName"]): entry.args.get("sha")
        for entry in case.ended("invoke", "presign", "ingest")
    }
    there = {(one.bucket, one.key): one for one in case.evidence.objects}
    for life in case.lives.values():
        if not life.key:
            continue
        yield from _placed(life, there, shas.get(life.file_name))
        wanted = {"uploaded": 200, "binned": 404, "ended": 404, "purged": 404}.get(life.state)
        served = case.evidence.reachable.get(life.key)
        if served is not None and wanted is not None and life.is_public and served != wanted:
            yield f"{life.stream} is {life.state}, and the edge answers {served}"
    keys = {life.key for life in case.lives.values()}
    of = files_by_stem(case.lives.values())
    for one in case.evidence.objects:
        life_of = of.get(one.key.rpartition("/")[0])
        if one.bucket != "incoming" and one.key not in keys and life_of is None:
            yield f"{one.bucket} holds {one.key}, of which the log knows nothing"
        if life_of is not None and life_of.state != "uploaded":
            yield f"{life_of.stream} is {life_of.state}, and {one.bucket} holds {one.key}"


def files_by_stem(known: Iterable[Life]) -> dict[str, Life]:
    """Files by what the keys of their renditions begin with."""
    return {life.key.rpartition(".")[0]: life for life in known if life.key}


def _placed(life: Life, there: Mapping[tuple[str, str], Stored], sha: str | None) -> Iterator[str]:
    home, other = ("public", "private") if life.is_public else ("private", "public")
    found = there.get((home, life.key))
    if life.state == "uploaded":
        completed = life.fact("upload_completed")
        size = completed.data["file_size"] if completed else 0
        if found is None:
            yield f"{life.stream} is uploaded, and {home} has no object"
        elif found.size != size:
            yield f"{life.stream} has {size} bytes, its object {found.size}"
        elif sha is not None and found.sha != sha:
            yield f"{life.stream} has other bytes than were sent"
    # What was in the bin or private once may keep its private copy until it is purged.
    if (
        (other, life.key) in there
        and life.state != "binned"
        and not (life.is_public and life.moved)
    ):
        yield f"{life.stream} stands in {other}, where it does not belong"
    if life.state == "binned" and ("public", life.key) in there:
        yield f"{life.stream} is in the bin, and public still has it"
    if life.state == "binned" and ("private", life.key) not in there:
        yield f"{life.stream} is in the bin, and its bytes are gone"
    gone = life.state in {"ended", "purged"}
    if gone and {("public", life.key), ("private", life.key)} & there.keys():
        yield f"{life.stream} is over, and {home} still has it"
    if life.state == "purged" and ("incoming", life.key) in there:
        yield f"{life.stream} was purged, and incoming still has it"


def jobs_end(case: Case) -> Iterator[str]:
    """Every job comes to its end, a good one: what it is for is in the log.

    How often one was given up and asked for again on the way is nobody's business.
    """
    now = case.evidence.taken_at
    for work in case.evidence.work:
        if work.failure is not None:
            yield f"{work.kind} of {work.stream} failed for good: {work.failure}"
        elif work.not_before is None or work.not_before < now - WORK_GRACE:
            yield f"{work.kind} of {work.stream} is not done"
    for fact in case.evidence.facts:
        if fact.name == "purge_failed":
            yield f"{fact.stream}: {fact.data.get('error')}"
        # Where an upload lives four seconds, some come too late.
        if fact.name == "ingest_failed" and fact.data["code"] != "UPLOAD_EXPIRED":
            yield f"{fact.stream}: the ingest failed: {fact.data.get('detail')}"


def well_shaped(case: Case) -> Iterator[str]:
    """Errors keep their shape, their code and their deadline."""
    for entry in case.entries:
        if entry.kind != "attempt" or entry.f == "put":
            continue
        limit = DEADLINES.get(entry.f, DEADLINE)
        if entry.seconds > limit:
            yield f"{entry.request_id} {entry.f} took {entry.seconds:.1f} s, at most {limit:.0f}"
        if entry.status and entry.error:
            yield f"{entry.request_id} {entry.f}: {entry.error} ({entry.status})"
        if entry.error and not entry.status and not case.evidence.api_dies:
            yield f"{entry.request_id} {entry.f} got no answer: {entry.error}"
        if entry.status >= 500 and entry.code not in KNOWN_5XX:
            yield f"{entry.request_id} {entry.f}: {entry.status} {entry.code}"


def no_hand(case: Case) -> Iterator[str]:
    """It recovers by itself: nothing but a restart of what was killed."""
    if case.evidence.recovered:
        yield case.evidence.recovered
    for entry in case.entries:
        if entry.kind == "info" and entry.f in {"presign", "complete", "bulk_delete"}:
            later = [one for one in case.entries if one.op == entry.op and one.at > entry.at]
            if not any(one.kind in {"ok", "fail"} for one in later):
                yield f"{entry.op} {entry.f} has no answer even after all was well again"


ANNOUNCED = {"upload_completed": "media.uploaded", "file_deleted": "media.deleted"}


def subscribers(case: Case) -> Iterator[str]:
    """Subscribers and webhooks are told of everything, in order, each message once."""
    streams = set(case.lives)
    due = _announcements(case.evidence.facts)
    heard = [told for told in case.evidence.journal if told.subject in streams]
    yield from _told("the subscriber", due, heard)
    if case.evidence.hooked:
        owner = f"t:{case.evidence.hooked}"
        after = case.evidence.hooked_from
        facts = [f for f in case.evidence.facts if f.owner == owner and f.position > after]
        heard = [told for told in case.evidence.hooks if told.subject in streams]
        yield from _told("the webhook", _announcements(facts), heard)


def _announcements(facts: Iterable[Fact]) -> list[tuple[str, str, str]]:
    return [
        (f"{fact.stream}.{fact.version}", ANNOUNCED[fact.name], fact.stream)
        for fact in facts
        if fact.type.startswith("media_file.") and fact.name in ANNOUNCED
    ]


def _told(who: str, due: Sequence[tuple[str, str, str]], heard: Sequence[Told]) -> Iterator[str]:
    ids = [told.id for told in heard if told.type in ANNOUNCED.values()]
    if len(ids) != len(set(ids)):
        yield f"{who} took a message twice"
    wanted = {id_ for id_, _, _ in due}
    if missing := sorted(wanted - set(ids)):
        yield f"{who} was not told of {len(missing)}, such as {missing[0]}"
    if extra := sorted(set(ids) - wanted):
        yield f"{who} was told of {len(extra)} that are not in the log, such as {extra[0]}"
    last: dict[str, int] = {}
    for told in heard:
        version = int(told.id.rpartition(".")[2])
        if version < last.get(told.subject, 0):
            yield f"{who} was told of {told.subject} out of order"
        last[told.subject] = version


INVARIANTS: dict[str, Callable[[Case], Iterator[str]]] = {
    "acknowledged is kept": acknowledged,
    "nothing twice": once,
    "refused did not happen": failed,
    "streams are whole": whole,
    "one order": one_order,
    "read models equal a replay": replayed,
    "read your writes": own_writes,
    "pages are stable": stable_pages,
    "workspaces are apart": apart,
    "objects match files": stored,
    "every job ends": jobs_end,
    "errors keep shape and deadline": well_shaped,
    "recovery needs no hand": no_hand,
    "subscribers are told once": subscribers,
}


def violations(evidence: Evidence) -> list[Violation]:
    """Everything that is wrong; empty when all invariants hold."""
    case = Case(evidence)
    return [
        Violation(name, what) for name, invariant in INVARIANTS.items() for what in invariant(case)
    ]

"""The life of a file as the checker knows it: written down apart from the service's own code."""

from collections.abc import Iterable, Sequence

import msgspec

from tests.faults.evidence import Fact

LEGAL: dict[str, dict[str, str]] = {
    "": {"ingest_requested": "awaiting", "upload_requested": "pending"},
    "awaiting": {
        "upload_requested": "pending",
        "ingest_failed": "over",
        "ingest_cancelled": "over",
    },
    "pending": {
        "verification_deferred": "pending",
        "upload_completed": "uploaded",
        "upload_rejected": "ended",
        "upload_expired": "ended",
        "upload_cancelled": "ended",
    },
    "uploaded": {
        "file_deleted": "ended",
        "file_deleted into the bin": "binned",
        "visibility_changed": "uploaded",
    },
    "binned": {"file_restored": "uploaded", "file_purge_requested": "ended"},
    "ended": {"purge_failed": "ended", "purge_retried": "ended", "objects_purged": "purged"},
    "purged": {},
    "over": {},
}
"""By state: which facts may come, and what it is then."""

ABOUT_LIFE = frozenset(name for following in LEGAL.values() for name in following)
"""Other facts (what is in the bytes, what was made of them, where they stand) change no state."""

ONCE = frozenset(
    {
        "ingest_requested", "upload_requested", "verification_deferred", "upload_completed",
        "upload_rejected", "upload_expired", "upload_cancelled", "objects_purged",
        "ingest_failed", "ingest_cancelled", "file_purge_requested",
    }
)  # fmt: skip
ENDINGS = frozenset({"file_deleted", "upload_cancelled", "ingest_cancelled"})
"""What a delete leads to."""
VISIBILITY = frozenset({"upload_requested", "visibility_changed", "file_restored"})


class Life(msgspec.Struct):
    """One stream."""

    stream: str
    facts: list[Fact]
    state: str = ""
    wrong: str = ""
    """Why it cannot be."""

    def at(self, *names: str) -> int:
        """The position of the first such fact; 0 for none."""
        return next((fact.position for fact in self.facts if fact.name in names), 0)

    def last(self, name: str) -> int:
        """The position of the last such fact; 0 for none."""
        return max((fact.position for fact in self.facts if fact.name == name), default=0)

    def fact(self, name: str) -> Fact | None:
        """The first fact of this name."""
        return next((fact for fact in self.facts if fact.name == name), None)

    @property
    def owner(self) -> str:
        return self.facts[0].owner

    @property
    def key(self) -> str:
        """In the buckets; empty before it is known."""
        requested = self.fact("upload_requested")
        return str(requested.data["key"]) if requested else ""

    @property
    def is_public(self) -> bool:
        said = [fact.data["is_public"] for fact in self.facts if fact.name in VISIBILITY]
        return bool(said and said[-1])

    @property
    def moved(self) -> bool:
        """Whether its bytes have ever had to go to the other bucket."""
        return any(fact.name in {"file_restored", "visibility_changed"} for fact in self.facts)

    @property
    def deletions(self) -> int:
        """How often it was deleted more than it was brought back."""
        names = [fact.name for fact in self.facts]
        return names.count("file_deleted") - names.count("file_restored")

    @property
    def file_name(self) -> str:
        return str(self.facts[0].data.get("file_name") or "")


def lives(facts: Iterable[Fact]) -> dict[str, Life]:
    """The streams of files, each walked through to its end."""
    found: dict[str, Life] = {}
    for fact in facts:
        if fact.type.startswith("media_file."):
            found.setdefault(fact.stream, Life(fact.stream, [])).facts.append(fact)
    for life in found.values():
        _walk(life)
    return found


def _walk(life: Life) -> None:
    ordered: Sequence[Fact] = sorted(life.facts, key=lambda fact: fact.version)
    if [fact.version for fact in ordered] != list(range(1, len(ordered) + 1)):
        life.wrong = f"versions {[fact.version for fact in ordered]}"
    if [fact.position for fact in ordered] != sorted(fact.position for fact in ordered):
        life.wrong = "positions do not follow the versions"
    if len({fact.owner for fact in ordered}) != 1:
        life.wrong = "more than one owner"
    for fact in ordered:
        if life.state and fact.name not in ABOUT_LIFE:
            continue
        into_bin = fact.name == "file_deleted" and fact.data.get("bin_until")
        following = LEGAL[life.state].get(f"{fact.name} into the bin" if into_bin else fact.name)
        if following is None:
            life.wrong = life.wrong or f"{fact.name} after {life.state or 'nothing'}"
            return
        life.state = following

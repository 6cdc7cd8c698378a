"""What stands in the buckets is compared with the log: told, and mended on request.

Time goes by through the clock: what is young may be somebody's work under way.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from adapters.runtime import Runtime
from adapters.system import utc_now
from application.reconciliation import Reconciliation
from domain.media_file import MediaFile
from domain.object_key import media_id
from domain.reconciliation import GRACE, Finding, FindingKind
from tests.kit.library import Library

LATER = GRACE + timedelta(minutes=5)
FOREIGN = "somebody/elses.txt"


class Named:
    """A library of just these files."""

    def __init__(self, *files: MediaFile) -> None:
        self._ids = sorted(file.id for file in files)

    async def files(self, *, after: str) -> AsyncIterator[Sequence[str]]:
        ids = [one for one in self._ids if one > after]
        if ids:
            yield ids


def check(runtime: Runtime, *files: MediaFile) -> Reconciliation:
    return Reconciliation(
        runtime.media,
        runtime.objects,
        Named(*files),
        clock=lambda: utc_now() + LATER,
        bin_for=timedelta(days=30),
    )


async def found(reconciliation: Reconciliation, *files: MediaFile) -> list[Finding]:
    """What is found of these files; other tests have theirs in the same buckets."""
    ids = {file.id for file in files}
    findings: list[Finding] = []
    for bucket in ("public", "private"):
        async for page in reconciliation.objects(bucket):
            findings += [one for one in page.findings if one.media_id in ids]
    async for page in reconciliation.files(hashes=True):
        findings += page.findings
    return findings


async def mend(library: Library, reconciliation: Reconciliation, finding: Finding) -> bool:
    context = library.system(at=utc_now() + LATER)
    return await reconciliation.repair(finding, context) is not None


async def test_a_library_as_it_should_be_has_no_findings(library: Library, jobs: Runtime) -> None:
    file = await library.uploaded()
    assert await found(check(jobs, file), file) == []


async def test_what_is_young_is_nobody_s_fault(library: Library, jobs: Runtime) -> None:
    file = await library.uploaded(at=utc_now())
    await jobs.objects.delete("public", [file.key])
    now = Reconciliation(
        jobs.media, jobs.objects, Named(file), clock=utc_now, bin_for=timedelta(days=30)
    )
    assert await found(now, file) == []


async def test_a_file_without_bytes_is_told_and_leaves_the_library_when_mended(
    library: Library, jobs: Runtime
) -> None:
    file = await library.uploaded()
    await jobs.objects.delete("public", [file.key])
    reconciliation = check(jobs, file)
    (finding,) = await found(reconciliation, file)
    assert finding.kind is FindingKind.MISSING
    # A look changes nothing.
    assert (await library.events(file.id))[-1] == "upload_completed"
    assert await mend(library, reconciliation, finding)
    history = (await jobs.media.load(file.id)).streams[file.id]
    assert history[-1].event.reason == "bytes_lost"  # type: ignore[attr-defined]
    assert history[-1].actor == "service:tests"
    # Twice is once.
    assert not await mend(library, reconciliation, finding)


async def test_bytes_that_came_back_meanwhile_are_not_given_up(
    library: Library, jobs: Runtime
) -> None:
    file = await library.uploaded()
    await jobs.objects.delete("public", [file.key])
    reconciliation = check(jobs, file)
    (finding,) = await found(reconciliation, file)
    await library.put("public", file.key)
    assert not await mend(library, reconciliation, finding)
    assert (await library.events(file.id))[-1] == "upload_completed"


async def test_bytes_in_the_other_bucket_only_are_sent_home(
    library: Library, jobs: Runtime
) -> None:
    file = await library.uploaded()
    await library.put("private", file.key)
    await jobs.objects.delete("public", [file.key])
    reconciliation = check(jobs, file)
    (finding,) = await found(reconciliation, file)
    assert finding.kind is FindingKind.MISPLACED
    assert await mend(library, reconciliation, finding)
    assert (await library.events(file.id))[-1] == "placement_requested"
    await jobs.placement.place_objects(file.id, library.system(at=utc_now() + LATER))
    assert "public" in await library.places(file)


async def test_a_damaged_file_goes_to_the_bin(library: Library, jobs: Runtime) -> None:
    file = await library.uploaded()
    await library.put("public", file.key, b"somebody else's bytes")
    reconciliation = check(jobs, file)
    finding = (await found(reconciliation, file))[0]
    assert finding.kind is FindingKind.SIZE
    assert await mend(library, reconciliation, finding)
    current = (await jobs.media.load(file.id)).file(file.id)
    assert current is not None
    assert current.in_bin is not None


async def test_an_object_of_no_file_is_removed_and_said_to_be(
    library: Library, jobs: Runtime
) -> None:
    nanoid = jobs.identities.nanoid()
    key = f"ls_abc123/blog/2026/04/{nanoid}.png"
    await library.put("public", key)
    reconciliation = check(jobs)
    findings = [
        finding
        async for page in reconciliation.objects("public")
        for finding in page.findings
        if finding.key == key
    ]
    assert [one.kind for one in findings] == [FindingKind.STRAY]
    assert await mend(library, reconciliation, findings[0])
    assert await jobs.objects.head("public", key) is None
    assert await library.events(f"object_{nanoid}") == ["stray_found"]
    assert not await mend(library, reconciliation, findings[0])
    assert media_id(nanoid) == findings[0].media_id


async def test_what_is_not_ours_is_told_and_left_alone(library: Library, jobs: Runtime) -> None:
    await library.put("private", FOREIGN)
    try:
        reconciliation = check(jobs)
        (finding,) = [
            finding
            async for page in reconciliation.objects("private")
            for finding in page.findings
            if finding.key == FOREIGN
        ]
        assert finding.kind is FindingKind.FOREIGN
        assert not await mend(library, reconciliation, finding)
        assert await jobs.objects.head("private", FOREIGN) is not None
    finally:
        await jobs.objects.delete("private", [FOREIGN])


async def test_a_look_goes_on_behind_a_key(library: Library, jobs: Runtime) -> None:
    files = sorted([await library.uploaded() for _ in range(3)], key=lambda file: file.key)
    keys = [
        one.key async for page in jobs.objects.listed("public", after=files[0].key) for one in page
    ]
    assert keys == sorted(keys)
    assert files[0].key not in keys
    assert {files[1].key, files[2].key} <= set(keys)

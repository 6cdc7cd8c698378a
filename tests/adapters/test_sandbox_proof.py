"""How files come to the sandbox: in parts, a few at a time, and leaving nothing behind."""

import asyncio
import contextlib
import errno
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.decode_sandbox import DecodeSandbox
from adapters.sandbox_proof import FILES_PER_DECODER, SandboxProof
from adapters.scratch_file import ScratchFile
from application.ports import Accepted, Refused, SandboxUnavailable
from tests.kit.decoding import parts
from tests.kit.hostile_files import GOOD_FILES, HTML

PNG = "image/png"


@pytest.fixture(scope="module")
async def sandbox() -> AsyncIterator[DecodeSandbox]:
    async with DecodeSandbox(servers=1) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def descriptors() -> set[str]:
    """Temporary files that this process holds open."""
    found = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return {link for link in found if "/media-" in link and link.endswith("(deleted)")}


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_temporary_file_has_no_name_and_ends_with_the_block(
    sandbox: DecodeSandbox, folder: Path
) -> None:
    good = GOOD_FILES[PNG]()
    proof = SandboxProof(sandbox, decoders=1)
    async with proof.prove(parts(good + HTML), mime_type=PNG) as verdict:
        assert isinstance(verdict, Accepted)
        assert names(folder) == []
        assert len(descriptors()) == 1
        assert verdict.rewritten is not None
        assert verdict.rewritten.read() == good
        assert verdict.size == len(good)
    assert descriptors() == set()


async def test_only_so_many_files_lie_on_the_disk_at_once(sandbox: DecodeSandbox) -> None:
    proof = SandboxProof(sandbox, decoders=1)
    taken, most, let = 0, 0, asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        nonlocal taken, most
        taken += 1
        most = max(most, taken)
        await let.wait()
        yield GOOD_FILES[PNG]()

    async def one() -> Accepted | Refused:
        nonlocal taken
        async with proof.prove(slow(), mime_type=PNG) as verdict:
            taken -= 1
            return verdict

    work = [asyncio.ensure_future(one()) for _ in range(6)]
    while most < FILES_PER_DECODER:
        await asyncio.sleep(0.001)
    let.set()
    assert all(isinstance(verdict, Accepted) for verdict in await asyncio.gather(*work))
    assert most == FILES_PER_DECODER


async def test_a_caller_who_gives_up_frees_its_place_and_its_file(sandbox: DecodeSandbox) -> None:
    proof = SandboxProof(sandbox, decoders=1)
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            begun.set()
            await asyncio.sleep(0)

    async def one() -> None:
        async with proof.prove(endless(), mime_type=PNG):
            pass

    for _ in range(FILES_PER_DECODER + 1):
        begun.clear()
        work = asyncio.ensure_future(one())
        await begun.wait()
        work.cancel()
        await asyncio.wait([work])
    assert descriptors() == set()
    async with proof.prove(parts(GOOD_FILES[PNG]()), mime_type=PNG) as verdict:
        assert isinstance(verdict, Accepted)


async def test_a_full_disk_is_not_the_file_s_fault(
    sandbox: DecodeSandbox, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = SandboxProof(sandbox, decoders=1)

    async def full(_file: ScratchFile, _part: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as changed:
        changed.setattr(ScratchFile, "append", full)
        with pytest.raises(SandboxUnavailable, match="No space left"):
            async with proof.prove(parts(GOOD_FILES[PNG]()), mime_type=PNG):
                pass
    monkeypatch.setattr(tempfile, "tempdir", str(folder / "missing"))
    with pytest.raises(SandboxUnavailable, match="no room"):
        async with proof.prove(parts(GOOD_FILES[PNG]()), mime_type=PNG):
            pass
    assert descriptors() == set()


async def test_the_decoder_cannot_write_into_the_file_it_reads() -> None:
    with ScratchFile() as file:
        await file.append(b"proven")
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(file.descriptor, b"evil")
        assert os.pread(file.descriptor, 10, 0) == b"proven"

"""What a verification costs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager

import msgspec

from adapters.system import utc_now
from application.ports import Accepted, Refused
from application.uploads import CompleteUpload
from tests.kit.library import Library, uploads_over


async def test_many_completes_of_one_file_decode_it_once(library: Library) -> None:
    taken: list[str] = []

    class Counting:
        def prove(
            self, parts: AsyncIterator[bytes], *, mime_type: str
        ) -> AbstractAsyncContextManager[Accepted | Refused]:
            taken.append(mime_type)
            return library.runtime.proof.prove(parts, mime_type=mime_type)

    uploads = uploads_over(library.runtime.objects, library.runtime, proof=Counting())
    pending = await library.stored(at=utc_now())
    command = CompleteUpload(media_id=pending.id)
    answers = await asyncio.gather(
        *(uploads.complete_upload(command, library.context()) for _ in range(20))
    )
    assert len({msgspec.json.encode(answer) for answer in answers}) == 1
    assert taken == ["image/png"]

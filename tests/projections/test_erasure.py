"""The SQL of docs/operations.md that erases names: the log decodes and folds as before."""

import re
from pathlib import Path

import psycopg

from projections import audit_trail
from projections.file_pages import FileQuery
from tests.projections.conftest import Log
from tests.projections.histories import START, Library, media_id, recorded, removed, uploaded
from tests.projections.test_past_library import travel

OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"


def the_sql(tenant: str) -> list[str]:
    (text,) = (
        block
        for block in re.findall(r"```sql\n(.*?)```", OPERATIONS.read_text(), re.DOTALL)
        if "THE_TENANT" in block
    )
    return [one.strip() for one in text.replace("THE_TENANT", tenant).split(";") if one.strip()]


async def test_names_of_a_removed_workspace_can_be_erased_and_others_keep_theirs(log: Log) -> None:
    first = uploaded("t:ls_a", 900, name="passport-jane-doe.webp")
    other = uploaded("t:ls_b", 901, name="passport-john-doe.webp")
    await log.append([*first, *other])
    await log.append([removed("t:ls_a", START)])
    await log.follow()
    async with await psycopg.AsyncConnection.connect(log.database) as connection:
        for statement in the_sql("ls_a"):
            await connection.execute(statement.encode())
    await log.rebuild("audit_trail_v2")
    shown = (await audit_trail.history(log.api, "t:ls_a", media_id(900))).found
    assert len(shown) == 2
    assert b"jane" not in b"".join(bytes(row.data) for row in shown)
    assert b"erased" in bytes(shown[0].data)
    events = await log.reader.read(0, 100)
    assert "jane" not in repr(events)
    assert "john" in repr(events)
    page = await travel(log).page("t:ls_b", FileQuery(), events[-1].position)
    assert [file.file_name for file in page.files] == ["passport-john-doe.webp"]


async def test_sources_are_erased_with_the_names(log: Log) -> None:
    history = list(Library(5).history(120))
    await log.append(history)
    await log.append([recorded("t:ls_x", media_id(990), 1, START, history[0].event)])
    async with await psycopg.AsyncConnection.connect(log.database) as connection:
        for owner in ("ls_a", "ls_b", "ls_c"):
            for statement in the_sql(owner):
                await connection.execute(statement.encode())
    before, after = await log.everything(), None
    for name in ("file_list_v2", "storage_stats_v1"):
        await log.rebuild(name)
    after = await log.everything()
    assert len(after["file_list_v2"]) >= len(before["file_list_v2"])
    events = [one for one in await log.reader.read(0, 1000) if one.owner.startswith("t:ls_a")]
    assert events
    assert "images.example" not in repr(events)

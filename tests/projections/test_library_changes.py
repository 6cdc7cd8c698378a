"""What changed in a library: found by position, shown as the list shows it, never another's."""

import re

import psycopg

from projections import file_list, library_changes
from projections.file_list import FileListProjection
from projections.library_changes import Kind, kind_of
from projections.reading import fetch_owned, owned
from tests.projections.conftest import Log
from tests.projections.histories import deleted, media_id, removed, uploaded

URL = "https://media.example"
KINDS: dict[str, Kind] = {
    event.TYPE: kind_of(event) for event in FileListProjection.event_types or ()
}


async def test_every_fact_of_the_file_list_means_something_to_a_library() -> None:
    assert set(KINDS.values()) == {"added", "changed", "removed", "reset"}
    # Else its changes would be told live and be missing after a reconnection.
    left_out = set(re.findall(r"'([a-z_.]+\.v\d+)'", library_changes._ONE))
    assert left_out.isdisjoint(KINDS)
    assert left_out


async def test_changes_go_as_far_as_the_list_and_no_further(log: Log) -> None:
    first = await log.append(uploaded("t:ls_a", 1))
    await log.follow()
    await log.append(uploaded("t:ls_a", 2))
    changes = await library_changes.changes_of_all(log.api, 0, KINDS, at_most=10)
    assert [(change.media_id, change.kind) for change in changes.found] == [(media_id(1), "added")]
    assert changes.reached == first == await library_changes.list_position(log.api)
    own = await library_changes.changes_of(log.api, "t:ls_a", 0, KINDS, at_most=10)
    assert (list(own.found), own.position) == (list(changes.found), first)
    await log.follow()
    again = await library_changes.changes_of_all(log.api, first, KINDS, at_most=10)
    assert [change.media_id for change in again.found] == [media_id(2)]


async def test_changes_come_in_pieces_and_none_is_left_out(log: Log) -> None:
    files = [uploaded(owner, n) for n, owner in enumerate(("t:ls_a", "t:ls_b", "u:user_1"))]
    for file in files:
        await log.append(file)
    await log.append([deleted(files[0]), removed("t:ls_b", files[0][0].at)])
    await log.follow()
    found: list[library_changes.Change] = []
    after, more = 0, True
    while more:
        changes = await library_changes.changes_of_all(log.api, after, KINDS, at_most=2)
        found += changes.found
        after, more = changes.reached, changes.more
    assert [(change.owner, change.kind) for change in found] == [
        ("t:ls_a", "added"),
        ("t:ls_b", "added"),
        ("u:user_1", "added"),
        ("t:ls_a", "removed"),
        ("t:ls_b", "reset"),
    ]


async def test_a_file_is_shown_once_as_it_is_now(log: Log) -> None:
    gone, stays = uploaded("t:ls_a", 1), uploaded("t:ls_a", 2)
    await log.append([*gone, *stays, deleted(gone)])
    await log.follow()
    own = await library_changes.changes_of(log.api, "t:ls_a", 0, KINDS, at_most=10)
    shown = await library_changes.shown(log.api, "t:ls_a", own.found, public_base_url=URL)
    listed = await file_list.by_id(log.api, "t:ls_a", media_id(2), public_base_url=URL)
    assert [(one.kind, one.media_id, one.file) for one in shown] == [
        ("added", media_id(2), listed.found),
        ("removed", media_id(1), None),
    ]
    assert [one.position for one in shown] == [change.position for change in own.found[1:]]


async def test_an_owner_sees_only_its_own_changes_even_without_the_where(log: Log) -> None:
    await log.append([*uploaded("t:ls_a", 1), *uploaded("t:ls_b", 2)])
    await log.follow()
    own = await library_changes.changes_of(log.api, "t:ls_a", 0, KINDS, at_most=10)
    assert {change.owner for change in own.found} == {"t:ls_a"}
    # The ids of another's files are shown as nothing, whoever asks for them.
    foreign = await library_changes.changes_of(log.api, "t:ls_b", 0, KINDS, at_most=10)
    shown = await library_changes.shown(log.api, "t:ls_a", foreign.found, public_base_url=URL)
    assert [one.file for one in shown] == [None]
    select = "SELECT owner FROM events WHERE c.owner = c.owner"
    answer = await fetch_owned(log.api, owned("x", select), {"owner": "t:ls_a"})
    assert {owner for (owner,) in answer.found} == {"t:ls_a"}


async def test_the_function_across_owners_tells_ids_alone_and_is_not_for_everyone(log: Log) -> None:
    query = """
        SELECT p.prosecdef, r.rolcanlogin, r.rolsuper, r.rolbypassrls, p.proargnames[5:],
               has_function_privilege('public', p.oid, 'EXECUTE'),
               has_function_privilege('media_api', p.oid, 'EXECUTE')
        FROM pg_proc AS p JOIN pg_roles AS r ON r.oid = p.proowner
        WHERE p.proname = 'library_changes'
    """
    async with await psycopg.AsyncConnection.connect(log.database) as connection:
        rows = await (await connection.execute(query)).fetchall()
    told = ["owner", "stream", "position", "type"]
    assert rows == [(True, False, False, False, told, False, True)]


async def test_an_owner_is_found_by_an_index_in_a_long_log(log: Log) -> None:
    await log.append(uploaded("t:ls_a", 1))
    await log.follow()
    async with await psycopg.AsyncConnection.connect(log.database, autocommit=True) as connection:
        await connection.execute(
            "INSERT INTO events SELECT -n, n, now(), 'media_x', 'media_file.upload_completed.v1',"
            " 't:ls_' || n % 500, 'u', 'w', 'c', 'r', '{}' FROM generate_series(1, 20000) AS n"
        )
        await connection.execute("ANALYZE events")
    parameters = {"owner": "t:ls_a", "after": 0, "types": list(KINDS), "at_most": 10}
    async with log.api.connection() as one:
        explained = await one.execute(f"EXPLAIN {library_changes._ONE}", parameters)
        plan = "\n".join(line for (line,) in await explained.fetchall())
    assert "events_owner_position" in plan

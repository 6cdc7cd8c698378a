"""Pages of the file list: every sort, filter and search, complete and without repeats."""

import random
import unicodedata

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.event import Recorded
from domain.media_type import MEDIA_TYPES
from projections.file_pages import FileQuery, PageKey, Sort, page
from projections.file_resource import FileResource
from projections.folded_name import fold, like_pattern, search_text
from tests.projections.conftest import Log
from tests.projections.histories import deleted, media_id, uploaded

OWNER = "t:ls_a"
SORTS: tuple[Sort, ...] = (
    "createdAt",
    "-createdAt",
    "fileName",
    "-fileName",
    "fileSize",
    "-fileSize",
)


async def listed(log: Log, query: FileQuery, *, owner: str = OWNER) -> list[FileResource]:
    """All pages."""
    files: list[FileResource] = []
    after: PageKey | None = None
    while True:
        one = FileQuery(
            services=query.services,
            categories=query.categories,
            mime_types=query.mime_types,
            search=query.search,
            sort=query.sort,
            limit=query.limit,
            after=after,
        )
        answer = await page(log.api, owner, one, public_base_url="https://media.example")
        assert len(answer.found.items) <= query.limit
        files += answer.found.items
        after = answer.found.next_key
        if after is None:
            return files


async def names(log: Log, search: str) -> list[str]:
    return [file.file_name for file in await listed(log, FileQuery(search=search, sort="fileName"))]


async def given_files(log: Log, count: int, *, seed: int = 1) -> list[list[Recorded]]:
    """A library in which times, sizes and names repeat."""
    choose = random.Random(seed)
    files = []
    for number in range(count):
        first = uploaded(OWNER, number)[0].at
        files.append(
            uploaded(
                OWNER,
                number,
                at=first.replace(
                    second=choose.choice((0, 3, 9, 10)),
                    microsecond=choose.choice((0, 500_000, 510_000)),
                ),
                name=choose.choice(["b", "A", "ä", "Ä", "a-b", "Z_100%"]) + choose.choice("12"),
                mime=choose.choice(list(MEDIA_TYPES)),
                service_code=choose.choice(["blog", "store", "avatar"]),
                file_size=choose.choice((1, 2, 9, 10, 11, 100)),
            )
        )
    await log.append_together([event for file in files for event in file])
    await log.follow()
    return files


def value(file: FileResource, sort: Sort) -> tuple[object, str]:
    column = sort.removeprefix("-")
    key: object = {
        "createdAt": file.created_at,
        "fileName": fold(file.file_name).encode(),
        "fileSize": file.file_size,
    }[column]
    return key, file.id


@pytest.mark.parametrize("sort", SORTS)
async def test_every_sort_lists_everything_once_and_in_order(log: Log, sort: Sort) -> None:
    await given_files(log, 60)
    for limit in (1, 7, 100):
        files = await listed(log, FileQuery(sort=sort, limit=limit))
        assert len(files) == 60
        assert files == sorted(
            files, key=lambda file: value(file, sort), reverse=sort.startswith("-")
        )


@pytest.mark.parametrize("sort", SORTS)
async def test_every_sort_holds_where_several_types_and_services_are_let_through(
    log: Log, sort: Sort
) -> None:
    await given_files(log, 60)
    query = FileQuery(categories=("image", "document"), services=("blog", "store"), sort=sort)
    for limit in (1, 7, 100):
        files = await listed(log, msgspec.structs.replace(query, limit=limit))
        assert len({file.mime_type for file in files}) > 3
        assert files == sorted(
            files, key=lambda file: value(file, sort), reverse=sort.startswith("-")
        )


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
async def test_filters_search_and_sorts_together_find_exactly_what_they_should(
    library: tuple[Log, list[FileResource]], data: st.DataObject
) -> None:
    log, everything = library
    query = FileQuery(
        services=tuple(data.draw(st.lists(st.sampled_from(["blog", "store", "none"]), max_size=2))),
        categories=tuple(
            data.draw(st.lists(st.sampled_from(["image", "video", "document"]), max_size=2))
        ),
        mime_types=tuple(data.draw(st.lists(st.sampled_from(list(MEDIA_TYPES)), max_size=3))),
        search=data.draw(
            st.sampled_from(["", "", "", "a", "Ä", "a-b", "100%", "_1", "-b2", "nothing"])
        ),
        sort=data.draw(st.sampled_from(SORTS)),
        limit=data.draw(st.sampled_from([1, 3, 20])),
    )
    expected = [
        file
        for file in everything
        if (not query.services or file.service_code in query.services)
        and (not query.categories or file.category in query.categories)
        and (not query.mime_types or file.mime_type in query.mime_types)
        and fold(query.search) in fold(file.file_name)
    ]
    expected.sort(key=lambda file: value(file, query.sort), reverse=query.sort.startswith("-"))
    assert await listed(log, query) == expected


@pytest.fixture
async def library(log: Log) -> tuple[Log, list[FileResource]]:
    await given_files(log, 80)
    return log, await listed(log, FileQuery(limit=100))


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_stay_stable_while_files_come_and_go(log: Log, sort: Sort) -> None:
    files = await given_files(log, 40)
    choose = random.Random(2)
    leaving = choose.sample(files, 15)
    staying = {file[0].stream for file in files if file not in leaving}
    seen: list[str] = []
    after: PageKey | None = None
    number = 1000
    while True:
        query = FileQuery(sort=sort, limit=4, after=after)
        answer = await page(log.api, OWNER, query, public_base_url="https://media.example")
        seen += [file.id for file in answer.found.items]
        after = answer.found.next_key
        if after is None:
            break
        number += 1
        changes = uploaded(OWNER, number, name=choose.choice(["a", "m", "z"]))
        if leaving:
            changes.append(deleted(leaving.pop()))
        await log.append_together(changes)
        await log.follow()
    assert len(seen) == len(set(seen))
    assert staying <= set(seen)


async def test_a_search_of_a_large_library_misses_and_repeats_nothing(log: Log) -> None:
    """Over 5,000 files, so that the rare names lie behind what a search walks through first."""
    events = []
    for number in range(6000):
        name = f"IMG_{number:04}.jpg" if number % 2000 else f"Ünïcode {number} x-y.jpg"
        events += uploaded(OWNER, number, name=name)
    await log.append_together(events)
    await log.follow()
    for sort in SORTS:
        rare = await listed(log, FileQuery(search="ünÏcode", sort=sort, limit=2))
        assert {file.id for file in rare} == {media_id(number) for number in (0, 2000, 4000)}
        assert len(rare) == 3
        punctuation = await listed(log, FileQuery(search="x-y", sort=sort, limit=2))
        assert len(punctuation) == 3
    frequent = await listed(log, FileQuery(search="img_", limit=100))
    assert len(frequent) == len({file.id for file in frequent}) == 5997


async def test_short_searches_look_at_a_bounded_number_of_files_and_go_on_from_there(
    log: Log,
) -> None:
    await log.execute("""
        INSERT INTO file_list_v2
        SELECT 't:ls_a', 'media_' || lpad(n::text, 16, '0'), 'blog', name, name, name, 1,
               'image/jpeg', 'image', 'key', true, 'user_1', at, at
        FROM generate_series(0, 40999) AS n,
             LATERAL (SELECT timestamptz '2026-04-29' + n * interval '1 second') AS a (at),
             LATERAL (SELECT CASE n %% 20500 WHEN 0 THEN 'ss' ELSE n::text END) AS b (name)
    """)
    first = await page(
        log.api, OWNER, FileQuery(search="ß", limit=2), public_base_url="https://media.example"
    )
    assert [file.id for file in first.found.items] == []
    assert first.found.next_key is not None
    files = await listed(log, FileQuery(search="ß", limit=2))
    assert [file.id for file in files] == [media_id(n) for n in (20_500, 0)]


FIFTY_THOUSAND_IN_ORDER = """
INSERT INTO file_list_v2
SELECT 't:ls_a', 'media_' || lpad(n::text, 16, '0'), 'blog', name, name, name, n * {step} %% 50021,
       'image/jpeg', 'image', 'key', true, 'user_1', at, at
FROM generate_series(1, 50000) AS n,
     LATERAL (SELECT timestamptz '2026-04-29' + n * interval '1 second') AS a (at),
     LATERAL (SELECT CASE WHEN n > 47000 THEN 'zebra ' WHEN n %% 5000 = 7 THEN 'rare '
                     ELSE 'ape ' END || lpad(n::text, 6, '0')) AS b (name)
"""
"""Name and time put the zebras last, and so does the size if the step is 1."""


@pytest.mark.parametrize("step", [1, 7919])
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.long
async def test_a_word_of_many_names_costs_a_bounded_look_a_page_and_is_found_whole(
    log: Log, sort: Sort, step: int
) -> None:
    await log.execute(FIFTY_THOUSAND_IN_ORDER.format(step=step))
    by_size = sort.endswith("fileSize")
    descending = sort.startswith("-")
    zebras = sorted(
        range(47_001, 50_001),
        key=lambda n: n * step % 50_021 if by_size else n,
        reverse=descending,
    )
    at_once = descending or (by_size and step > 1)
    query = FileQuery(search="zebra", sort=sort, limit=100)
    first = await page(log.api, OWNER, query, public_base_url="https://media.example")
    # 3,000 hits behind 47,000 other files: whoever asks is told how far the look went.
    assert len(first.found.items) == (100 if at_once else 0)
    assert first.found.next_key is not None
    # Four rare names come after all the apes, but among them in time.
    looked_at = 20_004 if sort == "fileName" else 20_000
    assert at_once or first.found.next_key.media_id == media_id(looked_at)
    found = [file.id for file in await listed(log, query)]
    assert found == [media_id(n) for n in zebras]
    # Few hits come whole at once, wherever they stand.
    rare = await page(
        log.api, OWNER, FileQuery(search="rare", sort=sort), public_base_url="https://media.example"
    )
    assert len(rare.found.items) == 10
    assert rare.found.next_key is None


async def test_search_folds_case_and_composition_on_both_sides(log: Log) -> None:
    decomposed = unicodedata.normalize("NFD", "äpfel klein.jpg")
    given_names = ["ÄPFEL.jpg", decomposed, "Straße.png", "STRASSE.png", "İstanbul.gif"]
    for number, name in enumerate(given_names):
        await log.append(uploaded(OWNER, number, name=name))
    await log.follow()
    assert await names(log, "äpfel") == [decomposed, "ÄPFEL.jpg"]
    assert await names(log, unicodedata.normalize("NFD", "Äpf")) == [decomposed, "ÄPFEL.jpg"]
    assert sorted(await names(log, "straße")) == ["STRASSE.png", "Straße.png"]
    assert sorted(await names(log, "SS")) == ["STRASSE.png", "Straße.png"]
    assert await names(log, "stanBUL") == ["İstanbul.gif"]


@pytest.mark.parametrize("needle", ["%", "_", "\\", "100%", "a_b", "a\\b", "'", '"', "...", "( )"])
async def test_special_characters_match_themselves(log: Log, needle: str) -> None:
    given_names = ["100% a_b", "a\\b", "it's", 'say "x"', "plain", "x...y", "100 axb", "f( )"]
    for number, name in enumerate(given_names):
        await log.append(uploaded(OWNER, number, name=name))
    await log.follow()
    assert sorted(await names(log, needle)) == sorted(n for n in given_names if needle in n)


@given(name=st.text(max_size=30), start=st.integers(0, 30), length=st.integers(0, 30))
def test_whatever_a_name_contains_its_search_text_contains_too(
    name: str, start: int, length: int
) -> None:
    folded = fold(name)
    needle = folded[start : start + length]
    assert search_text(needle) in search_text(folded)
    assert len(search_text(folded)) == len(folded)
    assert search_text(folded).isascii()


@given(needle=st.text(max_size=10))
def test_a_pattern_escapes_each_wildcard(needle: str) -> None:
    inner = like_pattern(needle)[1:-1]
    assert len(inner) == len(needle) + sum(character in "%_\\" for character in needle)

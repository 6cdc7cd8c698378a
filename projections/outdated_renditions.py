"""Which files have renditions of another recipe, and how many are under way; for `./dev rerender`.

Out of `file_list_v2` and `unfinished_work_v3`, across owners: for the role media_worker.
"""

from projections.reading import Pool, connection

_OUTDATED = """
SELECT media_id FROM file_list_v2 AS file
WHERE media_id > %(after)s AND deleted_at IS NULL AND category IN ('image', 'video')
  AND sha256 IS NOT NULL
  AND CASE WHEN EXISTS (
      SELECT FROM jsonb_object_keys(renditions) AS name WHERE split_part(name, ' ', 1) = %(preset)s)
    THEN EXISTS (
      SELECT FROM jsonb_each(renditions) AS made (name, one)
      WHERE split_part(name, ' ', 1) = %(preset)s
        AND ((one ->> 'recipe')::integer <> %(recipe)s OR one ? 'failed'))
    ELSE %(at_once)s END
ORDER BY media_id LIMIT %(limit)s
"""
_UNDER_WAY = """
SELECT count(*) FROM unfinished_work_v3 WHERE failure IS NULL AND kind LIKE %s
"""


async def outdated(
    pool: Pool, preset: str, recipe: int, *, at_once: bool, after: str, limit: int
) -> list[str]:
    """Ids of files whose renditions of the preset are of another recipe or failed, in their order.

    With `at_once` also of those that have none.
    """
    parameters = {
        "preset": preset, "recipe": recipe, "at_once": at_once, "after": after, "limit": limit,
    }  # fmt: skip
    async with connection(pool) as one:
        cursor = await one.execute(_OUTDATED, parameters)
        return [media_id for (media_id,) in await cursor.fetchall()]


async def under_way(pool: Pool, preset: str) -> int:
    """How many renditions of the preset are asked for and not made."""
    escaped = preset.replace("_", r"\_")
    async with connection(pool) as one:
        row = await (await one.execute(_UNDER_WAY, [f"derive {escaped} %"])).fetchone()
    return int(row[0]) if row else 0

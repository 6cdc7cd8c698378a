-- Search and resolve over file_list_v2: files in the bin are not found. The functions over file_list_v1
-- stay for the version that reads it, which runs beside this one during a deploy.

-- Ids of the files whose folded name is LIKE the pattern, in the order asked for, at most row_limit.
-- Every step is bounded, whatever the words and the order. The first 1,000 files of that order fill a
-- page of anything frequent. Up to 2,000 hits in all are taken from the trigram index and sorted. What
-- has more, by count or by a sample of 500 files, is looked for in the first 20,000 files of the order,
-- and where more are left the last of them comes as a row with hit = false, from which the next page
-- goes on. So is what has no gram_pattern: fewer than three characters have no trigram.
CREATE FUNCTION search_files_v2(
  candidate text, pattern text, gram_pattern text, services text[], types text[],
  sort_column text, descending boolean, after_value text, after_id text, row_limit integer
) RETURNS TABLE (media_id text, hit boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 SET search_path = public, pg_temp AS $$
DECLARE
  sort_type text := CASE sort_column
    WHEN 'created_at' THEN 'timestamptz' WHEN 'folded_name' THEN 'text' WHEN 'file_size' THEN 'bigint' END;
  direction text := CASE WHEN descending THEN 'DESC' ELSE 'ASC' END;
  in_order text := format('%I %s, media_id %s', sort_column, direction, direction);
  filter text := '($4 IS NULL OR service_code = ANY ($4)) AND ($5 IS NULL OR mime_type = ANY ($5))';
  behind text := CASE WHEN after_id IS NULL THEN 'true' ELSE
    format('(%I, media_id) %s ($6::%s, $7)', sort_column, CASE WHEN descending THEN '<' ELSE '>' END, sort_type) END;
  walk text := format(
    'SELECT media_id, folded_name, file_size, created_at, service_code, mime_type FROM file_list_v2
     WHERE owner = $1 AND deleted_at IS NULL AND %s ORDER BY %s', behind, in_order);
  -- The limits stand in the text: a plan for an unknown limit may sort the whole library.
  look text := format(
    'SELECT ARRAY(SELECT media_id FROM (%s LIMIT %%s) AS seen
     WHERE folded_name LIKE $2 AND %s ORDER BY %s LIMIT %s)', walk, filter, in_order, row_limit);
  -- In another order, where what lies together in this one is spread.
  sample text := format(
    'SELECT count(*) FROM (SELECT folded_name FROM file_list_v2 WHERE owner = $1 AND deleted_at IS NULL
     ORDER BY %I, media_id LIMIT 500) AS seen WHERE folded_name LIKE $2',
    CASE sort_column WHEN 'file_size' THEN 'created_at' ELSE 'file_size' END);
  found text[] := '{}';
  frequent boolean := gram_pattern IS NULL;
  hits integer;
  last_seen text;
BEGIN
  -- Ids are all it gives, and only to a statement that has set this owner.
  IF candidate IS DISTINCT FROM current_setting('app.owner', true) OR sort_type IS NULL THEN
    RETURN;
  END IF;
  IF NOT frequent THEN
    EXECUTE format(look, 1000)
      INTO found USING candidate, pattern, gram_pattern, services, types, after_value, after_id;
    IF cardinality(found) < row_limit THEN
      -- The trigram index has to find all hits before it gives the first: of many that takes longer
      -- than looking at 20,000 names.
      EXECUTE sample INTO hits USING candidate, pattern;
      frequent := hits >= 10;
    END IF;
    IF cardinality(found) < row_limit AND NOT frequent THEN
      -- Materialized: planned for all hits, which only the trigram index gives, and read no further
      -- than the limit.
      EXECUTE format(
        'WITH every AS MATERIALIZED (
           SELECT media_id, folded_name, file_size, created_at, service_code, mime_type
           FROM file_list_v2
           WHERE owner = $1 AND deleted_at IS NULL AND search_text LIKE $3 AND folded_name LIKE $2),
         hits AS MATERIALIZED (SELECT * FROM every LIMIT 2001)
         SELECT (SELECT count(*) FROM hits),
                ARRAY(SELECT media_id FROM hits WHERE %s AND %s ORDER BY %s LIMIT %s)',
        behind, filter, in_order, row_limit)
        INTO hits, found USING candidate, pattern, gram_pattern, services, types, after_value, after_id;
      frequent := hits > 2000;
    END IF;
  END IF;
  IF frequent THEN
    EXECUTE format(look, 20000)
      INTO found USING candidate, pattern, gram_pattern, services, types, after_value, after_id;
    IF cardinality(found) < row_limit THEN
      EXECUTE format('SELECT media_id FROM (%s LIMIT 1 OFFSET 19999) AS seen', walk)
        INTO last_seen USING candidate, pattern, gram_pattern, services, types, after_value, after_id;
    END IF;
  END IF;
  RETURN QUERY SELECT id, true FROM unnest(found) AS id;
  IF last_seen IS NOT NULL THEN
    RETURN QUERY SELECT last_seen, false;
  END IF;
END $$;

-- What other services may learn of files by their exact ids; of one tenant where one is named.
CREATE FUNCTION resolve_files_v2(ids text[], tenant text)
RETURNS TABLE (media_id text, file_name text, file_size bigint, mime_type text, key text, is_public boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT media_id, file_name, file_size, mime_type, key, is_public FROM file_list_v2
  WHERE media_id = ANY (ids) AND deleted_at IS NULL AND (tenant IS NULL OR owner = 't:' || tenant)
$$;

-- A function may only be given to a role that could have created it.
GRANT CREATE ON SCHEMA public TO media_search, media_resolver;
ALTER FUNCTION search_files_v2 OWNER TO media_search;
ALTER FUNCTION resolve_files_v2 OWNER TO media_resolver;
REVOKE CREATE ON SCHEMA public FROM media_search, media_resolver;
REVOKE ALL ON FUNCTION search_files_v2, resolve_files_v2 FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_files_v2 TO media_api;
-- The internal app's role.
GRANT EXECUTE ON FUNCTION resolve_files_v2 TO media_worker;

-- The two narrow ways past row-level security into the file list: search, because LIKE is not
-- leakproof and would lose its index, and resolve, which has no tenant. Apart from the table,
-- so that a rebuild replaces the table under them.

-- Ids of the files whose folded name is LIKE the pattern, in the order asked for, at most row_limit.
-- Walks the first rows of that order, which fills a page of anything frequent; what is rare is taken
-- from the trigram index, whole. gram_pattern is null for fewer than three characters, which have no
-- trigram: then at most 20,000 files are looked at, and where more are left the last one comes as a
-- row with hit = false, from which the next page goes on.
CREATE FUNCTION search_files(
  candidate text, pattern text, gram_pattern text, services text[], types text[],
  sort_column text, descending boolean, after_value text, after_id text, row_limit integer
) RETURNS TABLE (media_id text, hit boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50 SET search_path = public, pg_temp AS $$
DECLARE
  budget integer := CASE WHEN gram_pattern IS NULL THEN 20000 ELSE 5000 END;
  sort_type text := CASE sort_column
    WHEN 'created_at' THEN 'timestamptz' WHEN 'folded_name' THEN 'text' WHEN 'file_size' THEN 'bigint' END;
  direction text := CASE WHEN descending THEN 'DESC' ELSE 'ASC' END;
  in_order text := format('%I %s, media_id %s', sort_column, direction, direction);
  filter text := '($4 IS NULL OR service_code = ANY ($4)) AND ($5 IS NULL OR mime_type = ANY ($5))';
  behind text := CASE WHEN after_id IS NULL THEN 'true' ELSE
    format('(%I, media_id) %s ($6::%s, $7)', sort_column, CASE WHEN descending THEN '<' ELSE '>' END, sort_type) END;
  walk text := format(
    'SELECT media_id, folded_name, file_size, created_at, service_code, mime_type FROM file_list_v1
     WHERE owner = $1 AND %s ORDER BY %s', behind, in_order);
  found text[];
  last_seen text;
BEGIN
  -- Ids are all it gives, and only to a statement that has set this owner.
  IF candidate IS DISTINCT FROM current_setting('app.owner', true) OR sort_type IS NULL THEN
    RETURN;
  END IF;
  -- The limits stand in the text: a plan for an unknown limit may sort the whole library.
  EXECUTE format(
    'SELECT ARRAY(SELECT media_id FROM (%s LIMIT %s) AS seen
     WHERE folded_name LIKE $2 AND %s ORDER BY %s LIMIT %s)', walk, budget, filter, in_order, row_limit)
    INTO found USING candidate, pattern, gram_pattern, services, types, after_value, after_id;
  IF cardinality(found) < row_limit THEN
    IF gram_pattern IS NOT NULL THEN
      EXECUTE format(
        'WITH hits AS MATERIALIZED (
           SELECT media_id, folded_name, file_size, created_at, service_code, mime_type
           FROM file_list_v1 WHERE owner = $1 AND search_text LIKE $3 AND folded_name LIKE $2)
         SELECT ARRAY(SELECT media_id FROM hits WHERE %s AND %s ORDER BY %s LIMIT %s)',
        behind, filter, in_order, row_limit)
        INTO found USING candidate, pattern, gram_pattern, services, types, after_value, after_id;
    ELSE
      EXECUTE format('SELECT media_id FROM (%s LIMIT 1 OFFSET %s) AS seen', walk, budget - 1)
        INTO last_seen USING candidate, pattern, gram_pattern, services, types, after_value, after_id;
    END IF;
  END IF;
  RETURN QUERY SELECT id, true FROM unnest(found) AS id;
  IF last_seen IS NOT NULL THEN
    RETURN QUERY SELECT last_seen, false;
  END IF;
END $$;

-- What other services may learn of files by their exact ids; of one tenant where one is named.
CREATE FUNCTION resolve_files(ids text[], tenant text)
RETURNS TABLE (media_id text, file_name text, file_size bigint, mime_type text, key text, is_public boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT media_id, file_name, file_size, mime_type, key, is_public FROM file_list_v1
  WHERE media_id = ANY (ids) AND (tenant IS NULL OR owner = 't:' || tenant)
$$;

-- A function may only be given to a role that could have created it.
GRANT CREATE ON SCHEMA public TO media_search, media_resolver;
ALTER FUNCTION search_files OWNER TO media_search;
ALTER FUNCTION resolve_files OWNER TO media_resolver;
REVOKE CREATE ON SCHEMA public FROM media_search, media_resolver;
REVOKE ALL ON FUNCTION search_files, resolve_files FROM PUBLIC;
GRANT EXECUTE ON FUNCTION search_files TO media_api;
-- The internal app's role.
GRANT EXECUTE ON FUNCTION resolve_files TO media_worker;

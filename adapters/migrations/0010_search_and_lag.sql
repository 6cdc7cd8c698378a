-- The lag of a follower names the type of the event it stands before: one its version may not know.
-- New columns need a new function; versions that read the old columns go on by their names.
DROP FUNCTION follower_lag();
CREATE FUNCTION follower_lag()
RETURNS TABLE (follower text, reached bigint, behind_seconds float8, next_type text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT c.follower, c.position,
         coalesce(extract(epoch FROM clock_timestamp() - next.at)::float8, 0), next.type
  FROM checkpoints AS c LEFT JOIN LATERAL (
    SELECT e.at, e.type FROM events AS e
    WHERE e.position > c.position AND e.position < (SELECT log_horizon())
    ORDER BY e.position LIMIT 1
  ) AS next ON true
  ORDER BY c.follower
$$;
GRANT CREATE ON SCHEMA public TO media_stream_reader;
ALTER FUNCTION follower_lag() OWNER TO media_stream_reader;
REVOKE CREATE ON SCHEMA public FROM media_stream_reader;
REVOKE ALL ON FUNCTION follower_lag() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION follower_lag() TO media_api, media_worker;

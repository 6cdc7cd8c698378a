-- How far followers are behind, for readiness and metrics; and what the internal app may resolve.

-- The age of the oldest settled event a follower has not taken; 0 when it has taken all.
CREATE FUNCTION follower_lag() RETURNS TABLE (follower text, reached bigint, behind_seconds float8)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT c.follower, c.position, coalesce((
    SELECT extract(epoch FROM clock_timestamp() - e.at)::float8 FROM events AS e
    WHERE e.position > c.position AND e.position < (SELECT log_horizon())
    ORDER BY e.position LIMIT 1), 0)
  FROM checkpoints AS c ORDER BY c.follower
$$;
GRANT CREATE ON SCHEMA public TO media_stream_reader;
ALTER FUNCTION follower_lag() OWNER TO media_stream_reader;
REVOKE CREATE ON SCHEMA public FROM media_stream_reader;
GRANT SELECT ON checkpoints, log_epoch TO media_stream_reader;
REVOKE ALL ON FUNCTION follower_lag() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION follower_lag() TO media_api, media_worker;

GRANT EXECUTE ON FUNCTION resolve_files TO media_worker;

-- Every command has an id. What one did is found by it, to be undone; a repeat under an
-- Idempotency-Key is told the id of the first.

ALTER TABLE idempotency_keys ADD COLUMN command_id text;

-- Ids begin with the time, so rows that lie together have ids that lie together: what a block range
-- holds is said in two of them, and an append pays nothing. Ids of before, which were random, are left
-- out: nobody was ever told one, and there was nothing to undo.
CREATE INDEX events_command ON events USING brin (command_id)
  WITH (pages_per_range = 32, autosummarize = on) WHERE length(command_id) = 32;

-- A command is named before anyone knows whose it is: this gives the streams it appended to, by its
-- exact id, for the ownership check, and nothing else.
CREATE FUNCTION command_streams(command text) RETURNS SETOF text
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT DISTINCT stream FROM events
  WHERE command_id = command AND length(command_id) = 32 ORDER BY stream
$$;
GRANT CREATE ON SCHEMA public TO media_stream_reader;
ALTER FUNCTION command_streams(text) OWNER TO media_stream_reader;
REVOKE CREATE ON SCHEMA public FROM media_stream_reader;
REVOKE ALL ON FUNCTION command_streams(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION command_streams(text) TO media_api, media_worker;

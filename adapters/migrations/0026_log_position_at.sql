-- Where the log stood at a time (docs/adr/0018): the last settled position whose event is not later.
-- Gives a position and nothing of any event.

-- Times rise with positions but for the seconds between the time a command was given and its append,
-- and the clocks of our machines. The log is halved some sixty times, each a look into the primary
-- key, to where every later event is surely later than the time; from there it is read backwards.
CREATE FUNCTION log_position_at(wanted timestamptz) RETURNS bigint
  LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  disorder CONSTANT interval := '2 minutes';
  low bigint := 0;
  high bigint := coalesce((SELECT max(position) FROM events WHERE position < log_horizon()), 0);
  middle bigint;
  next_position bigint;
  next_at timestamptz;
BEGIN
  WHILE low < high LOOP
    middle := low + (high - low) / 2;
    SELECT position, at INTO next_position, next_at FROM events
      WHERE position > middle ORDER BY position LIMIT 1;
    IF next_position IS NULL OR next_position > high OR next_at > wanted + disorder THEN
      high := middle;
    ELSE
      low := next_position;
    END IF;
  END LOOP;
  RETURN coalesce((
    SELECT position FROM events WHERE position <= low AND at <= wanted ORDER BY position DESC LIMIT 1
  ), 0);
END $$;
GRANT CREATE ON SCHEMA public TO media_stream_reader;
ALTER FUNCTION log_position_at OWNER TO media_stream_reader;
REVOKE CREATE ON SCHEMA public FROM media_stream_reader;
REVOKE ALL ON FUNCTION log_position_at FROM PUBLIC;
GRANT EXECUTE ON FUNCTION log_position_at TO media_api, media_worker;

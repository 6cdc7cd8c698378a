-- One owner's events in the order of the log, from any position: what a live library resumes from.
-- On the log itself, not on the audit trail: a rebuild of a read model makes only what its own
-- migration names, and there is no second follower to wait for.
-- Without the types that no library ever shows: an upload is asked for, and its bytes are removed,
-- without paying for it. A type that is not named here is in the index.
CREATE INDEX events_owner_position ON events (owner, position) WHERE type NOT IN (
  'media_file.upload_requested.v1', 'media_file.verification_deferred.v1',
  'media_file.upload_rejected.v1', 'media_file.upload_expired.v1',
  'media_file.upload_cancelled.v1', 'media_file.objects_purged.v1',
  'media_file.purge_failed.v1', 'media_file.purge_retried.v1'
);

-- Which files of which owners changed, for the one reader a process of the public app has for all
-- its live libraries. Ids and types only: what the file looks like is read as its owner.
CREATE FUNCTION library_changes(after bigint, upto bigint, types text[], at_most integer)
RETURNS TABLE (owner text, stream text, "position" bigint, type text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT e.owner, e.stream, e.position, e.type FROM events AS e
  WHERE e.position > after AND e.position <= upto AND e.type = ANY (types)
  ORDER BY e.position LIMIT at_most
$$;
GRANT CREATE ON SCHEMA public TO media_stream_reader;
ALTER FUNCTION library_changes OWNER TO media_stream_reader;
REVOKE CREATE ON SCHEMA public FROM media_stream_reader;
REVOKE ALL ON FUNCTION library_changes FROM PUBLIC;
GRANT EXECUTE ON FUNCTION library_changes TO media_api;

-- Roles own no login: a process connects and takes the one it needs (docs/security.md). A dump has
-- no roles, so a restore runs this file first: it must bear being run again, and beside itself in
-- another database of the cluster.
DO $$
DECLARE r text;
BEGIN
  FOREACH r IN ARRAY ARRAY['media_api', 'media_worker', 'media_stream_reader', 'media_search', 'media_resolver'] LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = r) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', r);
      EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
      END;
    END IF;
    IF NOT pg_has_role(CURRENT_USER, r, 'SET') THEN
      EXECUTE format('GRANT %I TO CURRENT_USER', r);
    END IF;
    EXECUTE format('GRANT USAGE ON SCHEMA public TO %I', r);
  END LOOP;
END $$;

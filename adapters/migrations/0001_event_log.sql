-- The event log, who may touch it, and what is kept in the same transaction as an append.

-- Transaction ids of a new cluster start low; the base is raised after a dump is loaded into one,
-- so that positions never go back (raise_log_epoch). It is a constant in a function, which Postgres
-- folds into every plan: reading it from a table took a twentieth of an append.
CREATE FUNCTION log_epoch() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT 0::bigint';
CREATE VIEW log_epoch AS SELECT log_epoch() AS base;
GRANT SELECT ON log_epoch TO media_api, media_worker;

CREATE TABLE events (
  position bigint NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  at timestamptz NOT NULL,
  stream text NOT NULL,
  type text NOT NULL,
  owner text NOT NULL CHECK (owner ~ '^[tu]:.'),
  actor text NOT NULL,
  access text NOT NULL,
  command_id text NOT NULL,
  correlation_id text NOT NULL,
  data jsonb NOT NULL,
  CONSTRAINT events_position PRIMARY KEY (position),
  CONSTRAINT events_stream_version UNIQUE (stream, version)
);

-- Transactions below the snapshot's xmin have ended: no event can still appear below this position.
CREATE FUNCTION log_horizon() RETURNS bigint LANGUAGE sql STABLE
  RETURN (pg_snapshot_xmin(pg_current_snapshot())::text::bigint << 16) + log_epoch();

-- The last step of a restore: a new cluster's transaction ids may start below those of the dump.
-- Fails, rather than see too few events, for a role that row-level security holds back.
CREATE FUNCTION raise_log_epoch() RETURNS bigint
  LANGUAGE plpgsql VOLATILE SET row_security = off AS $$
DECLARE
  needed bigint := coalesce((SELECT max(position) + 65536 FROM events), 0)
                   - (pg_current_xact_id()::text::bigint << 16);
BEGIN
  IF needed > log_epoch() THEN
    EXECUTE format(
      'CREATE OR REPLACE FUNCTION log_epoch() RETURNS bigint LANGUAGE sql STABLE AS %L',
      format('SELECT %s::bigint', needed)
    );
  END IF;
  RETURN greatest(needed, log_epoch());
END $$;
REVOKE ALL ON FUNCTION raise_log_epoch() FROM PUBLIC;

-- What an Idempotency-Key led to; written by the append itself, so the two cannot come apart.
CREATE TABLE idempotency_keys (
  owner text NOT NULL,
  user_id text NOT NULL,
  route text NOT NULL,
  key text NOT NULL,
  fingerprint text NOT NULL,
  outcome json NOT NULL,
  position bigint NOT NULL,
  at timestamptz NOT NULL,
  CONSTRAINT idempotency_keys_once PRIMARY KEY (owner, user_id, route, key)
);
CREATE INDEX idempotency_keys_at ON idempotency_keys (at);

CREATE TABLE removed_tenants (
  owner text PRIMARY KEY,
  at timestamptz NOT NULL
);

CREATE TABLE checkpoints (
  follower text PRIMARY KEY,
  position bigint NOT NULL DEFAULT 0,
  at timestamptz NOT NULL DEFAULT now()
);

-- Row-level security: the owner is set inside the statement that uses it.
ALTER TABLE events ENABLE ROW LEVEL SECURITY;
ALTER TABLE events FORCE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY;
ALTER TABLE idempotency_keys FORCE ROW LEVEL SECURITY;

-- Its own SQLSTATE, so that the refusal can be told from any other.
CREATE FUNCTION tenant_is_open(candidate text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  IF EXISTS (SELECT FROM removed_tenants WHERE owner = candidate) THEN
    RAISE EXCEPTION 'tenant removed' USING ERRCODE = 'MS001';
  END IF;
  RETURN true;
END $$;

-- Waits for the appends under way and holds new ones back until the commit, so that none of the
-- tenant's lands after its removal.
CREATE FUNCTION close_tenant(removed text, removed_at timestamptz) RETURNS void
  LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE;
  INSERT INTO removed_tenants (owner, at) VALUES (removed, removed_at) ON CONFLICT DO NOTHING;
END $$;
REVOKE ALL ON FUNCTION close_tenant(text, timestamptz) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION close_tenant(text, timestamptz) TO media_worker;

GRANT SELECT ON removed_tenants TO media_api, media_worker;
GRANT SELECT, INSERT ON events TO media_api, media_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO media_api;
GRANT SELECT, DELETE ON idempotency_keys TO media_worker;
GRANT SELECT ON checkpoints TO media_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON checkpoints TO media_worker;

CREATE POLICY own_rows ON events FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY own_appends ON events FOR INSERT TO media_api
  WITH CHECK (owner = current_setting('app.owner', true) AND tenant_is_open(owner));
CREATE POLICY followers ON events FOR SELECT TO media_worker USING (true);
CREATE POLICY worker_appends ON events FOR INSERT TO media_worker WITH CHECK (true);
CREATE POLICY own_rows ON idempotency_keys TO media_api
  USING (owner = current_setting('app.owner', true))
  WITH CHECK (owner = current_setting('app.owner', true));
CREATE POLICY cleaning ON idempotency_keys TO media_worker USING (true);

-- A command names a stream before anyone knows whose it is: this reads whole streams by exact id,
-- for the ownership check, and nothing else.
GRANT SELECT ON events TO media_stream_reader;
CREATE POLICY exact_streams ON events FOR SELECT TO media_stream_reader USING (true);
CREATE FUNCTION load_streams(streams text[]) RETURNS SETOF events
  LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT * FROM events WHERE stream = ANY (streams) ORDER BY stream, version
$$;
GRANT CREATE ON SCHEMA public TO media_stream_reader;
ALTER FUNCTION load_streams(text[]) OWNER TO media_stream_reader;
REVOKE CREATE ON SCHEMA public FROM media_stream_reader;
REVOKE ALL ON FUNCTION load_streams(text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION load_streams(text[]) TO media_api, media_worker;

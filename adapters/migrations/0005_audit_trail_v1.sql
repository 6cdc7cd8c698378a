-- Read model: every event by owner and stream, in the words of the API. Outlives its files.

CREATE TABLE audit_trail_v1 (
  owner text COLLATE "C" NOT NULL,
  stream text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  position bigint NOT NULL,
  type text NOT NULL,
  at timestamptz NOT NULL,
  actor text NOT NULL,
  access text NOT NULL,
  data jsonb NOT NULL,
  PRIMARY KEY (owner, stream, version)
);

ALTER TABLE audit_trail_v1 ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_trail_v1 FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON audit_trail_v1 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON audit_trail_v1 TO media_worker USING (true) WITH CHECK (true);
GRANT SELECT ON audit_trail_v1 TO media_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_trail_v1 TO media_worker;

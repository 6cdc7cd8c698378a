-- Read model: every event by owner, in the words of the API, with the command and the request it came
-- from. Outlives its files. As audit_trail_v1, but listed: newest first, by file, actor or type.

CREATE TABLE audit_trail_v2 (
  owner text COLLATE "C" NOT NULL,
  position bigint NOT NULL,
  stream text COLLATE "C" NOT NULL,
  version integer NOT NULL,
  type text COLLATE "C" NOT NULL,
  at timestamptz NOT NULL,
  actor text COLLATE "C" NOT NULL,
  access text NOT NULL,
  command_id text NOT NULL,
  correlation_id text NOT NULL,
  data jsonb NOT NULL,
  -- Pages go by position: the one order that the log has.
  PRIMARY KEY (owner, position)
);
CREATE INDEX audit_trail_v2_stream ON audit_trail_v2 (owner, stream, version);
CREATE INDEX audit_trail_v2_actor ON audit_trail_v2 (owner, actor, position);
CREATE INDEX audit_trail_v2_type ON audit_trail_v2 (owner, type, position);
-- Where a time begins and ends; times do not quite rise with positions.
CREATE INDEX audit_trail_v2_at ON audit_trail_v2 (owner, at, position);

ALTER TABLE audit_trail_v2 ENABLE ROW LEVEL SECURITY;
ALTER TABLE audit_trail_v2 FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON audit_trail_v2 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON audit_trail_v2 TO media_worker USING (true) WITH CHECK (true);
GRANT SELECT ON audit_trail_v2 TO media_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON audit_trail_v2 TO media_worker;

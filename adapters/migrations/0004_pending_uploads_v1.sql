-- Read model: uploads that were asked for and have neither been completed nor ended.

CREATE TABLE pending_uploads_v1 (
  owner text COLLATE "C" NOT NULL,
  media_id text COLLATE "C" NOT NULL,
  service_code text COLLATE "C" NOT NULL,
  file_name text NOT NULL,
  file_size bigint NOT NULL,
  mime_type text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  key text NOT NULL,
  is_public boolean NOT NULL,
  uploaded_by text NOT NULL,
  requested_at timestamptz NOT NULL,
  PRIMARY KEY (owner, media_id)
);
-- For the sweep, which looks across owners.
CREATE INDEX pending_uploads_v1_requested ON pending_uploads_v1 (requested_at, media_id);

ALTER TABLE pending_uploads_v1 ENABLE ROW LEVEL SECURITY;
ALTER TABLE pending_uploads_v1 FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON pending_uploads_v1 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON pending_uploads_v1 TO media_worker USING (true) WITH CHECK (true);
GRANT SELECT ON pending_uploads_v1 TO media_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON pending_uploads_v1 TO media_worker;

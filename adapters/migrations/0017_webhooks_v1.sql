-- Read model: the webhooks of a workspace.

CREATE TABLE webhooks_v1 (
  owner text COLLATE "C" NOT NULL,
  webhook_id text COLLATE "C" NOT NULL,
  target_id text COLLATE "C" NOT NULL,
  previous_target_id text COLLATE "C",
  previous_until timestamptz,
  origin text NOT NULL,
  event_types text[] NOT NULL,
  description text NOT NULL,
  status text NOT NULL,
  pause_reason text,
  created_by text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (owner, webhook_id)
);

ALTER TABLE webhooks_v1 ENABLE ROW LEVEL SECURITY;
ALTER TABLE webhooks_v1 FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON webhooks_v1 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON webhooks_v1 TO media_worker USING (true) WITH CHECK (true);
GRANT SELECT ON webhooks_v1 TO media_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON webhooks_v1 TO media_worker;

-- Read model: facts whose effect is not in the log yet, sources to be fetched among them.

CREATE TABLE unfinished_work_v2 (
  owner text COLLATE "C" NOT NULL,
  stream text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL CHECK (kind IN ('purge', 'verify', 'fetch', 'tenant_removal')),
  due_at timestamptz NOT NULL,
  not_before timestamptz,
  failure text,
  failed_at timestamptz,
  PRIMARY KEY (owner, stream, kind)
);
-- For the scheduler and for operators, who look across owners.
CREATE INDEX unfinished_work_v2_due ON unfinished_work_v2 (due_at) WHERE failure IS NULL;
CREATE INDEX unfinished_work_v2_failures ON unfinished_work_v2 (failed_at) WHERE failure IS NOT NULL;

ALTER TABLE unfinished_work_v2 ENABLE ROW LEVEL SECURITY;
ALTER TABLE unfinished_work_v2 FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON unfinished_work_v2 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON unfinished_work_v2 TO media_worker USING (true) WITH CHECK (true);
GRANT SELECT ON unfinished_work_v2 TO media_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON unfinished_work_v2 TO media_worker;

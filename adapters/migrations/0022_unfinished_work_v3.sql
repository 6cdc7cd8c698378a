-- Read model: facts whose effect is not in the log yet. Which kinds of work there are, the projection says.

CREATE TABLE unfinished_work_v3 (
  owner text COLLATE "C" NOT NULL,
  stream text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  due_at timestamptz NOT NULL,
  not_before timestamptz,
  failure text,
  failed_at timestamptz,
  PRIMARY KEY (owner, stream, kind)
);
-- For the scheduler and for operators, who look across owners.
CREATE INDEX unfinished_work_v3_due ON unfinished_work_v3 (due_at) WHERE failure IS NULL OR kind = 'place';
CREATE INDEX unfinished_work_v3_failures ON unfinished_work_v3 (failed_at) WHERE failure IS NOT NULL;

ALTER TABLE unfinished_work_v3 ENABLE ROW LEVEL SECURITY;
ALTER TABLE unfinished_work_v3 FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON unfinished_work_v3 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON unfinished_work_v3 TO media_worker USING (true) WITH CHECK (true);
GRANT SELECT ON unfinished_work_v3 TO media_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON unfinished_work_v3 TO media_worker;

-- Read model: how many files and bytes an owner has per service and category, and how many pending
-- uploads. Grows with owners and services, never with files.

CREATE TABLE storage_stats_v1 (
  owner text COLLATE "C" NOT NULL,
  service_code text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  files bigint NOT NULL,
  bytes bigint NOT NULL,
  PRIMARY KEY (owner, service_code, category)
);

CREATE TABLE storage_stats_v1_pending (
  owner text COLLATE "C" PRIMARY KEY,
  uploads bigint NOT NULL
);

ALTER TABLE storage_stats_v1 ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage_stats_v1 FORCE ROW LEVEL SECURITY;
ALTER TABLE storage_stats_v1_pending ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage_stats_v1_pending FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON storage_stats_v1 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY own_rows ON storage_stats_v1_pending FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON storage_stats_v1 TO media_worker USING (true) WITH CHECK (true);
CREATE POLICY follower ON storage_stats_v1_pending TO media_worker USING (true) WITH CHECK (true);
GRANT SELECT ON storage_stats_v1, storage_stats_v1_pending TO media_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON storage_stats_v1, storage_stats_v1_pending TO media_worker;

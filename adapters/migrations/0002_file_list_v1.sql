-- Read model: the uploaded files of an owner, as listed, searched, shown and resolved.

-- Trusted extensions: the database's owner may create them.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

CREATE TABLE file_list_v1 (
  owner text COLLATE "C" NOT NULL,
  -- The one index that does not begin with the owner: resolve knows only ids.
  media_id text COLLATE "C" PRIMARY KEY,
  service_code text COLLATE "C" NOT NULL,
  file_name text NOT NULL,
  -- NFC and Unicode case folding, computed by the projection: the order of fileName, and what search looks into.
  folded_name text COLLATE "C" NOT NULL,
  -- The folded name with every character outside a-z and 0-9 mapped to one inside: trigrams of any
  -- script and of punctuation, whatever the database's locale. Hits are checked against folded_name.
  search_text text COLLATE "C" NOT NULL,
  file_size bigint NOT NULL,
  mime_type text COLLATE "C" NOT NULL,
  category text COLLATE "C" NOT NULL,
  key text NOT NULL,
  is_public boolean NOT NULL,
  uploaded_by text NOT NULL,
  created_at timestamptz NOT NULL,
  updated_at timestamptz NOT NULL
);

-- Per sort one index without a filter, one for types, one for services with or without types: every
-- page starts where its key stands and reads as many rows as it shows.
CREATE INDEX file_list_v1_created ON file_list_v1 (owner, created_at, media_id);
CREATE INDEX file_list_v1_name ON file_list_v1 (owner, folded_name, media_id);
CREATE INDEX file_list_v1_size ON file_list_v1 (owner, file_size, media_id);
CREATE INDEX file_list_v1_type_created ON file_list_v1 (owner, mime_type, created_at, media_id);
CREATE INDEX file_list_v1_type_name ON file_list_v1 (owner, mime_type, folded_name, media_id);
CREATE INDEX file_list_v1_type_size ON file_list_v1 (owner, mime_type, file_size, media_id);
CREATE INDEX file_list_v1_service_created ON file_list_v1 (owner, service_code, mime_type, created_at, media_id);
CREATE INDEX file_list_v1_service_name ON file_list_v1 (owner, service_code, mime_type, folded_name, media_id);
CREATE INDEX file_list_v1_service_size ON file_list_v1 (owner, service_code, mime_type, file_size, media_id);
-- Every search reads the pending list to its end: 256 kB instead of 4 MB.
CREATE INDEX file_list_v1_search ON file_list_v1 USING gin (owner, search_text gin_trgm_ops)
  WITH (gin_pending_list_limit = 256);

ALTER TABLE file_list_v1 ENABLE ROW LEVEL SECURITY;
ALTER TABLE file_list_v1 FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON file_list_v1 FOR SELECT TO media_api
  USING (owner = current_setting('app.owner', true));
CREATE POLICY follower ON file_list_v1 TO media_worker USING (true) WITH CHECK (true);
CREATE POLICY search ON file_list_v1 FOR SELECT TO media_search USING (true);
CREATE POLICY resolve ON file_list_v1 FOR SELECT TO media_resolver USING (true);
GRANT SELECT ON file_list_v1 TO media_api, media_search, media_resolver;
GRANT SELECT, INSERT, UPDATE, DELETE ON file_list_v1 TO media_worker;
